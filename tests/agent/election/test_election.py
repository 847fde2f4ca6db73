"""The election at work against the pretend cluster: hangs, permissions, an orderly stop."""

import asyncio

import pytest_asyncio
from aiohttp import web

from agent.election.candidate import Candidate, ElectionTiming
from agent.election.election import Election
from agent.kube.leases import LeaseClient
from agent.kube.session import open_session
from kubescribe.kube.access import Access, NoCredentials

QUICK = ElectionTiming(lease_seconds=2.0, renew_seconds=0.1, deadline_seconds=0.6)
PATIENCE = 20.0


class Rig:
    """Candidates of one Lease, each with connections of its own."""

    def __init__(self, pretend):
        self.control = pretend.control
        self._pretend = pretend
        self._tasks = []

    async def stand(self, identity, timing=QUICK, namespace="default"):
        leases = LeaseClient(await self._pretend.session(), namespace=namespace, name="agents")
        election = Election(Candidate(identity, timing), leases, self._pretend.access.credentials)
        self._tasks.append(asyncio.create_task(election.run(), name=identity))
        return election

    async def end(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def asked(self):
        rows = await self.control.requests()
        return sum(row["count"] for row in rows if row["resource"] == "leases.coordination.k8s.io")


@pytest_asyncio.fixture
async def rig(pretend):
    made = Rig(pretend)
    yield made
    await made.end()


async def within(waiting, seconds=PATIENCE):
    async with asyncio.timeout(seconds):
        return await waiting


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def test_one_leads_and_the_other_says_who(rig):
    first = await rig.stand("pod-a")
    await within(first.wait_leading())

    second = await rig.stand("pod-b")
    await until(lambda: second.is_known)

    assert (first.is_leading, second.is_leading) == (True, False)
    assert (first.health().state, first.health().detail) == ("live", "leads")
    assert (second.health().state, second.health().detail) == ("live", "pod-a leads")


async def test_after_an_orderly_stop_the_other_leads_at_once(rig):
    patient = ElectionTiming(lease_seconds=600.0, renew_seconds=0.1, deadline_seconds=300.0)
    first = await rig.stand("pod-a", patient)
    await within(first.wait_leading())
    second = await rig.stand("pod-b", patient)
    await until(lambda: second.is_known)

    await first.stop()

    await within(second.wait_leading())
    assert not first.is_leading
    assert first.changes == 2


async def test_a_leader_whose_requests_hang_leads_no_longer(rig):
    first = await rig.stand("pod-a")
    await within(first.wait_leading())

    await rig.control.hang("leases", count=1_000)

    await within(first.wait_following(), 5.0)
    assert not first.is_leading
    assert first.changes == 2
    await until(lambda: first.trouble)
    assert first.health().state == "retrying"

    await rig.control.mend()
    await within(first.wait_leading())
    assert first.trouble == ""


async def test_the_end_comes_in_its_time_although_a_request_waits_longer(rig):
    """The deadline of a request is cut to what is left, and the timer does not wait for it anyway."""
    election = await rig.stand("pod-a")
    await within(election.wait_leading())
    await rig.control.hang("leases", count=1_000)
    began = asyncio.get_running_loop().time()

    await within(election.wait_following(), 5.0)

    assert asyncio.get_running_loop().time() - began < QUICK.deadline_seconds + 0.5


async def test_without_permission_it_says_so_and_asks_seldom(rig):
    await rig.control.forbid("leases")
    election = await rig.stand("pod-a")

    await until(lambda: election.trouble)

    health = election.health()
    assert health.state == "forbidden"
    assert health.detail.startswith("the Lease default/agents: HTTP 403 Forbidden")
    asked = await rig.asked()
    await asyncio.sleep(5 * QUICK.renew_seconds)
    assert await rig.asked() == asked


async def test_a_namespace_that_is_missing_is_told():
    async def missing(_request):
        return web.json_response(
            {"kind": "Status", "code": 404, "reason": "NotFound", "message": "no namespace"}, status=404
        )

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", missing)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    access = Access(base_url=f"http://127.0.0.1:{runner.addresses[0][1]}", credentials=NoCredentials())
    async with open_session(access, version="1") as session:
        leases = LeaseClient(session, namespace="nowhere", name="agents")
        election = Election(Candidate("pod-a", QUICK), leases, access.credentials)
        task = asyncio.create_task(election.run(), name="election")
        await until(lambda: election.trouble)
        task.cancel()
        await asyncio.wait([task])
    await runner.cleanup()

    assert election.trouble == "the Lease nowhere/agents: HTTP 404 NotFound: no namespace"
    assert (election.health().state, session.requests["create leases"]) == ("forbidden", 1)

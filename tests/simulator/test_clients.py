"""One client that hangs while the others live, and what was asked of the API server by whom."""

import asyncio
import json

import aiohttp
import pytest

from simulator.control import VerbRefused

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kubescribe/leases"
LEADER, OTHER = {"User-Agent": "kubescribe-agent/leader"}, {"User-Agent": "kubescribe-agent/other"}


def from_now(cluster, selector=""):
    selected = f"&fieldSelector={selector}" if selector else ""
    return f"/api/v1/pods?watch=1&resourceVersion={cluster.etcd.revision}&allowWatchBookmarks=true{selected}"


async def silent(watch, seconds=0.3):
    """Whether a watch says nothing for a while: not even a bookmark, which are due every 50 ms."""
    try:
        await asyncio.wait_for(watch.response.content.readline(), seconds)
    except TimeoutError:
        return True
    return False


async def test_a_held_clients_watches_say_nothing_and_go_on_when_it_is_released(cluster, pod):
    async with cluster.watch(from_now(cluster), **LEADER) as held, cluster.watch(from_now(cluster), **OTHER) as other:
        await cluster.control.until(lambda state: len(state["watches"]) == 2)
        assert await cluster.control.hold_client(user_agent=LEADER["User-Agent"]) == 1
        cluster.etcd.create("pods", pod("a"), manager="m")

        assert (await other.until("ADDED"))["object"]["metadata"]["name"] == "a"
        while not await silent(held):
            pass  # what was on its way before the hold
        await cluster.control.release_client(user_agent=LEADER["User-Agent"])
        assert (await held.until("ADDED"))["object"]["metadata"]["name"] == "a"


async def test_a_held_clients_requests_are_neither_done_nor_answered_until_it_is_released(cluster):
    await cluster.control.hold_client(user_agent="kubescribe-agent/leader")
    lease = {"metadata": {"name": "l"}, "spec": {}}
    async with asyncio.TaskGroup() as group:

        async def ask():
            async with cluster.session.post(cluster.url + LEASES, json=lease, headers=LEADER) as response:
                return response.status

        asked = group.create_task(ask())
        await cluster.control.until(lambda state: state["held"] == 1)
        assert cluster.etcd.get("leases", "kubescribe", "l") is None
        assert (await cluster.get(LEASES, **OTHER))[0] == 200
        assert not asked.done()

        await cluster.control.release_client()

        assert await asked == 201
    assert cluster.etcd.get("leases", "kubescribe", "l") is not None


async def test_a_request_whose_client_gave_up_is_never_carried_out(cluster):
    await cluster.control.hold_client(user_agent="kubescribe-agent/leader")
    with pytest.raises(TimeoutError):
        async with cluster.session.post(
            cluster.url + LEASES,
            json={"metadata": {"name": "l"}},
            headers=LEADER,
            timeout=aiohttp.ClientTimeout(total=0.2),
        ):
            pass
    await cluster.control.until(lambda state: state["held"] == 0)

    await cluster.control.release_client()

    assert cluster.etcd.get("leases", "kubescribe", "l") is None


async def test_a_client_is_held_by_its_token(cluster):
    await cluster.control.token("t1")
    await cluster.control.hold_client(token="t1")

    async with aiohttp.ClientSession(headers={"Authorization": "Bearer t1"}) as session:
        with pytest.raises(TimeoutError):
            await session.get(cluster.url + "/version", timeout=aiohttp.ClientTimeout(total=0.2))
        assert (await cluster.get("/version"))[0] == 200
        await cluster.control.mend()
        async with session.get(cluster.url + "/version") as response:
            assert response.status == 200


async def test_a_node_agent_is_held_by_the_selector_of_its_node(cluster, pod):
    async with (
        cluster.watch(from_now(cluster, "spec.nodeName%3Dn1")) as held,
        cluster.watch(from_now(cluster, "spec.nodeName%3Dn2")) as other,
    ):
        await cluster.control.until(lambda state: len(state["watches"]) == 2)
        assert await cluster.control.hold_client(field_selector="spec.nodeName=n1") == 1
        for node in ("n1", "n2"):
            cluster.etcd.create("pods", pod(node, node=node), manager="m")

        assert (await other.until("ADDED"))["object"]["metadata"]["name"] == "n2"
        while not await silent(held):
            pass


async def test_nobody_is_held_by_no_filter(cluster):
    with pytest.raises(VerbRefused, match="name a token"):
        await cluster.control.hold_client()


async def test_a_held_client_that_falls_too_far_behind_learns_of_it_when_it_is_released(start, pod):
    cluster = await start(watcher_events=3)
    async with cluster.watch(from_now(cluster), **LEADER) as held:
        await cluster.control.until(lambda state: len(state["watches"]) == 1)
        await cluster.control.hold_client(user_agent="kubescribe")
        for number in range(9):
            cluster.etcd.create("pods", pod(f"p{number}"), manager="m")
        while not await silent(held):
            pass
        assert len((await cluster.control.state())["watches"]) == 1

        await cluster.control.release_client()

        with pytest.raises(aiohttp.ClientError):
            await held.rest()


async def test_the_watches_of_one_client_can_be_dropped(cluster):
    async with (
        cluster.watch(from_now(cluster, "spec.nodeName%3Dn1"), **LEADER) as mine,
        cluster.watch(from_now(cluster, "spec.nodeName%3Dn2"), **OTHER),
    ):
        await cluster.control.until(lambda state: len(state["watches"]) == 2)
        assert await cluster.control.drop("pods", field_selector="spec.nodeName=n1", user_agent="kubescribe") == 1
        with pytest.raises(aiohttp.ClientError):
            await mine.rest()
        (left,) = (await cluster.control.until(lambda state: len(state["watches"]) == 1))["watches"]
    assert (left["fieldSelector"], left["userAgent"]) == ("spec.nodeName=n2", OTHER["User-Agent"])


async def test_requests_are_counted_by_who_asked_for_what(cluster):
    for node in ("n1", "n2"):
        await cluster.get(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}", **LEADER)
    await cluster.get("/api/v1/pods", **OTHER)
    async with cluster.session.post(cluster.url + LEASES, json={"metadata": {"name": "l"}}, headers=OTHER):
        pass
    count = cluster.control.count

    assert await count(verb="list", resource="pods") == 3
    assert await count(field_selector="spec.nodeName=n1") == 1
    assert await count(resource="pods", field_selector="") == 1
    assert await count(user_agent="kubescribe-agent/other") == 2
    assert await count(verb="create", resource="leases.coordination.k8s.io") == 1
    assert await count(verb="watch") == 0
    detailed = await cluster.control.detailed_requests()
    assert {
        "resource": "pods",
        "verb": "list",
        "query": "fieldSelector",
        "fieldSelector": "spec.nodeName=n2",
        "labelSelector": "",
        "userAgent": LEADER["User-Agent"],
        "count": 1,
    } in detailed
    assert {
        "resource": "pods",
        "verb": "list",
        "query": "fieldSelector",
        "count": 2,
    } in await cluster.control.requests()
    await cluster.control.forget_requests()
    assert await count() == 0


async def test_a_leader_that_hangs_loses_its_lease_and_learns_it_by_a_conflict(cluster):
    def renewed(lease, holder):
        return {**lease, "spec": {**lease["spec"], "holderIdentity": holder}}

    url = cluster.url + LEASES
    async with cluster.session.post(url, json={"metadata": {"name": "l"}, "spec": {}}, headers=LEADER) as response:
        lease = await response.json()
    await cluster.control.hold_client(user_agent="kubescribe-agent/leader")

    async def put(holder, headers):
        async with cluster.session.put(f"{url}/l", json=renewed(lease, holder), headers=headers) as response:
            return response.status, json.loads(await response.read())

    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(put("leader", LEADER))
        await cluster.control.until(lambda state: state["held"] == 1)
        assert (await put("other", OTHER))[0] == 200
        await cluster.control.release_client()
        status, answer = await hanging

    assert (status, answer["reason"]) == (409, "Conflict")
    assert cluster.etcd.get("leases", "kubescribe", "l")["spec"]["holderIdentity"] == "other"

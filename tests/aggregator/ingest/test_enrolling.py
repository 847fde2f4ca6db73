"""What the journal held when it was opened comes on the roll, whatever happens meanwhile."""

import pytest

from aggregator.errors import StoreUnavailable
from aggregator.ingest.enrolling import Enrolling
from aggregator.records import CounterKey, ObjectKey
from aggregator.store.opening import open_journal
from tests.aggregator.ingest.house import a_pod_of_shop


def phases(scribe) -> dict[str, str]:
    return {pod.name: pod.phase for pod in scribe.pipeline.ledger.roll.pods()}


async def written(url, reopen, *records) -> int:
    async with reopen(url) as scribe:
        await scribe.send(*records)
        return scribe.n


async def test_what_lives_is_on_the_roll_after_a_restart_with_its_series(tmp_path, reopen):
    url = str(tmp_path / "journal.db")
    many = [a_pod_of_shop(10 + number, f"p{number}") for number in range(450)]
    await written(url, reopen, *many, a_pod_of_shop(1000, "p0", gone=True))

    async with reopen(url) as scribe:
        enrolling = Enrolling(scribe.pipeline, scribe.pipeline._journal)
        assert not scribe.pipeline.ledger.roll.is_complete
        await enrolling.enroll()

        assert phases(scribe) == {f"p{number}": "Running" for number in range(1, 450)}
        assert {pod.node for pod in scribe.pipeline.ledger.roll.pods()} == {"n1"}
        assert scribe.pipeline.ledger.roll.is_complete


async def test_what_changed_since_the_start_is_newer_than_what_is_read(tmp_path, reopen):
    url = str(tmp_path / "journal.db")
    n = await written(url, reopen, a_pod_of_shop(1, "changed"), a_pod_of_shop(2, "deleted"), a_pod_of_shop(3, "quiet"))

    async with reopen(url) as scribe:
        scribe.n = n
        roll = scribe.pipeline.ledger.roll
        stale = [(ObjectKey("Pod", name), scribe_state(name)) for name in ("changed", "deleted", "quiet")]
        await scribe.send(a_pod_of_shop(4, "changed", phase="Failed"), a_pod_of_shop(5, "deleted", gone=True))
        roll.enroll(stale)

        assert phases(scribe) == {"changed": "Failed", "quiet": "Running"}


def scribe_state(name):
    from aggregator.census.pods import pod_state

    return pod_state(a_pod_of_shop(1, name).body, namespace="shop", name=name, node="n1")


async def test_causes_of_gaps_and_containers_begin_at_0(tmp_path, reopen):
    url = str(tmp_path / "journal.db")
    await written(url, reopen, a_pod_of_shop(1, "p"))
    async with reopen(url) as scribe:
        await Enrolling(scribe.pipeline, scribe.pipeline._journal).enroll()

    journal = open_journal(url)
    counters = (await journal.open()).counters
    await journal.close()
    assert counters[CounterKey("gaps_total", ("agent_absent",))] == 0
    assert counters[CounterKey("container_restarts_total", ("shop", "Pod", "p", "app"))] == 0


@pytest.mark.parametrize("failures", [3])
async def test_a_full_disk_is_waited_out(journal, scribe, failures):
    class Flaky:
        left = failures

        async def objects(self, query):
            if self.left:
                self.left -= 1
                raise StoreUnavailable("disk full")
            return await journal.objects(query)

    enrolling = Enrolling(scribe.pipeline, Flaky(), retry_seconds=0.001)
    await scribe.send(a_pod_of_shop(1, "p"))

    import asyncio

    running = asyncio.create_task(enrolling.run())
    async with asyncio.timeout(10):
        while not scribe.pipeline.ledger.roll.is_complete:
            await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.wait([running])

    assert phases(scribe) == {"p": "Running"}

"""
What an API server does on bad days, under load: everything that it still offered is kept, the rest is a Gap.

Each test ends with the same question to the oracle: every version that is news is in the journal once, or was written
within a Gap that is lost, and the state is the cluster's.
"""

import asyncio
import shutil

import pytest

from tests.chaos.conftest import eventually, metric

pytestmark = pytest.mark.timeout(240)

RATE = 200
"""Changes a second: enough to be in the middle of something at any moment, and little to judge in the end."""

FAR_AHEAD = 4_000
"""Changes that a restore undoes: so many that no stream comes back only when the store has passed its version again,
which nobody could tell from one that was never restored."""

QUIET = ("--nodes", "3", "--pods", "40", "--window-events", "100000")


async def settled(it, *, epoch: int = 1, with_gaps: bool = True):
    await it.control.load(0)
    finding = await it.judged(epoch=epoch, with_gaps=with_gaps)
    assert finding.problems == []
    assert finding.judged > 100
    return finding


async def until_gap(it, cause: str, outcome: str, seconds: float = 60.0) -> dict:
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        for gap in it.gaps():
            if gap["cause"] == cause and gap["outcome"] == outcome:
                return gap
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(f"no {outcome} gap {cause}: {it.gaps()}")
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("shape", ["stream", "http"])
async def test_an_expired_version_is_a_gap_that_is_lost_and_the_state_is_mended(rig, shape):
    async with rig(*QUIET) as it:
        await it.control.load(RATE)
        await it.until_recorded(100)

        await it.control.expire("pods", shape=shape)

        gap = await until_gap(it, "expired", "lost")
        assert gap["stream"] == "pods"
        await it.until_recorded(100)
        await settled(it)


async def test_events_that_expire_with_an_empty_answer_are_listed_again(rig):
    async with rig(*QUIET) as it:
        await it.control.expire("events", shape="empty")

        gap = await until_gap(it, "expired", "lost")
        assert gap["stream"] == "events"


async def test_watches_cut_in_the_middle_of_a_line_go_on_where_they_were(rig):
    async with rig(*QUIET) as it:
        await it.control.load(RATE)
        for _ in range(4):
            await it.until_recorded(50)
            await it.control.drop("pods", where="line")

        await settled(it, with_gaps=False)


async def test_a_half_open_connection_is_noticed_and_nothing_is_lost(rig):
    async with rig(*QUIET, agent_options=("--watch-inactivity", "3s")) as it:
        await it.control.load(RATE)
        await it.until_recorded(50)

        assert await it.control.freeze("pods")

        await it.until_recorded(200)
        await settled(it, with_gaps=False)


async def test_an_api_server_that_dies_and_returns_costs_no_version_that_it_still_offers(rig):
    async with rig(*QUIET) as it:
        await it.control.load(RATE)
        await it.until_recorded(100)

        await it.cluster.restart()

        await it.control.load(RATE)
        await it.until_recorded(100)
        await settled(it)


async def test_an_api_server_that_asks_for_patience_and_fails_gets_it(rig):
    async with rig(*QUIET) as it:
        await it.control.load(RATE)
        for code in (429, 500):
            before = await it.control.count(resource="pods", verb="watch")
            await it.control.fail("pods", verb="watch", code=code, count=2, retry_after=1)
            await it.control.drop("pods")
            async with asyncio.timeout(60):
                while await it.control.count(resource="pods", verb="watch") < before + 3:
                    await asyncio.sleep(0.1)

        await settled(it, with_gaps=False)


async def test_a_spool_that_is_wiped_costs_nothing_that_the_cluster_still_offers(rig):
    async with rig(*QUIET) as it:
        await it.control.load(RATE)
        await it.until_recorded(100)
        await it.agent.kill()
        shutil.rmtree(it.agent.folder / "data" / "spool")
        await it.until_written(RATE // 2)

        await it.agent.start()

        await it.until_recorded(100)
        await settled(it, with_gaps=False)


async def test_a_store_that_is_restored_begins_an_epoch_and_both_histories_are_kept(rig):
    async with rig(*QUIET) as it:
        await it.control.load(RATE)
        await it.until_recorded(100)
        early = (await it.control.state())["revision"]
        await it.control.load(changes=FAR_AHEAD)
        await eventually(lambda: it.has(early + FAR_AHEAD), 60, lambda: f"{it.resume_points()}")

        await it.control.restore(early)
        await it.control.load(RATE // 2, changes=200)  # before anybody is back: most of them nobody can have seen
        await eventually(lambda: it.recorded(epoch=2) >= 500, 60, lambda: f"{it.resume_points()}")

        finding = await settled(it, epoch=2)
        assert finding.judged > 300
        assert it.ask("SELECT value FROM meta WHERE name = 'epoch'") == [(2,)]
        assert {epoch for epoch, _ in it.resume_points().values()} == {2}


async def test_a_delete_that_the_watch_cache_lost_is_found_by_asking(rig):
    async with rig(*QUIET, "--quiet", agent_options=("--watch-anti-entropy", "2s")) as it:
        await it.control.load(100)
        await it.until_recorded(50)
        await it.control.load(0)
        victim = next(record for record in reversed(await it.control.history("pods")) if record.name)
        await it.control.lose_deletes("pods")

        await it.control.delete("pods", victim.namespace, victim.name)

        async with asyncio.timeout(60):
            while not it.ask("SELECT 1 FROM changes WHERE verb = 4"):
                await asyncio.sleep(0.1)


async def test_a_full_spool_drops_the_oldest_says_so_and_a_snapshot_mends_the_state(rig):
    async with rig(*QUIET, agent_options=("--spool-max-bytes", "256KiB")) as it:
        await it.aggregator.kill()
        # On a busy machine the agent reads for a while before the first record is dropped.
        while metric(it.agent, "kubescribe_spool_dropped_records_total") < 1000:
            await it.control.load(changes=1000)
            await asyncio.sleep(0.05)

        await it.aggregator.start()

        gap = await until_gap(it, "spool_full", "lost")
        assert gap["count"] > 0
        await settled(it)


async def test_an_aggregator_that_hangs_for_a_while_gets_everything_afterwards(rig):
    async with rig(*QUIET) as it:
        await it.control.load(RATE)
        await it.until_recorded(50)
        it.aggregator.suspend()
        await it.until_written(5 * RATE)

        it.aggregator.resume()

        await settled(it, with_gaps=False)

"""Who may talk, who is here, and who is written as away: a real pipeline, sessions without sockets."""

import asyncio

import msgspec
import pytest

from aggregator.errors import LinkRefused, StoreUnavailable
from aggregator.ingest import reception as reception_module
from kubescribe.wire.codec import encode_records
from kubescribe.wire.errors import WireError
from kubescribe.wire.link import Batch, Claim, Relist, StreamClaim
from kubescribe.wire.records import Change, Presence, Snapshot, StreamHealth
from tests.aggregator.ingest.house import SECOND, FailingJournal, House, a_batch, opened_house, until


@pytest.fixture
def grace(monkeypatch):
    """Believe a departure after 20 ms."""
    monkeypatch.setattr(reception_module, "DEPARTURE_GRACE_SECONDS", 0.02)


@pytest.fixture
def open_house():
    return opened_house


@pytest.fixture
async def house(open_house):
    async with open_house() as opened:
        yield opened


async def test_a_disk_that_is_full_at_the_start_is_waited_for(monkeypatch):
    monkeypatch.setattr(reception_module, "DEPARTURE_GRACE_SECONDS", 0.01)
    journal = FailingJournal()
    async with opened_house(journal) as house:
        await house.come()
    async with opened_house(journal, begins=False) as house:
        journal.is_full = True
        beginning = asyncio.create_task(house.reception.begin())

        async def has_failed() -> bool:
            return house.pipeline.failure is not None

        await until(has_failed)
        assert not beginning.done()
        journal.is_full = False
        await beginning
        assert await house.presences() == [("all", "came"), ("all", "went")]


async def test_the_first_agent_decides_whose_journal_it_is_and_a_foreign_one_is_refused(house):
    await house.come()

    with pytest.raises(LinkRefused, match="belongs to cluster c1") as refused:
        await house.come(agent="other", cluster="c2")
    assert refused.value.code == "cluster"
    assert await house.presences() == [("all", "came")]


async def test_of_two_clusters_that_come_at_once_to_a_new_journal_one_is_refused(house):
    results = await asyncio.gather(
        house.come(agent="one", cluster="c1"), house.come(agent="two", cluster="c2"), return_exceptions=True
    )

    assert [isinstance(result, LinkRefused) for result in results] == [False, True]
    assert house.pipeline.ledger.cluster_uid == "c1"
    assert await house.presences() == [("one", "came")]


async def test_an_agent_that_does_not_say_who_it_is_is_refused(house):
    for missing in ({"agent": ""}, {"cluster": ""}, {"spool": ""}):
        with pytest.raises(LinkRefused, match="required"):
            await house.come(**missing)


@pytest.mark.usefixtures("grace")
async def test_an_agent_that_does_not_return_is_written_as_gone_with_an_open_gap_from_then(house):
    talk = await house.come()
    await house.reception.gone(talk)
    since = house.roster.agents()[0].since

    await until(lambda: _has(house, ("all", "went")))
    (gap,) = await house.gaps()
    assert (gap["cause"], gap["outcome"], gap["stream"]) == ("agent_absent", "open", "agent/all")
    assert house.pipeline.ledger.open_gaps.get(gap["id"]).start == since


async def test_a_reconnect_within_the_grace_writes_nothing(house):
    talk = await house.come()
    await house.reception.gone(talk)
    await house.come()

    assert await house.presences() == [("all", "came")]
    assert await house.gaps() == []


async def test_a_restart_within_the_grace_is_an_absence_of_that_time(house):
    talk = await house.come()
    await house.reception.gone(talk)
    await house.come(instance="i2")

    assert await house.presences() == [("all", "came"), ("all", "went"), ("all", "came")]
    assert [gap["outcome"] for gap in await house.gaps()] == ["open"]


async def test_the_end_of_a_superseded_connection_is_no_departure(house):
    older = await house.come()
    await house.come()
    await house.reception.gone(older)

    assert house.roster.agents()[0].connected


@pytest.mark.usefixtures("grace")
async def test_an_agent_whose_return_the_journal_could_not_take_is_still_written_as_gone(house):
    talk = await house.come()
    await house.reception.gone(talk)
    house.journal.is_full = True
    with pytest.raises(StoreUnavailable):
        await house.come(instance="i2")
    house.journal.is_full = False

    await until(lambda: _has(house, ("all", "went")))
    assert [gap["cause"] for gap in await house.gaps()] == ["agent_absent"]


@pytest.mark.usefixtures("grace")
async def test_a_departure_that_is_written_after_the_return_is_dropped(house):
    talk = await house.come()
    house.journal.is_full = True
    await house.reception.gone(talk)

    async def is_delayed():
        return house.pipeline.failure is not None

    await until(is_delayed)
    returning = asyncio.create_task(_insist(house))  # as the agent does: it comes again until it is let in
    await asyncio.sleep(0.03)
    house.journal.is_full = False
    await returning
    await asyncio.sleep(0.06)

    presences = await house.presences()
    assert presences[-1] == ("all", "came")
    assert presences.count(("all", "went")) == 1
    assert "all" in house.pipeline.ledger.present


@pytest.mark.usefixtures("grace")
async def test_a_departure_and_a_return_in_one_transaction_leave_the_agent_here(house):
    talk = await house.come()
    await house.reception.gone(talk)
    house.reception._depart("all")  # the timer fires in the very moment in which the agent returns
    await house.come(instance="i2")
    await asyncio.sleep(0.05)

    assert await house.presences() == [("all", "came"), ("all", "went"), ("all", "came")]
    assert len(await house.gaps()) == 1


@pytest.mark.usefixtures("grace")
async def test_an_agent_that_flaps_is_gone_only_since_its_last_departure(house):
    first = await house.come()
    opening = asyncio.create_task(house.come())
    await asyncio.sleep(0)
    await house.reception.gone(first)  # the older connection ends while the newer one is welcomed
    second = await opening
    await house.reception.gone(second)
    since = house.roster.agents()[0].since

    await until(lambda: _has(house, ("all", "went")))
    await asyncio.sleep(0.05)
    assert max(gap.start for gap in house.pipeline.ledger.open_gaps.values()) == since


async def test_an_agent_that_was_here_when_the_aggregator_died_is_away_until_it_returns(open_house):
    journal = FailingJournal()
    async with open_house(journal) as house:
        await house.come()
    async with open_house(journal) as house:
        assert await house.presences() == [("all", "came"), ("all", "went")]
        await house.come()
        assert [gap["outcome"] for gap in await house.gaps()] == ["open"]


async def test_an_agent_that_is_back_before_the_aggregator_has_begun_is_not_written_as_away(open_house):
    journal = FailingJournal()
    async with open_house(journal) as house:
        await house.come()
    async with open_house(journal, begins=False) as house:
        await asyncio.gather(house.come(instance="i2"), house.reception.begin())

        assert (await house.presences())[-1] == ("all", "came")
        assert [gap["outcome"] for gap in await house.gaps()] == ["open"]  # of the time between
        assert list(house.pipeline.ledger.present) == ["all"]


async def test_the_absence_after_a_restart_does_not_begin_in_the_future_of_a_wrong_clock(open_house):
    journal = FailingJournal()
    async with open_house(journal) as house:
        talk = await house.come()
        await house.reception.claim(talk, Claim(streams=(StreamClaim(name="pods", kind="Pod"),)))
        await house.reception.submit(talk, a_batch(1, *an_empty_snapshot(at=9_000_000 * SECOND)))
    async with open_house(journal) as house:
        (gap,) = house.pipeline.ledger.open_gaps.values()
        assert gap.start <= house.clock.now


async def test_an_absence_is_recovered_by_a_report_that_has_sent_all_and_sees_with_every_stream(open_house):
    journal = FailingJournal()
    async with open_house(journal) as house:
        await house.come()
    async with open_house(journal) as house:
        talk = await house.come()
        await house.reception.report(talk, a_report(house, oldest_unsent_at=1))
        await house.reception.report(talk, a_report(house, state="retrying"))
        assert [gap["outcome"] for gap in await house.gaps()] == ["open"]

        await house.reception.report(talk, a_report(house))
        (gap,) = await house.gaps()
        assert gap["outcome"] == "recovered"
        assert gap["from"] <= gap["to"]


async def test_a_report_for_another_agent_is_refused(house):
    talk = await house.come()

    with pytest.raises(LinkRefused):
        await house.reception.report(talk, msgspec.structs.replace(a_report(house), agent="somebody"))


async def test_a_stream_whose_name_nobody_understands_is_refused_at_its_claim(house):
    talk = await house.come()

    with pytest.raises(LinkRefused) as refused:
        await house.reception.claim(talk, Claim(streams=(StreamClaim(name="pods/x", kind="Pod"),)))
    assert refused.value.code == "malformed"


async def test_batches_are_committed_in_their_order_however_long_they_take_to_decode(house):
    talk = await house.come()
    large = [a_change(rv, body=b'{"x": "' + bytes(str(rv * 7919) * 400, "ascii") + b'"}') for rv in range(1, 200)]

    done = await asyncio.gather(
        house.reception.submit(talk, a_batch(1, *large)), house.reception.submit(talk, a_batch(2, a_change(500)))
    )

    assert done == [1, 2]


async def test_a_void_snapshot_is_asked_of_the_agents_that_are_here(house):
    talk = await house.come()
    await house.reception.claim(talk, Claim(streams=(StreamClaim(name="pods", kind="Pod"),)))
    await house.reception.submit(talk, a_batch(1, an_empty_snapshot()[1]))
    await asyncio.sleep(0)

    assert talk.sent == [Relist(epoch=1, streams=("pods",), reason="snapshot")]


async def _has(house: House, what) -> bool:
    return what in await house.presences()


async def _insist(house: House) -> None:
    while True:
        try:
            await house.come(instance="i2")
        except StoreUnavailable:
            await asyncio.sleep(0.005)
        else:
            return


def a_change(rv: int, body: bytes = b"{}") -> Change:
    return Change(stream="pods", term=1, kind="Pod", name="p", uid="u", resource_version=rv, observed_at=rv, body=body)


def an_empty_snapshot(*, at: int = 1) -> list[Snapshot]:
    common = {"stream": "pods", "term": 1, "kind": "Pod", "id": "s", "resource_version": 5, "observed_at": at}
    return [
        Snapshot(phase="begin", consistent=True, epoch=1, **common),
        Snapshot(phase="end", consistent=True, epoch=1, **common),
    ]


def a_report(house: House, *, state: str = "live", oldest_unsent_at: int | None = None) -> Presence:
    return Presence(
        agent="all",
        state="report",
        observed_at=house.clock(),
        oldest_unsent_at=oldest_unsent_at,
        streams=(StreamHealth(name="pods", state=state),),
    )


async def test_a_batch_that_never_decodes_is_given_up_for_a_gap_and_what_follows_goes_on(house):
    talk = await house.come()
    await house.reception.claim(talk, Claim(streams=(StreamClaim(name="pods", kind="Pod"),)))
    broken = Batch(n=1, count=7, records=b"no zstd frame")
    with pytest.raises(WireError):
        await house.reception.submit(talk, broken)

    assert await house.reception.submit(talk, broken) == 1

    good = Batch(n=2, count=0, records=encode_records([]))
    assert await house.reception.submit(talk, good) == 2
    (gap,) = await house.gaps()
    assert (gap["cause"], gap["outcome"], gap["count"]) == ("unreadable_batch", "lost", 7)
    await until(lambda: _was_asked_for_pods(talk))
    granted = await house.reception.claim(talk, Claim(streams=(StreamClaim(name="pods", kind="Pod"),)))
    assert granted.streams[0].snapshot


async def _was_asked_for_pods(talk) -> bool:
    return any(isinstance(message, Relist) and "pods" in message.streams for message in talk.sent)

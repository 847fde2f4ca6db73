"""Claims, terms, epochs, resume points and Snapshots, decided on drafts without a journal."""

from aggregator.ingest.ledger import Draft
from aggregator.ingest.streams import Absence, LocatedChange, grant, locate
from kubescribe.wire.link import Grant, StreamClaim
from kubescribe.wire.records import Change, Gap, Progress, Snapshot
from tests.aggregator.ingest.conftest import a_ledger

STREAM = "pods"


class Writer:
    """Commits each step, as the pipeline does."""

    def __init__(self) -> None:
        self.ledger = a_ledger()
        self.relists: list[tuple[str, ...]] = []
        self.clock = 0

    def claim(self, spool: str, stream: str = STREAM, former: tuple[str, ...] = ()) -> Grant:
        draft = Draft(self.ledger, self.clock)
        granted = grant(draft, spool, StreamClaim(name=stream, kind="Pod"), former)
        draft.absorb()
        return granted

    def send(self, spool: str, *records):
        draft = Draft(self.ledger, self.clock)
        located = locate(draft, spool, list(records))
        draft.absorb()
        self.relists += draft.relists
        return located

    def resume(self, stream: str = STREAM) -> tuple[int, int]:
        row = self.ledger.streams[stream]
        return row.epoch, row.resource_version


def a_change(rv: int, *, term: int = 1, listed: bool = False, uid: str = "u", stream: str = STREAM) -> Change:
    return Change(
        stream=stream,
        term=term,
        kind="Pod",
        name="p",
        uid=uid,
        resource_version=rv,
        observed_at=rv,
        listed=listed,
        body=b"{}",
    )


def a_snapshot(rv: int, uids=(), *, term=1, epoch=1, snapshot_id="s", consistent=True, count=None, stream=STREAM):
    common = {
        "stream": stream,
        "term": term,
        "kind": "Pod",
        "id": snapshot_id,
        "resource_version": rv,
        "observed_at": rv,
        "consistent": consistent,
        "epoch": epoch,
    }
    return [
        Snapshot(phase="begin", **common),
        *(a_change(rv, term=term, listed=True, uid=uid, stream=stream) for uid in uids),
        Snapshot(phase="part", uids=tuple(uids), versions=tuple(rv for _ in uids), **common),
        Snapshot(phase="end", count=len(uids) if count is None else count, **common),
    ]


def epochs(located) -> list[int]:
    return [item.epoch for item in located if isinstance(item, LocatedChange)]


def absences(located) -> list[Absence]:
    return [item for item in located if isinstance(item, Absence)]


def test_a_new_stream_is_granted_with_the_order_of_a_snapshot():
    granted = Writer().claim("a")

    assert granted == Grant(name=STREAM, term=1, epoch=1, resource_version=0, snapshot=True)


def test_each_claim_raises_the_term_and_returns_the_resume_point():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(10, ["u"]), a_change(12))

    granted = writer.claim("a")

    assert granted == Grant(name=STREAM, term=2, epoch=1, resource_version=12, snapshot=False, complete_at=12)


def test_listed_versions_never_move_the_resume_point():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(10, ["u"]))
    writer.send("a", a_change(99, listed=True))

    assert writer.resume() == (1, 10)


def test_a_bookmark_moves_the_resume_point_and_never_backwards():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(10))
    writer.send("a", Progress(stream=STREAM, term=1, resource_version=20, observed_at=1))
    writer.send("a", Progress(stream=STREAM, term=1, resource_version=15, observed_at=2))

    assert writer.resume() == (1, 20)


def test_only_the_holder_moves_the_resume_point_but_everybody_is_heard():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(10))
    writer.claim("b")

    located = writer.send("a", a_change(11, term=1))

    assert epochs(located) == [1]
    assert writer.resume() == (1, 10)


def test_what_a_spool_held_before_its_restart_still_counts_after_the_new_claim():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(10))
    writer.claim("a")

    located = writer.send("a", *a_snapshot(15, ["v"], term=1), a_change(16, term=1))

    assert len(absences(located)) == 1
    assert writer.resume() == (1, 16)


def test_what_a_spool_held_before_it_lost_the_stream_does_not_count_after_it_won_it_back():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(10))
    writer.claim("b")
    writer.claim("a")

    located = writer.send("a", *a_snapshot(15, ["v"], term=1))

    assert absences(located) == []
    assert writer.resume() == (1, 10)


def test_a_snapshot_that_ends_whole_proves_what_is_absent():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(10, ["u", "v"]))

    located = writer.send("a", *a_snapshot(20, ["u"], snapshot_id="t"))

    assert absences(located) == [
        Absence(stream=STREAM, kind="Pod", epoch=1, resource_version=20, uids=frozenset({"u"}), after=10, before=20)
    ]


def test_a_snapshot_survives_a_commit_between_its_phases():
    writer = Writer()
    writer.claim("a")
    begin, change, part, end = a_snapshot(20, ["u"])
    writer.send("a", begin, change)
    writer.send("a", part)

    located = writer.send("a", end)

    assert [absence.uids for absence in absences(located)] == [frozenset({"u"})]


def test_a_snapshot_that_lost_a_part_is_void_and_asked_for_again():
    writer = Writer()
    writer.claim("a")
    begin, _, _, end = a_snapshot(20, ["u"])

    located = writer.send("a", begin, end)

    assert absences(located) == []
    assert writer.relists == [(STREAM,)]
    assert writer.resume() == (1, 0)


def test_a_snapshot_without_its_begin_is_void_and_asked_for_again():
    writer = Writer()
    writer.claim("a")
    _, change, part, end = a_snapshot(20, ["u"])

    located = writer.send("a", change, part, end)

    assert absences(located) == []
    assert writer.relists == [(STREAM,)]


def test_a_stale_inconsistent_list_infers_nothing_and_leaves_the_resume_point():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(20, ["u"]))

    located = writer.send("a", *a_snapshot(10, [], snapshot_id="t", consistent=False))

    assert absences(located) == []
    assert writer.resume() == (1, 20)
    assert writer.ledger.epoch == 1


def test_a_consistent_list_below_the_resume_point_raises_the_epoch_and_asks_all_the_others():
    writer = Writer()
    two_streams(writer)

    located = writer.send("a", a_change(101), *a_snapshot(50, ["u"], snapshot_id="t"), a_change(51))

    assert epochs(located) == [1, 2, 2]
    assert writer.ledger.epoch == 2
    assert writer.relists == [("nodes",)]
    assert writer.resume() == (2, 51)


def test_the_second_stream_to_notice_a_restore_joins_the_epoch_and_raises_none():
    writer = Writer()
    two_streams(writer)
    writer.send("a", *a_snapshot(50, ["u"], snapshot_id="t"))

    located = writer.send("a", *a_snapshot(50, ["n"], snapshot_id="t", stream="nodes", epoch=1))

    assert writer.ledger.epoch == 2
    assert epochs(located) == [2]
    assert writer.resume("nodes") == (2, 50)


def test_a_stream_whose_point_a_restored_store_had_passed_has_a_gap_since_the_last_sign_of_the_old_history():
    writer = Writer()
    two_streams(writer)
    writer.send("a", a_change(120))
    writer.send("a", a_change(130, stream="nodes"))  # of the restored store, which stood above 100 when nodes came back
    writer.send("a", *a_snapshot(110, ["u"], snapshot_id="t"))

    located = writer.send("a", *a_snapshot(140, ["n"], snapshot_id="t", stream="nodes", epoch=2))

    (gap,) = [item for item in located if isinstance(item, Gap)]
    assert (gap.stream, gap.cause, gap.outcome) == ("nodes", "store_restored", "lost")
    assert (gap.start, gap.to) == (120, 140)
    assert [absence.after for absence in absences(located)] == [120]


def test_a_stream_that_noticed_the_restore_by_itself_has_no_second_gap():
    writer = Writer()
    two_streams(writer)

    first = writer.send("a", *a_snapshot(50, ["u"], snapshot_id="t"))
    second = writer.send("a", *a_snapshot(52, ["n"], snapshot_id="t", stream="nodes"))

    assert [item for item in (*first, *second) if isinstance(item, Gap)] == []


def test_a_snapshot_that_was_broken_off_below_the_resume_point_proves_a_restore_once():
    writer = Writer()
    two_streams(writer)
    begin, *_ = a_snapshot(50, snapshot_id="look")

    located = writer.send("a", begin, *a_snapshot(105, ["u"], snapshot_id="t"), a_change(106))

    assert epochs(located) == [2, 2]
    assert writer.relists == [("nodes",)]
    assert writer.resume() == (2, 106)


def test_a_list_made_before_the_restore_but_read_after_it_stays_in_the_old_epoch():
    writer = Writer()
    restored_under_one_of_two_spools(writer)

    old = writer.send("b", a_change(105, stream="nodes"), *a_snapshot(110, ["n"], stream="nodes", snapshot_id="t"))
    new = writer.send("b", *a_snapshot(52, ["n"], stream="nodes", snapshot_id="x", epoch=2))

    assert epochs(old) == [1, 1]
    assert epochs(new) == [2]
    assert writer.ledger.epoch == 2
    assert writer.resume("nodes") == (2, 52)


def test_versions_spooled_before_a_restore_keep_their_epoch_whenever_they_arrive():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(100, ["u"]))
    writer.claim("b")
    writer.send("b", *a_snapshot(50, ["u"], term=2, snapshot_id="t"))

    located = writer.send("a", a_change(101, term=1))

    assert writer.ledger.epoch == 2
    assert epochs(located) == [1]
    assert writer.resume() == (2, 50)


def test_a_stream_of_an_older_epoch_is_granted_with_the_order_of_a_snapshot():
    writer = Writer()
    restored_under_one_of_two_spools(writer)

    granted = writer.claim("b", "nodes")

    assert granted.epoch == 2
    assert granted.snapshot


def restored_under_one_of_two_spools(writer: Writer) -> None:
    """Let spool a, which has the pods, prove a restore that spool b, which has the nodes, knows nothing of."""
    writer.claim("a")
    writer.claim("b", "nodes")
    writer.send("a", *a_snapshot(100, ["u"]))
    writer.send("b", *a_snapshot(100, ["n"], stream="nodes"))
    writer.send("a", *a_snapshot(50, ["u"], snapshot_id="t"))


def two_streams(writer: Writer) -> None:
    writer.claim("a")
    writer.claim("a", "nodes")
    writer.send("a", *a_snapshot(100, ["u"]), *a_snapshot(100, ["n"], stream="nodes"))


def test_a_term_granted_before_the_news_of_a_restore_was_sent_belongs_to_the_new_epoch():
    writer = Writer()
    two_streams(writer)
    granted = writer.claim("a")  # the spool still holds the Snapshot below, seen under term 1 while the link was down

    writer.send("a", *a_snapshot(50, ["u"], snapshot_id="t", term=1))
    located = writer.send("a", a_change(51, term=granted.term))

    assert epochs(located) == [2]
    assert writer.resume() == (2, 51)


def test_a_term_granted_in_the_middle_of_the_snapshot_of_a_restored_store_belongs_to_the_new_epoch():
    writer = Writer()
    two_streams(writer)
    begin, change, part, end = a_snapshot(50, ["u"], snapshot_id="t", term=1)
    writer.send("a", begin, change)
    granted = writer.claim("a")

    located = writer.send("a", part, end, a_change(51, term=granted.term))

    assert epochs(located) == [2]
    assert writer.resume() == (2, 51)


def test_two_restores_that_arrive_together_are_two_epochs():
    writer = Writer()
    two_streams(writer)

    first = writer.send("a", *a_snapshot(50, ["u"], snapshot_id="t"), a_change(55))
    second = writer.send("a", *a_snapshot(30, [], snapshot_id="x"), a_change(31))

    assert epochs(first) == [2, 2]
    assert epochs(second) == [3]
    assert [absence.epoch for absence in absences(second)] == [3]
    assert writer.resume() == (3, 31)


def test_a_list_asked_for_between_two_restores_belongs_to_the_epoch_between_them():
    writer = Writer()
    two_streams(writer)
    writer.send("a", *a_snapshot(50, ["u"], snapshot_id="t"))
    writer.send("a", *a_snapshot(30, ["u"], snapshot_id="x", epoch=2))

    located = writer.send("a", *a_snapshot(120, ["n"], stream="nodes", snapshot_id="y", epoch=2))

    assert writer.ledger.epoch == 3
    assert epochs(located) == [2]
    assert writer.resume("nodes") == (2, 120)


def test_a_snapshot_from_before_the_holder_took_a_new_spool_id_is_asked_for_again():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(10, ["u", "v"]))
    writer.claim("a2")  # the same folder, numbered anew: what it held under term 1 is sent by the new id

    located = writer.send("a2", *a_snapshot(20, ["u"], snapshot_id="t", term=1))

    assert absences(located) == []
    assert writer.relists == [(STREAM,)]


def test_a_snapshot_that_was_void_is_ordered_again_by_the_next_grant_until_one_ends_whole():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(10, ["u"]))
    _, change, part, end = a_snapshot(20, ["u"], snapshot_id="t")
    writer.send("a", change, part, end)  # its Relist never reaches the agent: the link is down
    writer.send("a", a_change(21))

    assert writer.claim("a").snapshot
    writer.send("a", *a_snapshot(30, ["u"], snapshot_id="x", term=2))
    assert not writer.claim("a").snapshot


def test_terms_cost_memory_only_where_the_epoch_changes():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(10, ["u"]))
    for _ in range(100):
        granted = writer.claim("a")

    assert writer.ledger.terms == {STREAM: {1: 1}}
    assert epochs(writer.send("a", a_change(11, term=granted.term))) == [1]


def test_an_epoch_of_a_term_that_was_granted_long_ago_is_still_known():
    writer = Writer()
    two_streams(writer)
    for _ in range(3):
        writer.claim("a")
    writer.claim("b")
    writer.send("b", *a_snapshot(50, ["u"], snapshot_id="t", term=5))

    assert epochs(writer.send("a", a_change(101, term=3))) == [1]
    assert epochs(writer.send("b", a_change(51, term=5))) == [2]


def test_a_grant_tells_until_when_the_stream_was_seen_whole():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(10, ["u"]), a_change(12))

    assert writer.claim("b").complete_at == 12


def test_a_snapshot_that_one_spool_began_is_ordered_of_the_next_holder():
    writer = Writer()
    writer.claim("a")
    writer.send("a", *a_snapshot(10, ["u"]))
    writer.send("a", *a_snapshot(20, ["u"], snapshot_id="t")[:2])

    assert writer.claim("b").snapshot
    assert writer.claim("b").snapshot


def test_a_folder_that_is_numbered_anew_still_holds_what_it_held_under_its_former_id():
    writer = Writer()
    two_streams(writer)
    granted = writer.claim("a2", former=("a0", "a"))

    located = writer.send("a2", *a_snapshot(50, [], snapshot_id="t", term=1), a_change(51, term=granted.term))

    assert [absence.epoch for absence in absences(located)] == [2]
    assert epochs(located) == [2]
    assert writer.resume() == (2, 51)

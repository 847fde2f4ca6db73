"""What was dropped is kept by stream, bounded, and told under ids that a repetition does not change."""

from agent.spool.ledger import MAX_GAPS, Ledger, Span, merge_spans, span_of
from kubescribe.wire.records import LINE_COUNTS_STREAM, Gap, LineCounts, Occurrence, Presence, Progress


def span(stream, first, last, count=1):
    return Span(stream=stream, count=count, first_at=first, last_at=last, needs_snapshot=True)


def test_spans_of_one_stream_become_one():
    merged = merge_spans([span("a", 5, 9), span("b", 1, 2), span("a", 3, 7, count=4)])

    assert merged == (span("a", 3, 9, count=5), span("b", 1, 2))


def test_the_same_ledger_gives_the_same_ids_and_a_later_one_others():
    ledger = Ledger().with_dropped(3, [span("a", 1, 2)], [])
    grown = ledger.with_dropped(4, [span("a", 3, 4)], [])
    later = Ledger().with_dropped(9, [span("a", 5, 6)], [])

    ids = [one.as_gaps("spool", "agent")[0].id for one in (ledger, grown, later)]
    assert ids[0] == ids[1] != ids[2]


def test_a_dropped_gap_is_kept_and_its_newest_word_counts():
    opened = Gap(id="x", stream="a", cause="expired", start=1)
    closed = Gap(id="x", stream="a", cause="expired", start=1, to=2, outcome="lost")

    ledger = Ledger().with_dropped(1, [], [opened]).with_dropped(2, [], [closed])

    assert ledger.as_gaps("spool", "agent") == (closed,)


def test_too_many_gaps_are_folded_into_their_streams_time():
    gaps = [Gap(id=str(i), stream="a", cause="expired", start=i, to=i + 1) for i in range(MAX_GAPS + 10)]

    ledger = Ledger().with_dropped(1, [], gaps)

    assert len(ledger.gaps) == MAX_GAPS
    assert [(one.first_at, one.last_at) for one in ledger.spans] == [(0, 10)]


def test_a_loss_of_unknown_streams_is_the_agents():
    unknown = Span(stream="", count=0, first_at=1, last_at=2, needs_snapshot=True, cause="spool_damaged")
    [gap] = Ledger().with_dropped(1, [unknown], []).as_gaps("spool", "node-a")

    assert (gap.stream, gap.count, gap.cause) == ("agent/node-a", None, "spool_damaged")
    assert Ledger(spans=(unknown,)).relist == ()


def test_only_what_says_something_is_worth_a_gap():
    assert span_of(Progress(stream="a", term=1, resource_version=1, observed_at=1)) is None
    assert span_of(Presence(agent="a", state="report", observed_at=1)) is None
    assert span_of(Occurrence(stream="events", term=1, uid="u", name="n", resource_version=1, observed_at=4)) == span(
        "events", 4, 4
    )


def test_counts_of_lines_that_are_lost_make_no_stream_list_again():
    lost = span_of(LineCounts(source="s", n=3, observed_at=4))
    ledger = Ledger().with_dropped(1, [lost], [])

    [gap] = ledger.as_gaps("spool", "agent")
    assert (gap.stream, gap.count, gap.start, gap.to) == (LINE_COUNTS_STREAM, 1, 4, 4)
    assert ledger.relist == ()

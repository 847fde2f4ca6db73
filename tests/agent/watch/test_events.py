"""Events to Occurrences, rules 33 to 37."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ServerSaid, Undecodable
from agent.watch.counters import WatchCounters
from agent.watch.events import decode_event_line, decode_event_object, is_deleted_early, last_moment, occurrence_of
from agent.watch.taking import OccurrenceTaker

SECOND = 10**9
NINE = 1767258000 * SECOND  # 2026-01-01T09:00:00Z


def an_event(**more):
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": "e", "namespace": "shop", "uid": "u", "resourceVersion": "7"},
        **more,
    }


def decoded(**more):
    return decode_event_object(json.dumps(an_event(**more)).encode())


def test_every_recorded_event_becomes_an_occurrence(recording):
    for line in recording("events.watch.ndjson"):
        raw = json.loads(line)["object"]
        record = occurrence_of(decode_event_line(line).object, stream="events", term=1, observed_at=1)
        assert (record.uid, record.reason) == (raw["metadata"]["uid"], raw["reason"])
        assert record.regarding.name == raw["involvedObject"]["name"]
        assert record.count == raw.get("count", 1) or raw.get("series")
        assert record.last_at >= record.first_at > 0


def test_the_time_is_the_latest_that_the_event_tells():
    event = decoded(
        series={"count": 5, "lastObservedTime": "2026-01-01T09:00:00.5Z"},
        lastTimestamp="2026-01-01T08:00:00Z",
        eventTime="2026-01-01T07:00:00.000000Z",
        firstTimestamp=None,
    )

    assert last_moment(event) == NINE + SECOND // 2


def test_the_count_is_the_series_count_or_the_count_or_one():
    def count(**more):
        return occurrence_of(decoded(**more), stream="s", term=1, observed_at=1).count

    assert count(series={"count": 5}, count=2) == 5
    assert count(count=2) == 2
    assert count(count=None) == 1


def test_expiry_is_no_news_and_a_deletion_is():
    event = decoded(lastTimestamp="2026-01-01T09:00:00Z")

    assert not is_deleted_early(event, NINE + 3600 * SECOND, 3600)
    assert is_deleted_early(event, NINE + 60 * SECOND, 3600)


def test_the_taker_drops_expired_events_and_moves_on():
    counters = WatchCounters()
    taker = OccurrenceTaker("events", counters, 3600)
    line = json.dumps({"type": "DELETED", "object": an_event(lastTimestamp="2026-01-01T09:00:00Z")}).encode()

    late = taker.take([line], [], NINE + 3700 * SECOND)
    early = taker.take([line], [], NINE + 5 * SECOND)

    assert (late.records, late.version, counters.expired_events) == ([], 7, 1)
    assert [record.gone for record in early.records] == [True]


def test_an_expired_version_is_what_the_server_said(recording):
    with pytest.raises(ServerSaid) as caught:
        decode_event_line(recording("410.watch.ndjson")[0])

    assert caught.value.is_expired


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_unexpected(data):
    for decode in (decode_event_line, decode_event_object):
        with suppress(Undecodable, ServerSaid):
            decode(data)
    OccurrenceTaker("events", WatchCounters(), 1).take([data], [], 1)

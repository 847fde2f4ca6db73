"""What the agent tells of its streams."""

from prometheus_client import CollectorRegistry, generate_latest

from agent.metrics import AgentCollector, AgentNumbers, unseen_seconds
from agent.watch.counters import WatchCounters
from kubescribe.wire.records import StreamHealth

SECOND = 10**9


def test_a_stream_is_unseen_since_its_last_sign_and_one_that_never_gave_any_since_the_start() -> None:
    streams = [
        StreamHealth(name="pods", state="live", seen_at=90 * SECOND),
        StreamHealth(name="events", state="retrying", seen_at=0),
        StreamHealth(name="nodes", state="live", seen_at=200 * SECOND),
    ]

    told = unseen_seconds(streams, 40 * SECOND, 100 * SECOND)

    assert told == {"pods": 10.0, "events": 60.0, "nodes": 0.0}


def test_a_stream_that_waits_for_somebody_to_grant_or_install_something_is_not_told() -> None:
    streams = [StreamHealth(name=state, state=state) for state in ("forbidden", "notServed")]

    assert unseen_seconds(streams, 0, 100 * SECOND) == {}


def numbers_of(counters: WatchCounters) -> AgentNumbers:
    return AgentNumbers(
        counts={},
        requests={},
        failures={"418": 1},
        restarts=dict(counters.restarts),
        blind_seconds={},
        lists={"pods": counters.lists["pods"]},
        unseen_seconds={},
        streams={},
        spool_bytes=0,
        spool_limit_bytes=0,
        spool_records=0,
        link_connected=True,
    )


def test_what_may_go_wrong_is_told_as_zero_before_it_does() -> None:
    registry = CollectorRegistry()
    registry.register(AgentCollector(lambda: numbers_of(WatchCounters())))
    text = generate_latest(registry).decode()

    for code in ("0", "403", "429", "500"):
        assert f'kubescribe_api_failures_total{{code="{code}"}} 0.0' in text
    for cause in ("expired", "silent", "throttled"):
        assert f'kubescribe_watch_restarts_total{{cause="{cause}"}} 0.0' in text
    assert 'kubescribe_api_failures_total{code="418"} 1.0' in text
    assert 'kubescribe_watch_lists_total{stream="pods"} 0.0' in text

"""What the agent tells of its streams."""

from agent.metrics import unseen_seconds
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

"""What is news for the journal."""

import pytest

from aggregator.ingest.churn import is_churn


@pytest.mark.parametrize(
    ("patch", "listed", "expected"),
    [
        (b"[]", True, True),
        (b"[]", False, False),
        (b'[{"path":["status","conditions",{"type":"Ready"},"lastHeartbeatTime"],"old":"a","new":"b"}]', False, True),
        (b'[{"path":["status","conditions",{"type":"Ready"},"lastTransitionTime"],"old":"a","new":"b"}]', True, False),
        (b'[{"path":["status","conditions",{"type":"Ready"}],"new":{"lastHeartbeatTime":"b"}}]', True, False),
        (b'[{"path":["spec","replicas"],"old":1,"new":2}]', True, False),
        (
            (
                b'[{"path":["status","conditions",0,"lastHeartbeatTime"],"old":"a","new":"b"},'
                b'{"path":["status","phase"],"old":"a","new":"b"}]'
            ),
            False,
            False,
        ),
    ],
)
def test_only_heartbeats_and_listed_repeats_are_churn(patch, listed, expected):
    assert is_churn(patch, listed=listed) is expected

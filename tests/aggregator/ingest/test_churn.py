"""What of a patch is news."""

import pytest

from aggregator.ingest.churn import is_churn


@pytest.mark.parametrize(
    ("patch", "listed", "churn"),
    [
        (b"[]", True, True),
        (b"[]", False, False),
        (b'[{"path":["status","conditions",{"type":"Ready"},"lastHeartbeatTime"],"old":"a","new":"b"}]', False, True),
        (b'[{"path":["status","conditions",{"type":"Ready"}],"old":null,"new":{"lastProbeTime":"a"}}]', False, False),
        (b'[{"path":["spec","renewTime"],"old":1,"new":2},{"path":["spec","x"],"old":1,"new":2}]', False, False),
        (b'[{"path":[],"old":null,"new":{"lastProbeTime":"a"}}]', False, False),
        (b'[{"path":["status","phase"],"old":"a","new":"b"}]', False, False),
    ],
)
def test_only_heartbeat_times_are_churn_and_an_element_of_a_list_is_none(
    patch: bytes, listed: bool, churn: bool
) -> None:
    assert is_churn(patch, listed=listed) is churn

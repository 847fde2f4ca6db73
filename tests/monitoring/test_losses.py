"""What is counted because it is lost is looked at: such a counter has an alert or a panel, or a reason for neither."""

import re

from tests.monitoring import dashboards
from tests.monitoring.contract import RULES
from tests.monitoring.exported import METRICS_PAGE

LOSS = re.compile(
    r"lost|loss|dropped|refuse|damaged|reject|never take|could (?:not )?be made|overtaken|no room|unseen|failed"
    r"|not what|too (?:long|large|slow|full)|deleted|cannot be|label value `other`|could not be written"
)
"""Words in what docs/metrics.md says of a counter."""

UNWATCHED = {
    "kubescribe_gateway_rejected_lines_total": "kubescribe_loki_rejected_entries_total has them, by the same reasons",
    "kubescribe_log_rejected_lines_total": "kubescribe_loki_rejected_entries_total has them, by the same reasons",
    "kubescribe_watch_churn_dropped_total": "heartbeats and managedFields alone differ: nobody misses these versions",
    "kubescribe_watch_oversized_total": "each is a gap (oversized), which KubescribeEventsDropped is about",
    "kubescribe_watch_undecodable_total": "each is a gap (undecodable), which KubescribeEventsDropped is about",
}
"""Counters of losses that nothing asks for, with the reason."""

_ROW = re.compile(r"^\| `(\w+_total)` \| counter \|.*\| ([^|]+) \|$", re.MULTILINE)


def test_every_counter_of_a_loss_has_an_alert_or_a_panel() -> None:
    asked = "".join(path.read_text() for path in (*RULES, *dashboards.FILES))
    losses = {name for name, said in _ROW.findall(METRICS_PAGE.read_text()) if LOSS.search(f"{name} {said}".lower())}

    assert len(losses) > 15
    assert {name for name in losses if not re.search(rf"\b{name}\b", asked)} == set(UNWATCHED)

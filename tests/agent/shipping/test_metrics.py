"""What the agent tells Prometheus about the lines it ships."""

from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from agent.pods.book import PodBook
from agent.shipping.metrics import TailCollector
from agent.shipping.shipping import ShippingSettings, open_shipping
from kubescribe.loki.config import LokiConfig
from kubescribe.wire.records import Gap


async def test_every_family_is_there_from_the_beginning(tmp_path: Path) -> None:
    async def report(_gaps: Sequence[Gap]) -> None:
        """Nothing is lost here."""

    settings = ShippingSettings(
        data=tmp_path,
        loki=LokiConfig(url="http://127.0.0.1:9"),
        version="1",
        cluster="c1",
        node="n1",
        folder=tmp_path / "pods",
        pod_labels=(),
        hold_seconds=1.0,
        backlog_seconds=1.0,
    )
    async with open_shipping(settings, PodBook(now_ns=lambda: 0), report) as shipping:
        shipping.tailer.counts.rejected_lines["line_too_long"] += 3
        registry = CollectorRegistry()
        registry.register(TailCollector(shipping.tailer))
        text = generate_latest(registry).decode()
        names = [part.name for part in shipping.parts]

    assert 'kubescribe_log_gap_bytes_total{cause="logRotated"} 0.0' in text
    assert 'kubescribe_log_rejected_lines_total{reason="line_too_long"} 3.0' in text
    assert 'kubescribe_log_rejected_lines_total{reason="too_far_behind"} 0.0' in text
    assert "kubescribe_log_unlabelled_lines_total 0.0" in text
    assert "kubescribe_log_lag_bytes 0.0" in text
    assert "kubescribe_log_seconds_to_loss +Inf" in text
    assert names == ["tail", "loki"]

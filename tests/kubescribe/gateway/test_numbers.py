"""What a gateway tells Prometheus: nothing bad begins above 0, and nothing in front of Loki can make up series."""

from prometheus_client import CollectorRegistry, generate_latest

from kubescribe.gateway.errors import GatewayError
from kubescribe.gateway.numbers import STATUSES, GatewayCollector, GatewayNumbers, SpoolNumbers
from kubescribe.loki.answers import REASONS


def told(numbers: GatewayNumbers) -> str:
    registry = CollectorRegistry()
    spool = SpoolNumbers(bytes=0, oldest_seconds=0.0, damaged_frames=0, damaged_bytes=0)
    registry.register(GatewayCollector(numbers, lambda: spool))
    return generate_latest(registry).decode()


def test_what_may_go_wrong_is_told_as_zero_before_it_does() -> None:
    text = told(GatewayNumbers())

    for reason in REASONS:
        assert f'kubescribe_gateway_rejected_lines_total{{reason="{reason}"}} 0.0' in text
    for code in (204, 400, 413, 429, 503):
        assert f'kubescribe_gateway_requests_total{{code="{code}"}} 0.0' in text
    assert 'kubescribe_gateway_lines_total{pod="unknown"} 0.0' in text


def test_every_status_that_a_push_can_be_answered_with_is_among_these() -> None:
    assert {kind.status for kind in GatewayError.__subclasses__()} < set(STATUSES)


def test_reasons_that_are_none_of_lokis_are_one_series() -> None:
    numbers = GatewayNumbers()
    for made_up in range(100):
        numbers.reject(f"reason {made_up}", 1)
    numbers.reject("line_too_long", 2)

    text = told(numbers)

    assert 'kubescribe_gateway_rejected_lines_total{reason="other"} 100.0' in text
    assert 'kubescribe_gateway_rejected_lines_total{reason="line_too_long"} 2.0' in text
    assert text.count("kubescribe_gateway_rejected_lines_total{") == len(REASONS)

"""What is counted is exported once, however many ways to Loki a process has."""

from prometheus_client import CollectorRegistry, generate_latest

from kubescribe.loki.numbers import LokiCollector, LokiNumbers


def test_the_numbers_of_all_senders_of_a_process_are_one_family():
    agent, aggregator = LokiNumbers(), LokiNumbers()
    agent.pushes.update({"204": 2, "none": 1})
    aggregator.pushes["204"] += 3
    aggregator.rejected["line_too_long"] += 4
    agent.is_away = True
    collector = LokiCollector(aggregator)
    registry = CollectorRegistry()
    registry.register(collector)
    collector.add(LokiCollector(agent))

    text = generate_latest(registry).decode()

    assert 'kubescribe_loki_push_total{code="204"} 5.0' in text
    assert 'kubescribe_loki_push_total{code="none"} 1.0' in text
    assert 'kubescribe_loki_rejected_entries_total{reason="line_too_long"} 4.0' in text
    assert "kubescribe_loki_up 0.0" in text
    assert text.count("# TYPE kubescribe_loki_push_total") == 1


def test_a_family_is_there_before_anything_was_sent():
    registry = CollectorRegistry()
    registry.register(LokiCollector(LokiNumbers()))

    assert 'kubescribe_loki_push_total{code="204"} 0.0' in generate_latest(registry).decode()

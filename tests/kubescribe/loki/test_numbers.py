"""What is counted is exported once, however many ways to Loki a process has."""

from prometheus_client import CollectorRegistry, generate_latest

from kubescribe.loki.answers import REASONS, read_answer
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


def test_what_may_go_wrong_is_told_as_zero_before_it_does():
    """`increase()` sees nothing in a series that begins with its first loss."""
    registry = CollectorRegistry()
    registry.register(LokiCollector(LokiNumbers()))
    text = generate_latest(registry).decode()

    for code in ("none", "429", "500"):
        assert f'kubescribe_loki_push_total{{code="{code}"}} 0.0' in text
    for reason in REASONS:
        assert f'kubescribe_loki_rejected_entries_total{{reason="{reason}"}} 0.0' in text


def test_the_reasons_are_those_that_an_answer_is_read_as():
    said = (
        (400, "entry too far behind, oldest acceptable timestamp is: x"),
        (400, "Max entry size '262144' bytes exceeded for stream '{a=\"b\"}' while adding an entry"),
        (400, "stream '{a=\"b\"}' has label name too long: 'x'"),
        (400, "something that nobody ever said"),
        (413, "too large"),
    )
    for status, text in said:
        meaning = read_answer(status, text)
        named = {meaning.reason, *meaning.rejected, *meaning.whole_streams.values()} - {""}
        assert named <= set(REASONS), text
        assert named, text

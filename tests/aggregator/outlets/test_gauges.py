"""The families about the cluster: exact, continued, bounded."""

import json

from prometheus_client import CollectorRegistry, generate_latest

from aggregator.census.roll import Roll
from aggregator.outlets.fleet import AgentStatus, NodeStatus
from aggregator.outlets.gauges import ClusterGauges
from aggregator.records import CounterKey, Facets, JournalState, Published
from kubescribe.wire.records import Gap
from kubescribe.wire.times import to_rfc3339

SECOND = 10**9


class Recording:
    """Ingest, as far as gauges ask it."""

    def agents(self):
        return [
            AgentStatus(
                agent="a1",
                node="n1",
                scope="node",
                connected=True,
                since=0,
                report=None,
                lag_seconds=1.5,
                spool_bytes=7,
            )
        ]

    def nodes(self):
        return [
            NodeStatus(node="n1", state="reporting", by="a1", since=0, is_gone=False),
            NodeStatus(node="n2", state="adopted", by="cluster/c", since=0, is_gone=False),
            NodeStatus(node="n3", state="adopted", by="cluster/c", since=0, is_gone=True),
        ]

    def trouble(self):
        return ""


def state(counters=None, open_gaps=None):
    return JournalState(
        journal_id="j",
        redaction_key=b"",
        last_seq=41,
        counters=counters or {},
        open_gaps=open_gaps or {},
    )


def gauges_of(now=lambda: 100 * SECOND, roll=None, **about):
    gauges = ClusterGauges(state(**about), Recording, version="0.1.0", now_ns=now, roll=roll or Roll())
    registry = CollectorRegistry()
    registry.register(gauges)
    return gauges, lambda: generate_latest(registry).decode()


def test_counters_go_on_from_what_the_journal_held():
    key = CounterKey("changes_total", ("Pod", "modified"))
    gauges, scrape = gauges_of(counters={key: 40})

    gauges.committed([], {key: 2})

    assert 'kubescribe_changes_total{kind="Pod",verb="modified"} 42.0' in scrape()


def test_a_new_series_is_told_as_0_first_and_then_with_all_that_was_counted():
    now = [100 * SECOND]
    gauges, scrape = gauges_of(now=lambda: now[0])
    series = 'kubescribe_gaps_total{cause="expired"}'

    gauges.committed([], {CounterKey("gaps_total", ("expired",)): 1})
    now[0] += 3600 * SECOND
    assert f"{series} 0.0" in scrape()
    gauges.committed([], {CounterKey("gaps_total", ("expired",)): 2})
    now[0] += 15 * SECOND
    assert f"{series} 0.0" in scrape()
    now[0] += 15 * SECOND

    assert f"{series} 3.0" in scrape()
    assert f"{series} 3.0" in scrape()


def test_a_series_that_is_forgotten_is_told_no_more_and_begins_at_0_when_it_is_back():
    key = CounterKey("container_restarts_total", ("pull-request-7", "Deployment", "web", "app"))
    gauges, scrape = gauges_of(counters={key: 40})
    assert 'namespace="pull-request-7"' in scrape()

    gauges.forget([key])
    assert 'namespace="pull-request-7"' not in scrape()

    gauges.committed([], {key: 1})
    (line,) = [line for line in scrape().splitlines() if 'namespace="pull-request-7"' in line]
    assert line.endswith(" 0.0")


def test_lag_is_from_observed_to_committed():
    gauges, scrape = gauges_of()

    for lag in (0.02, 0.2, -5, 2000):
        item = Published(
            seq=42,
            topic="changes",
            committed_at=10_000 * SECOND,
            facets=Facets(observed_at=int((10_000 - lag) * SECOND)),
            json=b"{}",
        )
        gauges.committed([item], {})

    text = scrape()
    assert 'kubescribe_ingest_lag_seconds_bucket{le="0.025"} 2.0' in text
    assert 'kubescribe_ingest_lag_seconds_bucket{le="0.25"} 3.0' in text
    assert 'kubescribe_ingest_lag_seconds_bucket{le="+Inf"} 4.0' in text
    assert "kubescribe_journal_seq 42.0" in text


def test_a_stream_is_blind_while_its_gap_is_open_and_the_time_never_falls():
    now = [100 * SECOND]
    gap = Gap(id="g1", stream="pods", cause="expired", start=90 * SECOND)
    gauges, scrape = gauges_of(now=lambda: now[0], open_gaps={"g1": gap})
    assert 'kubescribe_watch_blind_seconds_total{stream="pods"} 10.0' in scrape()

    closed = {
        "id": "g1",
        "stream": "pods",
        "from": to_rfc3339(90 * SECOND),
        "to": to_rfc3339(95 * SECOND),
        "outcome": "lost",
    }
    published = Published(seq=43, topic="gaps", committed_at=0, facets=Facets(), json=json.dumps(closed).encode())
    gauges.committed([published], {CounterKey("watch_blind_milliseconds", ("pods",)): 5000})
    now[0] = 200 * SECOND

    assert 'kubescribe_watch_blind_seconds_total{stream="pods"} 10.0' in scrape()


def test_blind_time_goes_on_from_what_the_journal_held():
    _, scrape = gauges_of(counters={CounterKey("watch_blind_milliseconds", ("pods",)): 1500})

    assert 'kubescribe_watch_blind_seconds_total{stream="pods"} 1.5' in scrape()


def test_blind_time_of_a_node_that_is_forgotten_is_told_no_more():
    key = CounterKey("watch_blind_milliseconds", ("pods/node=n7",))
    gauges, scrape = gauges_of(counters={key: 1500})
    assert 'stream="pods/node=n7"' in scrape()

    gauges.forget([key])

    assert 'stream="pods/node=n7"' not in scrape()


def test_agents_and_facts_are_told():
    gauges, scrape = gauges_of()

    gauges.set_facts({"bytes": 5, "oldestCommittedAt": 3 * SECOND, "objects": 2})

    text = scrape()
    assert 'kubescribe_agent_up{agent="a1",node="n1"} 1.0' in text
    assert "kubescribe_journal_bytes 5.0" in text
    assert "kubescribe_journal_oldest_timestamp_seconds 3.0" in text
    assert 'kubescribe_build_info{version="0.1.0"} 1.0' in text


def test_each_node_is_told_by_who_reports_it_until_it_is_deleted():
    _, scrape = gauges_of()

    text = scrape()
    assert 'kubescribe_node_coverage{node="n1",state="reporting"} 1.0' in text
    assert 'kubescribe_node_coverage{node="n1",state="adopted"} 0.0' in text
    assert 'kubescribe_node_coverage{node="n2",state="adopted"} 1.0' in text
    assert 'node="n3"' not in text

"""What Prometheus' own tools say of /metrics."""

import subprocess

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed

from agent.metrics import AgentCollector, AgentNumbers
from aggregator.census.families import COUNTERS, GAUGES
from aggregator.census.nodes import NodeState
from aggregator.census.pods import PodState, Resource
from aggregator.census.roll import Roll
from aggregator.metrics import AggregatorMetrics
from aggregator.outlets.gauges import ClusterGauges
from aggregator.records import CounterKey, JournalState, ObjectKey
from kubescribe.runtime.exposition import exposition
from tests.programs import program


def a_roll() -> Roll:
    pod = PodState(
        namespace="shop",
        name="orders-1",
        node="n1",
        workload_kind="Deployment",
        workload="orders",
        phase="Running",
        is_unschedulable=False,
        names=("app",),
        resources=(Resource("app", "memory", "byte", 1.0, 2.0),),
        instances=(),
    )
    roll = Roll()
    roll.take({ObjectKey("Pod", "u"): pod, ObjectKey("Node", "n"): NodeState(name="n1", conditions=(("Ready", 1),))})
    roll.complete()
    return roll


def of_both_daemons(encoder, *, is_openmetrics: bool) -> bytes:
    counters = {CounterKey(name, tuple(f"a-{label}" for label in it.labels)): 3 for name, it in COUNTERS.items()}
    state = JournalState(journal_id="j", redaction_key=b"", counters=counters)
    registry = CollectorRegistry()
    AggregatorMetrics(registry)
    registry.register(ClusterGauges(state, lambda: None, version="1", now_ns=lambda: 1, roll=a_roll()))
    by = {"a": 1}
    numbers = AgentNumbers(
        counts={},
        requests={"get pods": 1},
        failures=by,
        restarts=by,
        blind_seconds=by,
        lists=by,
        unseen_seconds=by,
        streams=by,
        spool_bytes=0,
        spool_limit_bytes=0,
        spool_records=0,
        link_connected=True,
        leader=True,
    )
    registry.register(AgentCollector(lambda: numbers))
    return b"".join(exposition(registry, encoder, is_openmetrics=is_openmetrics))


def test_openmetrics_reads_as_prometheus_reads_it() -> None:
    families = list(parsed(of_both_daemons(openmetrics, is_openmetrics=True).decode()))

    assert {f"kubescribe_{name}" for name in (*(it.removesuffix("_total") for it in COUNTERS), *GAUGES)} <= {
        family.name for family in families
    }


def test_promtool_finds_nothing_to_say_about_the_metrics() -> None:
    promtool = program("promtool")

    text = of_both_daemons(generate_latest, is_openmetrics=False)
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)

    assert (done.stdout.decode(), done.stderr.decode(), done.returncode) == ("", "", 0)

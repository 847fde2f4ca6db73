"""
The metric contract, both ways: what the product tells a real Prometheus, and what dashboards and rules ask of it.

One file, since one product and one Prometheus run for all of it. What it exports is what its processes answer. That
each check of a query can fail is shown in test_promql, test_logql and test_lint. Queries of Loki are executed by the
strict stand-in.
"""

import asyncio
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed

from tests.e2e.processes import ANYWHERE, Process, eventually, running
from tests.monitoring import contract, dashboards, lint
from tests.monitoring.contract import RULES, rules_of
from tests.monitoring.dashboards import Query, queries_of, substituted
from tests.monitoring.exported import documented, told, with_foreign
from tests.monitoring.logql import LOGFMT, METADATA, STREAM_LABELS
from tests.monitoring.product import Product
from tests.monitoring.prometheus import NAMESPACE, Prometheus
from tests.monitoring.promql import OPTIONAL, TARGET_LABELS, Vocabulary
from tests.monitoring.stirring import GRINDER, kill_grinder

pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).parents[2]
RANGE_SECONDS = 60
EXECUTED = {
    **dashboards.CHECKED,
    "__rate_interval": "1m",
    "__interval": "1s",
    "__interval_ms": "1000",
    "__range": f"{RANGE_SECONDS}s",
    "__range_s": str(RANGE_SECONDS),
    "__range_ms": str(RANGE_SECONDS * 1000),
    "__auto": "5s",
    "installation": NAMESPACE,
}
"""Grafana's variables over all that there is: a minute."""

EMPTY = {("kubescribe-storage", "Counts folded into other"): "it takes thousands of series to reach a limit"}
"""Panels that show nothing here, with the reason."""

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
OOM = f'kubescribe_container_terminations_total{{namespace="default", workload="{GRINDER}", reason="OOMKilled"}}'
COUNTERS = "kubescribe_(changes|occurrences|gaps|rollouts|container_restarts|container_terminations)_total"


def test_every_target_is_up_and_every_sample_is_taken(prom: Prometheus, product: Product) -> None:
    prom.scraped()

    assert prom.troubles() == []
    assert prom.number("count(up == 1)") == len(product.targets)
    assert prom.query("scrape_samples_scraped != scrape_samples_post_metric_relabeling") == []
    assert [line for line in prom.log.splitlines() if "level=warn" in line or "level=error" in line] == []


def test_what_is_about_the_cluster_keeps_its_own_labels(prom: Prometheus) -> None:
    ours = f'namespace="{NAMESPACE}"'
    of_pods = "kubescribe_container_memory_working_set_bytes"

    assert prom.query(f"kubescribe_pods{{{ours}}}") == []
    assert prom.query(f"{of_pods}{{{ours}}}") == []
    assert prom.query(f'{of_pods}{{pod="kubescribe-aggregator-0"}}') == []
    assert prom.query('{__name__=~"kubescribe_.+", exported_namespace!=""}') == []
    assert prom.number(f'count(kubescribe_journal_seq{{{ours}, pod="kubescribe-aggregator-0"}})') == 1


@pytest.fixture(scope="module")
def answering(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Process]]:
    """Everything that serves /metrics, `up` too, which watches the same cluster."""
    folder = tmp_path_factory.mktemp("up")
    options = ("--kubeconfig", str(product.cluster.kubeconfig), "--data", str(folder / "data"))
    with running("up", folder, *options, *ANYWHERE) as up:
        yield [*product.processes, up]


def test_promtool_finds_nothing_to_say_about_what_is_served(
    product: Product, answering: list[Process], promtool: str
) -> None:
    for process in answering:
        text = product.exposition(process)
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)

        assert (done.stdout, done.stderr, done.returncode) == ("", "", 0), process.role


def test_openmetrics_names_the_families_of_the_text_format(product: Product, answering: list[Process]) -> None:
    def types_of(process: Process) -> set[str]:
        return set(re.findall(r"^# TYPE (\S+) ", product.exposition(process), re.MULTILINE))

    def told_in_both(process: Process) -> tuple[set[str], list[str]] | None:
        before = types_of(process)
        families = [family.name for family in parsed(product.exposition(process, Accept=OPENMETRICS))]
        # A young product hears of more between two answers: usage, for one.
        return (before, families) if types_of(process) == before else None

    for process in answering:
        types, families = eventually(lambda it=process: told_in_both(it))

        assert len(families) == len(set(families)), process.role
        # The text format has a family more for when a counter began.
        assert {name.removesuffix("_total") for name in types if not name.endswith("_created")} == set(families)


@pytest.fixture(scope="module")
def exported(product: Product) -> Vocabulary:
    return told(product.exposition(process) for process in product.processes)


@pytest.fixture(scope="module")
def known(exported: Vocabulary) -> Vocabulary:
    return contract.with_records(with_foreign(exported), [rule for path in RULES for rule in contract.rules_of(path)])


def test_every_family_of_the_page_is_exported_with_its_labels(exported: Vocabulary) -> None:
    page = documented()
    missing = {name for name in page if not {name, f"{name}_sum"} & set(exported.labels)}
    more = {
        name: labels - page[name] - TARGET_LABELS
        for name, labels in exported.labels.items()
        if name in page and labels - page[name] - TARGET_LABELS
    }

    assert missing == set()
    assert more == {}


@pytest.mark.parametrize("path", dashboards.FILES, ids=lambda path: path.stem)
def test_a_dashboard_asks_for_what_there_is(path: Path, known: Vocabulary) -> None:
    assert contract.faults_of_dashboard(dashboards.read(path), known) == []


@pytest.mark.parametrize("path", dashboards.FILES, ids=lambda path: path.stem)
def test_a_dashboard_is_portable_and_explains_itself(path: Path) -> None:
    assert lint.faults(dashboards.read(path)) == []


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_a_rule_asks_for_what_there_is(path: Path, known: Vocabulary) -> None:
    assert [fault for rule in contract.rules_of(path) for fault in contract.faults_of_rule(rule, known)] == []


def test_loki_has_the_labels_and_the_metadata_that_queries_are_held_against(product: Product) -> None:
    eventually(lambda: product.streams('{stream="event"}') and product.streams('{stream="stdout"}'))
    labels = {name for stream, _ in product.streams('{stream=~".+"}') for name in stream}
    own = [line for _, lines in product.streams('{stream=~"event|change|termination"}') for line in lines]
    keys = {word.partition("=")[0] for line in own for word in re.sub(r'"(\\.|[^"])*"', "", line).split()}

    assert product.stream_labels() == STREAM_LABELS
    assert labels <= STREAM_LABELS | METADATA
    assert "level" in keys
    assert keys <= LOGFMT


def test_every_rule_is_evaluated_without_an_error(prom: Prometheus) -> None:
    eventually(lambda: all(rule["health"] != "unknown" for rule in prom.rules()))

    assert [rule["lastError"] for rule in prom.rules() if rule["health"] != "ok"] == []
    assert len(prom.rules()) == sum(len(rules_of(path)) for path in RULES)


def test_no_alert_is_on_its_way_while_the_product_is_well(prom: Prometheus) -> None:
    """Thresholds are held against what the processes really tell; those about the pretend cluster may have reasons."""
    eventually(lambda: all(rule["health"] == "ok" for rule in prom.rules()))
    about_cluster = {rule["name"] for rule in prom.rules() if rule["group"].startswith("kubescribe-cluster")}

    def active() -> set[str]:
        return {alert["labels"]["alertname"] for alert in prom.alerts()} - about_cluster

    # What is pending at a start, such as a journal that is not written yet, is over within seconds.
    eventually(lambda: active() == {"KubescribeWatchdogAlways"}, lambda: (prom.alerts(), prom.troubles()), seconds=90)


def test_every_record_has_samples_with_the_name_that_it_gives(prom: Prometheus) -> None:
    for rule in (rule for rule in prom.rules() if rule["type"] == "recording"):
        prom.until(rule["name"])


def asked(query: Query, board: dashboards.Dashboard) -> str:
    return substituted(query.expr, {**board.values(), **EXECUTED})


@pytest.mark.parametrize("path", dashboards.FILES, ids=lambda path: path.stem)
def test_every_query_is_executed_and_every_panel_shows_something(path: Path, prom: Prometheus) -> None:
    board = dashboards.read(path)
    panels = {panel["title"]: [it for it in queries_of(panel) if it.kind == "prometheus"] for panel in board.panels()}

    def empty() -> set[str]:
        return {
            title
            for title, queries in panels.items()
            if queries and not any(prom.query_range(asked(it, board), seconds=RANGE_SECONDS) for it in queries)
        }

    left = {title for name, title in EMPTY if name == board.name}
    eventually(lambda: empty() == left, lambda: (empty() - left, left - empty()))


@pytest.mark.parametrize("path", dashboards.FILES, ids=lambda path: path.stem)
def test_every_variable_and_annotation_of_prometheus_is_answered(path: Path, prom: Prometheus) -> None:
    board = dashboards.read(path)
    of_panels = {query.where for panel in board.panels() for query in queries_of(panel)}

    for query in (it for it in board.queries() if it.kind == "prometheus" and it.where not in of_panels):
        found = prom.query(asked(query, board))

        assert found, query.where
        if query.label and query.label not in OPTIONAL:
            assert all(query.label in sample.labels for sample in found), query.where


@pytest.mark.parametrize("path", dashboards.FILES, ids=lambda path: path.stem)
def test_every_query_of_loki_is_executed_and_finds_something(path: Path, product: Product) -> None:
    """Of panels and annotations, over a range as Grafana asks them; what counts has the labels of its legend."""
    board = dashboards.read(path)
    queries = [query for query in board.queries() if query.kind == "loki"]

    def found(query: Query) -> list[dict[str, Any]]:
        end = time.time()
        expr, window = asked(query, board), {"start": int(end - 3600), "end": int(end) + 1, "step": 5}
        result: list[dict[str, Any]] = product.loki_query("query_range", query=expr, limit=100, **window)["result"]
        return result

    assert queries
    for query in queries:
        eventually(lambda query=query: found(query), lambda query=query: asked(query, board))
        for name in re.findall(r"\{\{(\w+)\}\}", query.legend):
            assert any(name in series["metric"] for series in found(query)), (query.where, name)


def test_the_queries_that_the_pages_about_logs_show_are_executed(product: Product) -> None:
    text = "".join((ROOT / "docs" / name).read_text() for name in ("logs.md", "loki-outlet.md"))
    shown = re.findall(r"(?:`|^    )((?:\{|sum|topk)[^`\n]*\{?\w+=\"[^`\n]*)", text.replace("\\|", "|"), re.MULTILINE)
    queries = [it for it in shown if '="' in it]

    assert len(queries) > 10
    for query in queries:
        product.loki_query("query_range", query=query, limit=10, since="5m")


def test_the_first_oom_kill_and_the_one_after_a_kill_are_each_an_increase_of_one(
    product: Product, prom: Prometheus
) -> None:
    prom.until(f"{OOM} == 0")

    asyncio.run(kill_grinder(product, 1))
    prom.until(f"{OOM} == 1")
    first = prom.query(f"increase({OOM}[5m]) > 0")
    product.restart_aggregator()
    prom.scraped()
    prom.until(f"{OOM} == 1")
    asyncio.run(kill_grinder(product, 2))
    prom.until(f"{OOM} == 2")

    assert len(first) == 1
    # What the journal counts goes on; what the process counts about itself begins anew.
    assert prom.query(f'resets({{__name__=~"{COUNTERS}"}}[10m]) > 0') == []
    assert prom.query("resets(kubescribe_ingest_commits_total[10m]) > 0") != []
    (steps,) = prom.query_range(OOM, seconds=60, step=0.5)
    assert [value for _, value in steps.values] == sorted(value for _, value in steps.values)

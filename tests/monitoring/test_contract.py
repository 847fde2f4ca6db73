"""
The metric contract: dashboards, alerts and recording rules ask for nothing that the product does not export.

What it exports is what its running processes answer. That each check can fail is in test_promql, test_logql, test_lint.
"""

import re
from pathlib import Path

import pytest

from tests.e2e.processes import eventually
from tests.monitoring import contract, dashboards, lint
from tests.monitoring.conftest import RULES
from tests.monitoring.exported import documented, told, with_foreign
from tests.monitoring.logql import LOGFMT, METADATA, STREAM_LABELS
from tests.monitoring.product import Product
from tests.monitoring.promql import TARGET_LABELS, Vocabulary

pytestmark = pytest.mark.timeout(120)


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

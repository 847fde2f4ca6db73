"""The real Prometheus scrapes aggregator and agents as it would in a cluster, and has nothing to complain of."""

import re
import subprocess
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed

from tests.e2e.processes import ANYWHERE, Process, running
from tests.monitoring.product import Product
from tests.monitoring.prometheus import NAMESPACE, Prometheus

pytestmark = pytest.mark.timeout(120)

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


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
    for process in answering:
        families = [family.name for family in parsed(product.exposition(process, Accept=OPENMETRICS))]
        types = re.findall(r"^# TYPE (\S+) ", product.exposition(process), re.MULTILINE)

        assert len(families) == len(set(families)), process.role
        # The text format has a family more for when a counter began.
        assert {name.removesuffix("_total") for name in types if not name.endswith("_created")} == set(families)

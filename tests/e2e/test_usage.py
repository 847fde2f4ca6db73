"""Usage through processes: a kubelet asked by a node's agent, metrics.k8s.io for the rest, the API and /metrics."""

import asyncio
import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from simulator.world import staticpods
from tests.e2e.processes import Rig, ask, eventually, rigged, running
from tests.ports import free_port

pytestmark = pytest.mark.timeout(120)

STANDALONE = ("--profile", "standalone", "--usage-interval", "1s")
CPU = re.compile(r'^kubescribe_container_cpu_usage_seconds_total\{.*node="([^"]+)".*\} (\S+)$', re.MULTILINE)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rigged(
        tmp_path_factory.mktemp("usage"), "--nodes", "2", "--pods", "12", "--seed", "3", agent=STANDALONE
    ) as it:
        yield it


def items(rig: Rig, query: str) -> list[dict[str, Any]]:
    return rig.get(f"/api/v1/usage?limit=1000&{query}").json()["items"]


def scraped(rig: Rig) -> str:
    return ask(rig.aggregator.said["metrics"] + "/metrics").body.decode()


def counters(rig: Rig) -> dict[str, float]:
    totals: dict[str, float] = {}
    for node, value in CPU.findall(scraped(rig)):
        totals[node] = totals.get(node, 0.0) + float(value)
    return totals


def test_usage_is_told_by_metrics_k8s_io_and_by_the_kubelet_where_an_agent_asks_it(rig: Rig, tmp_path: Path) -> None:
    eventually(lambda: any(it["cpu"]["requestCores"] for it in items(rig, "kind=Pod")), lambda: rig.agent.log[-2000:])
    assert {it["source"] for it in items(rig, "kind=Pod")} == {"metrics"}
    assert counters(rig) == {}, "metrics.k8s.io has no counters"
    nodes = sorted(it["name"] for it in items(rig, "kind=Node"))
    assert len(nodes) == 2

    with running(
        "agent",
        tmp_path,
        *("--data", str(tmp_path / "node"), "--kubeconfig", str(rig.cluster.kubeconfig), "--metrics", "127.0.0.1:0"),
        *("--aggregator", rig.aggregator.said["ingest"], "--spool-free-floor", "0%", *STANDALONE),
        *("--scope", "node", "--node", nodes[0]),
        *("--usage-kubelet", f"{rig.cluster.url}/simulator/kubelets/{nodes[0]}"),
    ) as agent:
        first = eventually(lambda: counters(rig), lambda: agent.log[-2000:])
        eventually(lambda: counters(rig)[nodes[0]] > first[nodes[0]])
        assert set(first) == {nodes[0]}

        def without_volumes() -> set[str]:
            pods = items(rig, f"kind=Pod&node={nodes[0]}")
            return {pod["name"] for pod in pods if pod["source"] == "kubelet" and not pod["volumes"]}

        # The kubelet knows it by another uid than the API does; it has no token, and so no volume.
        static = {f"{staticpods.NAME}-{nodes[0]}"}
        eventually(lambda: without_volumes() == static)
        eventually(lambda: any(pod["workload"] for pod in items(rig, f"kind=Pod&node={nodes[0]}")))
        node = items(rig, f"kind=Node&node={nodes[0]}")[0]
        assert node["cpu"]["allocatableCores"] > node["cpu"]["requestCores"] > 0
        assert agent.metric('kubescribe_usage_rounds_total{outcome="ok"}') > 0

        before, began = counters(rig)[nodes[0]], time.monotonic()
        for how in ("nan", "negative", "backwards", "names", "future", "crowd"):
            asyncio.run(_spoil(rig, nodes[0], how))
            rounds = agent.metric("kubescribe_usage_rounds_total")
            eventually(lambda rounds=rounds: agent.metric("kubescribe_usage_rounds_total") > rounds)
            assert rig.get("/api/v1/usage").status == 200
            # A series that comes twice, or a line that is none, would be an error here.
            assert list(text_string_to_metric_families(scraped(rig)))
        assert agent.metric('kubescribe_usage_rounds_total{outcome="undecodable"}') > 0
        most = before + 64 * (time.monotonic() - began + 60)
        asyncio.run(_spoil(rig, nodes[0], ""))
        eventually(lambda: before < counters(rig).get(nodes[0], 0.0) < most)
        assert rig.aggregator.metric("kubescribe_usage_refused_total") > 0


async def _spoil(rig: Rig, node: str, how: str) -> None:
    async with rig.cluster.control() as control:
        await control.spoil_usage(how, node)


@contextmanager
def scraping(url: str) -> Iterator[list[int]]:
    """Scrape *url* all the time during the block; yield the statuses, 0 for an answer that was cut."""
    statuses, enough = [], threading.Event()

    def scrape() -> None:
        while not enough.is_set():
            try:
                statuses.append(ask(url).status)
            except http.client.HTTPException:
                statuses.append(0)
            except OSError:
                enough.wait(0.01)  # nobody listens (yet, or any more)

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield statuses
    finally:
        enough.set()
        thread.join()


def test_a_scrape_of_an_agent_is_answered_whole_from_its_start_to_its_stop(rig: Rig, tmp_path: Path) -> None:
    port = free_port()
    node = items(rig, "kind=Node")[0]["name"]
    with (
        scraping(f"http://127.0.0.1:{port}/metrics") as statuses,
        running(
            "agent",
            tmp_path,
            *("--data", str(tmp_path / "node"), "--kubeconfig", str(rig.cluster.kubeconfig)),
            *("--metrics", f"127.0.0.1:{port}", "--aggregator", rig.aggregator.said["ingest"]),
            *("--spool-free-floor", "0%", *STANDALONE, "--scope", "node", "--node", node),
            *("--usage-kubelet", f"{rig.cluster.url}/simulator/kubelets/{node}"),
        ) as agent,
    ):
        eventually(lambda: agent.metric('kubescribe_usage_rounds_total{outcome="ok"}') > 0)
        assert agent.end() == 0

    assert len(statuses) > 1
    assert set(statuses) == {200}


def test_the_aggregator_stays_well_and_answers_what_it_knows(rig: Rig) -> None:
    status = rig.get("/api/v1/usage?kind=Node").json()

    assert status["complete"] is True
    assert ask(rig.aggregator.said["metrics"] + "/metrics").status == 200

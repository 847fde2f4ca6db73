"""Lines of a workload whose pods are on two nodes: merged, filtered, followed; what is missing is said."""

import json
import os
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simulator.logs.writer import ContainerLog
from tests.e2e.browser import opened_page
from tests.e2e.checkout import deploy, log_of
from tests.e2e.processes import ANYWHERE, Process, Rig, eventually, pretend_cluster, running

pytestmark = pytest.mark.timeout(120)

MARK = f"Zq7{os.urandom(6).hex()}Xw9"
"""In every planted credential, and nowhere else."""

NODES = ("node-a", "node-b")
SECRETS = (
    "password={}",
    '{{"user":"bob","apiKey":"{}"}}',
    "GET /?token={}&x=1",
    "postgres://app:{}@db:5432/shop",
    "Authorization: Bearer {}",
)


@dataclass
class Shop:
    """A Deployment of two pods, each on a node with an agent and files of its own."""

    rig: Rig
    agents: dict[str, Process]
    logs: dict[str, ContainerLog]
    stack: ExitStack

    def ask(self, query: str) -> dict[str, Any]:
        return self.rig.get(f"/api/v1/logs?namespace=default&{query}").json()

    def texts(self, query: str) -> list[str]:
        return [item["text"] for item in self.ask(query)["items"]]

    def start(self, node: str) -> None:
        folder = self.rig.folder / node
        self.agents[node] = self.stack.enter_context(
            running(
                "agent",
                folder,
                *("--data", str(folder), "--kubeconfig", str(self.rig.cluster.kubeconfig)),
                *("--metrics", "127.0.0.1:0", "--aggregator", self.rig.aggregator.said["ingest"]),
                *("--spool-free-floor", "0%", "--scope", "node", "--node", node, "--logs", str(folder / "pods")),
            )
        )


async def logging_pod(shop: Shop, number: int, node: str) -> ContainerLog:
    made = await deploy(shop.rig.cluster, "abcd"[number] * 5, node)
    shop.rig.arrived(made["uid"], made["resourceVersion"])
    return log_of(made, shop.rig.folder / node / "pods")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("logs")
    with ExitStack() as stack:
        cluster = stack.enter_context(pretend_cluster(folder / "cluster", "--quiet"))
        serving = stack.enter_context(running("aggregator", folder, "--data", str(folder / "journal"), *ANYWHERE))
        shop = Shop(Rig(cluster, serving, serving, folder), {}, {}, stack)
        for node in NODES:
            shop.start(node)
        yield shop


@pytest.fixture
async def shop(stage: Shop) -> Shop:
    if not stage.logs:
        async with stage.rig.cluster.control() as control:
            for node in NODES:
                await control.create("nodes", {"metadata": {"name": node}, "spec": {}, "status": {}})
        for number, node in enumerate(NODES):
            stage.logs[node] = await logging_pod(stage, number, node)
        for round_ in range(3):
            for node in NODES:
                stage.logs[node].write([f"INFO {node} round {round_}"])
    return stage


async def test_lines_of_a_workload_are_one_list_over_its_nodes(shop: Shop) -> None:
    body = shop.ask("workload=checkout&since=5m")

    assert [item["text"] for item in body["items"]] == [f"INFO {node} round {n}" for n in range(3) for node in NODES]
    assert (body["complete"], body["missing"], body["next"]) == (True, [], None)
    assert shop.texts("pod=checkout-5d8f7c9b6-aaaaa&since=5m&grep=round+1") == ["INFO node-a round 1"]


async def test_the_instance_before_is_read_through_its_rotations(shop: Shop) -> None:
    log = shop.logs["node-a"]
    for part in range(3):
        log.write([f"ERROR before {part}"])
        log.rotate()
    log.write(["FATAL last words"])
    log.restart()
    log.write(["INFO again"])

    assert shop.texts("workload=checkout&previous=true&level=error") == [
        *(f"ERROR before {part}" for part in range(3)),
        "FATAL last words",
    ]


async def test_no_planted_secret_passes(shop: Shop) -> None:
    shop.logs["node-b"].write([form.format(f"{MARK}{at}") for at, form in enumerate(SECRETS)])

    body = shop.rig.get("/api/v1/logs?namespace=default&workload=checkout&limit=1000").body
    probed = shop.texts(f"workload=checkout&grep={MARK}")

    assert MARK.encode() not in body
    assert body.count(b"[scrubbed secret]") == len(SECRETS)
    assert probed == []


async def test_lines_are_followed_over_nodes_and_new_pods_join(shop: Shop) -> None:
    url = shop.rig.aggregator.said["http"].rstrip("/") + "/api/v1/logs?namespace=default&workload=checkout&follow=true"
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: ASYNC210 - nothing else runs in this loop

        def until(text: str) -> list[str]:
            found: list[str] = []
            while text not in found:
                found.append(json.loads(answer.readline()).get("text", ""))
            return found

        until("INFO node-b round 2")
        shop.logs["node-a"].write(["one"])
        until("one")
        shop.logs["node-b"].write(["two"])
        until("two")
        young = await logging_pod(shop, 2, "node-b")
        young.write(["of a new pod"])
        assert until("of a new pod")[-1] == "of a new pod"


async def test_the_page_shows_the_lines_of_the_pod_that_is_clicked_on(shop: Shop, tmp_path: Path) -> None:
    pod = "checkout-5d8f7c9b6-aaaaa"
    async with opened_page(tmp_path / "chromium", shop.rig.aggregator.said["http"]) as page:
        await page.until("#rows", pod)
        await page.click(f'#rows [data-name="{pod}"]')
        await page.until("#lines-list", "INFO node-a round 0")
        shop.logs["node-a"].write(["WARN seen as it came <b>"])
        await page.until("#lines-list", "WARN seen as it came <b>")
        await page.click('#lines-form [name="previous"]')
        await page.call(
            "Runtime.evaluate",
            expression="document.querySelector('#lines-form').dispatchEvent(new Event('input', {bubbles: true}))",
        )
        await page.until("#lines-said", "whole")

        assert "WARN seen as it came" not in await page.text("#lines-list")
        assert page.errors == []


async def test_an_agent_that_is_away_is_told_and_the_others_answer(shop: Shop) -> None:
    shop.agents["node-b"].end()
    eventually(lambda: not shop.ask("workload=checkout&since=5m")["complete"])

    body = shop.ask("workload=checkout&since=5m")

    assert any("node node-b: no agent there answers" in text for text in body["missing"])
    assert {item["node"] for item in body["items"]} == {"node-a"}
    shop.start("node-b")
    eventually(lambda: {item["node"] for item in shop.ask("workload=checkout&since=5m")["items"]} == set(NODES))

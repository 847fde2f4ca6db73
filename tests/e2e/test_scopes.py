"""A node's agent and the cluster's agent as processes, and who tells what of a pod."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import ANYWHERE, Cluster, Process, Rig, ask, eventually, pretend_cluster, running

pytestmark = pytest.mark.timeout(120)

QUICK = ("--election-lease", "3s", "--election-renew", "200ms", "--election-deadline", "1500ms")


def agent(folder: Path, cluster: Cluster, aggregator: Process, *options: str) -> Any:
    return running(
        "agent",
        folder,
        *("--data", str(folder), "--kubeconfig", str(cluster.kubeconfig), "--metrics", "127.0.0.1:0"),
        *("--aggregator", aggregator.said["ingest"], "--spool-free-floor", "0%", *options),
    )


@contextmanager
def of_node(folder: Path, cluster: Cluster, aggregator: Process, node: str) -> Iterator[Process]:
    with agent(folder, cluster, aggregator, "--scope", "node", "--node", node) as it:
        eventually(lambda: it.ready()["status"] == "ok", it.ready)
        yield it


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("scopes")
    with (
        pretend_cluster(folder / "cluster", "--quiet") as cluster,
        running(
            "aggregator", folder, "--data", str(folder / "journal"), "--adoption-after", "1s", *ANYWHERE
        ) as serving,
        agent(folder / "cluster-agent", cluster, serving, "--scope", "cluster", *QUICK) as watching,
    ):
        rig = Rig(cluster, serving, watching, folder)
        eventually(
            lambda: watching.metric('kubescribe_watch_streams{state="live"}') >= 30, lambda: watching.log[-2000:]
        )
        yield rig


async def add_pod(rig: Rig, node: str = "") -> dict[str, Any]:
    spec = {"containers": [{"name": "app", "image": "app:1"}], **({"nodeName": node} if node else {})}
    pod = {"metadata": {"name": f"pod-{os.urandom(4).hex()}", "namespace": "default"}, "spec": spec}
    async with rig.cluster.control() as control:
        return await control.create("pods", pod)


async def add_node(rig: Rig) -> str:
    name = f"node-{os.urandom(4).hex()}"
    async with rig.cluster.control() as control:
        await control.create("nodes", {"metadata": {"name": name}, "spec": {}, "status": {}})
    return name


def streams(rig: Rig, name: str) -> dict[str, str]:
    items = rig.get("/api/v1/agents").json()["items"]
    return {stream["name"]: stream["state"] for it in items if it["agent"] == name for stream in it["streams"]}


def cluster_agent(rig: Rig) -> str:
    return next(it["agent"] for it in rig.get("/api/v1/agents").json()["items"] if it["scope"] == "cluster")


def adopts(rig: Rig, node: str) -> bool:
    return streams(rig, cluster_agent(rig)).get(f"pods/node={node}") == "live"


async def arrived(rig: Rig, pod: dict[str, Any]) -> Any:
    return await asyncio.to_thread(rig.arrived, pod["metadata"]["uid"], pod["metadata"]["resourceVersion"])


async def test_a_node_without_an_agent_is_adopted_until_its_own_one_comes(rig: Rig) -> None:
    node = await add_node(rig)
    eventually(lambda: adopts(rig, node), lambda: rig.agent.log[-1500:])
    await arrived(rig, await add_pod(rig, node))

    with of_node(rig.folder / node, rig.cluster, rig.aggregator, node) as own:
        eventually(lambda: not adopts(rig, node), lambda: rig.agent.log[-1500:])
        change = await arrived(rig, await add_pod(rig, node))
        assert change["name"]
        eventually(lambda: streams(rig, f"node/{node}") == {f"pods/node={node}": "live"}, lambda: own.log[-800:])

        own.end(signal.SIGKILL)
        eventually(lambda: adopts(rig, node), lambda: rig.agent.log[-1500:])
        await arrived(rig, await add_pod(rig, node))


async def test_a_node_agent_asks_for_its_pods_and_nothing_else(rig: Rig) -> None:
    node = await add_node(rig)
    with of_node(rig.folder / node, rig.cluster, rig.aggregator, node) as own:
        await arrived(rig, await add_pod(rig, node))

        text = ask(own.said["metrics"] + "/metrics").body.decode()
        asked = {line.split("}")[0] for line in text.splitlines() if line.startswith("kubescribe_api_requests_total{")}
        resources = {line.split('resource="')[1].split('"')[0] for line in asked}
        assert resources - {"version"} == {"pods", "namespaces"}
        assert "kubescribe_agent_leader" not in text
        assert ask(own.said["metrics"] + "/readyz").status == 200


async def test_a_pod_that_is_deleted_before_it_has_a_node_is_deleted_for_the_journal(rig: Rig) -> None:
    """It leaves the watch of pods without a node as one that is bound does; only a GET tells."""
    pod = await add_pod(rig)
    await arrived(rig, pod)
    async with rig.cluster.control() as control:
        await control.delete("pods", "default", pod["metadata"]["name"])

    def gone() -> Any:
        items = rig.get(f"/api/v1/objects/{pod['metadata']['uid']}/history").json()["items"]
        return [item for item in items if "eleted" in item["verb"]]

    await asyncio.to_thread(eventually, gone, lambda: rig.agent.log[-1500:])


async def test_while_nobody_leads_the_journal_says_that_it_does_not_see(rig: Rig) -> None:
    def blind(outcome: str) -> Any:
        gaps = rig.get("/api/v1/gaps?limit=1000").json()["items"]
        return {
            gap["stream"] for gap in gaps if gap["outcome"] == outcome and "leads no longer" in (gap["detail"] or "")
        }

    async with rig.cluster.control() as control:
        await control.hang("leases.coordination.k8s.io", count=10_000)
        await asyncio.to_thread(eventually, lambda: len(blind("open")) >= 30, lambda: rig.agent.log[-1500:])
        assert rig.get("/api/v1/changes?limit=1").json()["complete"] is False

        await control.mend()
        await asyncio.to_thread(eventually, lambda: not blind("open"), lambda: blind("open"), 60.0)

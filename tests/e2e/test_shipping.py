"""A node agent of the profile standalone ships the lines of its pods to Loki, under the names of their workloads."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from simulator.logs.writer import ContainerLog
from tests.e2e.checkout import deploy, entries, log_of
from tests.e2e.processes import ANYWHERE, Cluster, Process, Rig, ask, eventually, pretend_cluster, running
from tests.ports import free_port

pytestmark = pytest.mark.timeout(120)


class Stage:
    """One node with an agent that ships, and a stand-in for Loki."""

    def __init__(self, folder: Path, cluster: Cluster, serving: Process, loki: str) -> None:
        self.folder, self.cluster, self.loki = folder, cluster, loki
        self.rig = Rig(cluster, serving, serving, folder)
        self.lives = 0

    @contextmanager
    def agent(self, *options: str) -> Iterator[Process]:
        folder = self.folder / "agent"
        self.lives += 1
        with running(
            "agent",
            self.folder / f"life-{self.lives}",
            *("--data", str(folder), "--kubeconfig", str(self.cluster.kubeconfig), "--metrics", "127.0.0.1:0"),
            *("--aggregator", self.rig.aggregator.said["ingest"], "--spool-free-floor", "0%", "--scope", "node"),
            # Nobody here tells the aggregator of Nodes.
            *(
                "--node",
                "node-a",
                "--logs-first-hold",
                "0s",
                "--logs",
                str(self.folder / "pods"),
                "--loki",
                self.loki,
                *options,
            ),
        ) as process:
            yield process

    def cluster_agent(self) -> Any:
        """Run an agent that tells of everything but nodes' pods."""
        return running(
            "agent",
            self.folder / "cluster-agent",
            *("--data", str(self.folder / "cluster-data"), "--kubeconfig", str(self.cluster.kubeconfig)),
            *("--aggregator", self.rig.aggregator.said["ingest"], "--metrics", "127.0.0.1:0"),
            *("--spool-free-floor", "0%", "--scope", "cluster"),
        )

    def entries(self, query: str) -> list[tuple[dict[str, str], str]]:
        return entries(self.loki, query)

    def lines(self, query: str = '{namespace="default"}') -> list[str]:
        return sorted(line for _, line in self.entries(query))

    def gaps(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.rig.get("/api/v1/gaps?limit=1000").json()["items"]
        return [item for item in items if item["stream"].startswith("logs/")]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("shipping")
    port = free_port()
    with ExitStack() as stack:
        cluster = stack.enter_context(pretend_cluster(folder / "cluster", "--quiet", "--loki-port", str(port)))
        serving = stack.enter_context(running("aggregator", folder, "--data", str(folder / "journal"), *ANYWHERE))
        yield Stage(folder, cluster, serving, f"http://127.0.0.1:{port}")


async def logging_pod(stage: Stage, suffix: str, node: str = "node-a") -> ContainerLog:
    made = await deploy(stage.cluster, suffix, node, {"app.kubernetes.io/part-of": "shop"})
    return log_of(made, stage.folder / "pods")


async def test_lines_come_to_loki_through_kill_restart_and_rotation(stage: Stage) -> None:
    async with stage.cluster.control() as control:
        labels = {"topology.kubernetes.io/zone": "z-1"}
        await control.create("nodes", {"metadata": {"name": "node-a", "labels": labels}, "spec": {}, "status": {}})
    with stage.agent("--profile", "standalone") as process:
        log = await logging_pod(stage, "aaaaa")
        log.write([f"INFO first {number}" for number in range(10)])
        eventually(lambda: len(stage.lines()) == 10, lambda: (stage.lines(), process.log[-2000:]))
        assert process.metric("kubescribe_log_unlabelled_lines_total") == 0
        log.write([f"INFO second {number}" for number in range(10)])
        process.popen.kill()
        process.popen.wait()
    log.rotate()
    log.rotate()
    log.write([f"INFO third {number}" for number in range(10)])
    with stage.agent("--profile", "standalone") as process:
        eventually(lambda: len(stage.lines()) >= 30, lambda: (stage.lines(), process.log[-2000:]))
        assert process.end() == 0

    found = stage.entries('{workload_kind="Deployment", workload="checkout", application="shop", stream="stdout"}')
    assert sorted(line for _, line in found) == sorted(
        f"INFO {part} {number}" for part in ("first", "second", "third") for number in range(10)
    )
    assert stage.gaps() == []


async def test_what_was_lost_is_told_and_makes_no_list_of_changes_incomplete(stage: Stage) -> None:
    log = await logging_pod(stage, "bbbbb")
    with stage.agent("--profile", "standalone") as process:
        log.write(["INFO before"])
        eventually(lambda: "INFO before" in stage.lines(), lambda: process.log[-2000:])
        # How far it is in Loki is on disk a second later; it is certain after a stop.
        assert process.end() == 0
    log.remove()
    with stage.agent("--profile", "standalone") as process:
        (gap,) = eventually(stage.gaps, lambda: process.log[-2000:])

    assert (gap["cause"], gap["outcome"]) == ("logDeleted", "lost")
    assert gap["stream"] == "logs/default/checkout-5d8f7c9b6-bbbbb/app"
    answer = stage.rig.get("/api/v1/objects?kind=Pod").json()
    assert gap["id"] not in {each.get("id") for each in answer["gaps"]}


async def test_beside_other_shippers_nothing_is_read(stage: Stage) -> None:
    log = await logging_pod(stage, "ccccc")
    log.write(["INFO unseen"])
    with stage.agent("--profile", "beside") as process:
        eventually(lambda: process.metric("kubescribe_link_connected") == 1, lambda: process.log[-2000:])
        assert "kubescribe_log_" not in ask(process.said["metrics"] + "/metrics").body.decode()

    assert "INFO unseen" not in stage.lines()


async def test_a_node_that_is_younger_than_its_agent_gives_its_zone_to_every_line(stage: Stage) -> None:
    log = await logging_pod(stage, "zzzzz", "node-late")
    log.write(["INFO from the beginning"])
    options = ("--profile", "standalone", "--node", "node-late", "--logs-first-hold", "10m")
    with stage.agent(*options, "--data", str(stage.folder / "late")) as process:
        eventually(lambda: process.ready()["status"] == "ok", process.ready)
        with stage.cluster_agent():
            async with stage.cluster.control() as control:
                labels = {"topology.kubernetes.io/zone": "z-9"}
                made = {"metadata": {"name": "node-late", "labels": labels}, "spec": {}, "status": {}}
                await control.create("nodes", made)
            eventually(lambda: "INFO from the beginning" in stage.lines(), lambda: process.log[-2000:])

    ((found, _),) = stage.entries('{namespace="default"} |= "from the beginning"')
    assert (found["node"], found["zone"]) == ("node-late", "z-9")

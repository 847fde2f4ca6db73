"""
The whole product beside a pretend cluster, as it stands in a cluster: what the tests of this folder scrape.

An aggregator, a cluster agent and a node agent for each node, of the profile standalone, with log files and a stand-in
for Loki; each a process of its own.
"""

import signal
import urllib.parse
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.control import Control
from tests.e2e.processes import START_SECONDS, TOKEN, Cluster, Process, ask, eventually, pretend_cluster, running
from tests.monitoring.prometheus import Target, agent_target, aggregator_target
from tests.ports import free_port

NODES = 2


@dataclass
class Product:
    """What runs; `aggregator` changes when it is started again."""

    cluster: Cluster
    aggregator: Process
    agents: dict[str, Process]
    """By node; the cluster agent is under ""."""
    loki: str
    serving: ExitStack
    folder: Path
    arguments: tuple[str, ...]
    """The aggregator's: the same addresses again after a restart."""

    @property
    def targets(self) -> list[Target]:
        agents = [
            agent_target(agent.said["metrics"], pod=f"kubescribe-agent-{node or 'cluster'}")
            for node, agent in self.agents.items()
        ]
        return [aggregator_target(self.aggregator.said["metrics"]), *agents]

    @property
    def processes(self) -> list[Process]:
        return [self.aggregator, *self.agents.values()]

    @property
    def nodes(self) -> list[str]:
        return [node for node in self.agents if node]

    def control(self) -> Control:
        return self.cluster.control()

    def exposition(self, process: Process, **headers: str) -> str:
        """Return one answer of /metrics."""
        return ask(process.said["metrics"] + "/metrics", **headers).body.decode()

    def streams(self, query: str) -> list[tuple[dict[str, str], list[str]]]:
        """Return labels, metadata included, and lines of what Loki has for a query."""
        asked = urllib.parse.urlencode({"query": query, "limit": 5000, "since": "1h"})
        found = ask(f"{self.loki}/loki/api/v1/query_range?{asked}").json()["data"]["result"]
        return [(stream["stream"], [value[1] for value in stream["values"]]) for stream in found]

    def loki_query(self, what: str, **parameters: object) -> dict[str, Any]:
        """Return `data` of an answer to `query` or `query_range`; a refusal is an AssertionError with Loki's words."""
        answer = ask(f"{self.loki}/loki/api/v1/{what}?{urllib.parse.urlencode(parameters)}")
        assert answer.status == 200, (parameters, answer.body.decode())
        found: dict[str, Any] = answer.json()["data"]
        return found

    def stream_labels(self) -> set[str]:
        return set(ask(f"{self.loki}/loki/api/v1/labels").json()["data"])

    def restart_aggregator(self) -> None:
        """Kill the aggregator with -9, and start it again where it was."""
        self.aggregator.send(signal.SIGKILL)
        self.aggregator.popen.wait(20)
        self.aggregator = self.serving.enter_context(running("aggregator", self.folder / "again", *self.arguments))


@contextmanager
def whole_product(folder: Path, *simulator: str) -> Iterator[Product]:
    loki_port = free_port()
    loki = f"http://127.0.0.1:{loki_port}"
    world = ("--nodes", str(NODES), "--pods", "16", "--seed", "5", "--loki-port", str(loki_port))
    listen = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    arguments = (
        *("--data", str(folder / "journal"), "--loki", loki, "--http", "127.0.0.1:0"),
        *("--ingest", listen[0], "--metrics", listen[1]),
    )
    with ExitStack() as stack:
        enter = stack.enter_context
        cluster = enter(
            pretend_cluster(folder / "cluster", *world, "--logs", str(folder / "pods"), "--logs-by-node", *simulator)
        )
        # Ends after the agents, started again or not: an agent that stops waits for who takes its last records.
        serving = enter(ExitStack())
        aggregator = serving.enter_context(running("aggregator", folder, *arguments))
        names = ["", *_nodes(cluster)]
        agents = {node: enter(_agent(folder, cluster, node, aggregator.said["ingest"], loki)) for node in names}
        product = Product(cluster, aggregator, agents, loki, serving, folder, arguments)
        eventually(lambda: _complete(product), lambda: [it.log[-500:] for it in product.processes], START_SECONDS)
        yield product


def _agent(folder: Path, cluster: Cluster, node: str, aggregator: str, loki: str) -> AbstractContextManager[Process]:
    data = folder / f"agent-{node}"
    own = (
        *("--data", str(data), "--kubeconfig", str(cluster.kubeconfig), "--metrics", "127.0.0.1:0"),
        *("--aggregator", aggregator, "--spool-free-floor", "0%"),
        *("--profile", "standalone", "--usage-interval", "1s", "--watch-start-jitter", "0s"),
    )
    if not node:
        return running("agent", data, *own, "--scope", "cluster")
    of_node = (
        *(
            "--scope",
            "node",
            "--node",
            node,
            "--logs",
            str(folder / "pods" / node),
            "--loki",
            loki,
            "--logs-count-interval",
            "1s",
        ),
        *("--loki", loki, "--gateway", "127.0.0.1:0", "--usage-kubelet", f"{cluster.url}/simulator/kubelets/{node}"),
    )
    return running("agent", data, *own, *of_node)


def _nodes(cluster: Cluster) -> list[str]:
    """Wait for the nodes, and return their names."""

    def found() -> list[str]:
        items = ask(f"{cluster.url}/api/v1/nodes", Authorization=f"Bearer {TOKEN}").json()["items"]
        names = sorted(item["metadata"]["name"] for item in items)
        return names if len(names) == NODES else []

    names: list[str] = eventually(found)
    return names


def _complete(product: Product) -> bool:
    aggregator = product.aggregator
    return all(
        aggregator.metric(family) > 0
        for family in ("kubescribe_pods", "kubescribe_roll_complete", "kubescribe_container_cpu_usage_seconds_total")
    )

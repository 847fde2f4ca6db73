"""The other side of the permissions: what an agent really asks an API server for is granted."""

import asyncio
import re
import urllib.request
from pathlib import Path

from agent.watch.kinds import BUILT_IN_GROUPS
from benchmarks import daemons
from simulator.process import simulator_process
from tests.charts.conftest import LOKI, Rendering, render

EVERYBODYS = {("get", "apis"), ("get", "version")}
"""Discovery, which `system:discovery` gives to every account."""

REQUEST = re.compile(r'^kubescribe_api_requests_total\{(?=.*verb="(\w+)")(?=.*resource="([\w.]+)").*\} ', re.MULTILINE)


def asked(metrics: str) -> set[tuple[str, str]]:
    with urllib.request.urlopen(f"{metrics}/metrics", timeout=10) as answer:
        return set(REQUEST.findall(answer.read().decode()))


def granted(made: Rendering) -> set[tuple[str, str]]:
    """(verb, resource), resources as the agent's streams name them."""
    return {
        (verb, resource if group in BUILT_IN_GROUPS else f"{resource}.{group}")
        for rule in made.one("ClusterRole", "cluster-agent")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


async def test_what_an_agent_asks_for_is_granted(tmp_path: Path) -> None:
    async with simulator_process(tmp_path / "cluster", "--nodes", "2", "--pods", "10") as cluster:
        aggregator = daemons.aggregator(tmp_path / "aggregator")
        await aggregator.start()
        agent = daemons.agent(
            tmp_path / "agent",
            kubeconfig=cluster.kubeconfig,
            ingest=aggregator.said["ingest"],
            # So that objects are also asked for one by one, which needs `get`.
            options=["--watch-anti-entropy", "1s", "--profile", "standalone", "--usage-interval", "1s"],
        )
        async with daemons.running(aggregator, agent):
            await agent.start()
            seen: set[tuple[str, str]] = set()
            async with asyncio.timeout(60):
                usage = ("list", "pods.metrics.k8s.io")
                while not {("watch", "pods"), ("watch", "deployments"), ("get", "pods"), usage} <= seen:
                    await asyncio.sleep(0.1)
                    seen = await asyncio.to_thread(asked, agent.said["metrics"])

    assert seen - EVERYBODYS <= granted(render({"profile": "standalone", **LOKI}))

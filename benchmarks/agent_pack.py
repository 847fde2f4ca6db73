"""
`python -m benchmarks.agent_pack`: many node agents in one process, for a machine that cannot hold a process for each.

Every one is the agent's own composition: its spool, its link, its watch. Only the listener for probes is left out, and
all share one loop: what one agent takes as a process is measured by `memory_agent`.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from agent.app import assembled
from agent.config import AgentConfig
from kubescribe.kube.access import Access, ProjectedToken
from kubescribe.runtime.logs import configure_logs
from kubescribe.runtime.logsettings import LogConfig
from kubescribe.runtime.loops import run as run_loop
from kubescribe.runtime.settings import build
from kubescribe.runtime.signals import stopping_on_signals
from kubescribe.runtime.tasks import run_parts

_log = structlog.get_logger()


async def run(access: Access, aggregator: str, folder: Path, nodes: Sequence[str]) -> None:
    """Run an agent for each of *nodes* until SIGTERM; the log says `pack.running` once every one is assembled."""
    stop, waiting = asyncio.Event(), len(nodes)

    async def one(node: str) -> None:
        nonlocal waiting
        given = {"scope": "node", "node": node, "data": folder / node, "aggregator": aggregator, "spool.freeFloor": 0.0}
        async with assembled(build(AgentConfig, given), access=access) as agent:
            waiting -= 1
            if not waiting:
                _log.info("pack.running", agents=len(nodes))
            await run_parts(stop, agent.parts)

    with stopping_on_signals(stop, lambda _: None):
        async with asyncio.TaskGroup() as group:
            for node in nodes:
                group.create_task(one(node), name=node)


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agent_pack", description=__doc__)
    parser.add_argument("--server", required=True, help="the API server, plain HTTP")
    parser.add_argument("--token-file", required=True, type=Path)
    parser.add_argument("--aggregator", required=True)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--nodes", required=True, nargs="+")
    # The role's name, which whoever starts a daemon puts before its options.
    parser.add_argument("role", choices=["agents"])
    given = parser.parse_args()
    configure_logs(LogConfig(format="json"))
    access = Access(base_url=given.server, credentials=ProjectedToken(given.token_file))
    run_loop(run(access, given.aggregator, given.data, given.nodes))


if __name__ == "__main__":
    main()

"""
The roles of the command: for each its settings, its entry, and the errors that are told in one line.

What a role needs to run is imported when it runs: `--help` must answer at once, and one role's libraries are not
another's memory.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from agent.config import AgentConfig
from aggregator.config import AggregatorConfig
from kubescribe.cli.previewconfig import PreviewConfig
from kubescribe.cli.simulateconfig import SimulateConfig
from kubescribe.cli.upconfig import UpConfig

Run = Callable[[Any, asyncio.Event], Coroutine[Any, Any, None]]
Errors = tuple[type[Exception], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """
    One sub-command.

    `entry` imports the role and returns what runs it until the event is set, and the errors that mean "it cannot
    start": their message is one line that says what and what to do. A role that `answers` prints something and ends by
    itself; a signal ends it as it would any command. The others run until they are told to stop.
    """

    name: str
    summary: str
    settings: type[Any]
    entry: Callable[[], tuple[Run, Errors]]
    answers: bool = False


def _agent() -> tuple[Run, Errors]:
    from agent.app import run  # noqa: PLC0415 - as the module says

    return run, _agent_errors()


def _aggregator() -> tuple[Run, Errors]:
    from aggregator.app import run  # noqa: PLC0415 - as the module says

    return run, _aggregator_errors()


def _up() -> tuple[Run, Errors]:
    from kubescribe.cli.up import run  # noqa: PLC0415 - as the module says

    return run, (*_agent_errors(), *_aggregator_errors(), *_simulator_errors())


def _simulate() -> tuple[Run, Errors]:
    from simulator.app import run  # noqa: PLC0415 - as the module says

    async def simulate(config: SimulateConfig, stop: asyncio.Event) -> None:
        await run(config.values(), stop)

    return simulate, _simulator_errors()


def _preview() -> tuple[Run, Errors]:
    from kubescribe.cli.preview.app import run  # noqa: PLC0415 - as the module says
    from kubescribe.kube.errors import AccessError  # noqa: PLC0415 - as the module says

    return run, (AccessError,)


def _agent_errors() -> Errors:
    from agent.errors import KindRefused  # noqa: PLC0415 - as the module says
    from agent.spool.errors import SpoolError  # noqa: PLC0415 - as the module says
    from kubescribe.kube.errors import AccessError  # noqa: PLC0415 - as the module says

    return (AccessError, KindRefused, SpoolError)


def _aggregator_errors() -> Errors:
    from aggregator.errors import StoreUnusable  # noqa: PLC0415 - as the module says
    from kubescribe.kube.errors import AccessError  # noqa: PLC0415 - as the module says

    return (AccessError, StoreUnusable)


def _simulator_errors() -> Errors:
    from simulator.errors import SimulatorError  # noqa: PLC0415 - as the module says

    return (SimulatorError,)


ROLES: dict[str, Role] = {
    role.name: role
    for role in (
        Role(
            name="agent",
            summary="watch a cluster, keep what was seen in a spool, and send it to an aggregator",
            settings=AgentConfig,
            entry=_agent,
        ),
        Role(
            name="aggregator",
            summary="take what agents send, keep it in the journal, and show it",
            settings=AggregatorConfig,
            entry=_aggregator,
        ),
        Role(
            name="up",
            summary="both in one process, against the current kubeconfig or a pretend cluster",
            settings=UpConfig,
            entry=_up,
        ),
        Role(
            name="simulate",
            summary="a pretend cluster alone: the Kubernetes API over HTTP, and things that happen",
            settings=SimulateConfig,
            entry=_simulate,
        ),
        Role(
            name="preview",
            summary="print the Loki streams that the lines of a cluster would make, before anything sends them",
            settings=PreviewConfig,
            entry=_preview,
            answers=True,
        ),
    )
}

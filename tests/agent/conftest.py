"""A quiet pretend cluster in the test's own loop, and a way to it, for stages that need an API server but no watch."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest_asyncio

from agent.kube.session import ApiSession, open_session
from kubescribe.kube.access import Access
from simulator.app import opened
from simulator.control import Control
from simulator.settings import SimulatorSettings


class StaticToken:
    def __init__(self, token: str) -> None:
        self._token = token

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    async def renew(self) -> None:
        """There is no other."""


@dataclass
class Pretend:
    """The cluster; every `session` is a client of its own."""

    control: Control
    access: Access
    stack: AsyncExitStack = field(repr=False)

    async def session(self) -> ApiSession:
        return await self.stack.enter_async_context(open_session(self.access, version="test"))


@pytest_asyncio.fixture
async def pretend() -> AsyncIterator[Pretend]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(opened(SimulatorSettings(quiet=True, token="t0ken")))
        control = await stack.enter_async_context(Control(simulator.url, simulator.token))
        access = Access(base_url=simulator.url, credentials=StaticToken(simulator.token))
        yield Pretend(control, access, stack)

"""The client of the stand-in's verbs, for tests that run it as a process. `verbs.py` is the other end."""

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp

from simulator.errors import SimulatorError
from simulator.loki.loki import NO_AUTH_TENANT

POLL_SECONDS = 0.02
_TIMEOUT = aiohttp.ClientTimeout(total=30)


class Arrival(NamedTuple):
    """One entry as it arrived."""

    stream: str
    at: int
    line: str
    metadata: Mapping[str, str]


class LokiVerbRefused(SimulatorError):
    """The stand-in answered a verb with an error."""


class LokiControl:
    """Drives a stand-in over HTTP. An async context manager; faults last until used up, or until `mend`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def answer(
        self, code: int, count: int = 1, *, text: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer the next *count* pushes with *code* and *text*; nothing of them is stored."""
        await self.verb("fault", {"code": code, "count": count, "text": text, "headers": dict(headers or {})})

    async def cut(self, when: str, count: int = 1) -> None:
        """Cut the connections of the next *count* pushes: "before", "halfway" or "after" they are stored."""
        await self.verb("fault", {"cut": when, "count": count})

    async def delay(self, seconds: float, count: int = 1) -> None:
        """Answer the next *count* pushes later."""
        await self.verb("fault", {"delay_seconds": seconds, "count": count})

    async def mend(self) -> None:
        """Have no fault any more."""
        await self.verb("mend", {})

    async def down(self, seconds: float) -> None:
        """Refuse and cut all connections for so long, this one's too."""
        await self.verb("down", {"seconds": seconds})

    async def clear(self) -> None:
        """Forget what arrived."""
        await self.verb("clear", {})

    async def state(self) -> dict[str, Any]:
        """Return the counts: requests, streams, arrived, entries, forgotten, faults, discarded."""
        found: dict[str, Any] = await self.verb("state", {})
        return found

    async def arrived(self, query: str = "", tenant: str = NO_AUTH_TENANT) -> list[Arrival]:
        """Return every entry of the streams that *query* selects, repeats included."""
        return [Arrival(*each) for each in await self.verb("arrived", {"query": query, "tenant": tenant})]

    async def until(self, claim: Callable[[dict[str, Any]], bool], seconds: float = 30.0) -> dict[str, Any]:
        """Wait until the state meets *claim*; return it. TimeoutError after *seconds*."""
        async with asyncio.timeout(seconds):
            while True:
                state = await self.state()
                if claim(state):
                    return state
                await asyncio.sleep(POLL_SECONDS)

    async def verb(self, name: str, asked: Mapping[str, Any]) -> Any:
        """Do one verb; return its answer. LokiVerbRefused for what the stand-in does not know."""
        if self._session is None:
            raise LokiVerbRefused("not entered: use `async with`")
        async with self._session.post(f"{self.url}/simulator/v1/{name}", json=dict(asked)) as response:
            if response.status != 200:
                raise LokiVerbRefused(f"{name}: {response.status} {await response.text()}")
            return await response.json()

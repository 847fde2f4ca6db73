"""
The stand-in's own HTTP verbs, under `/simulator/v1/`, for tests that run it as a process: `POST` with a JSON object.

    fault   {"code": 500, "count": 3, "text": "", "headers": {}, "delay_seconds": 0, "cut": "halfway", "tenant": ""}
    mend    {}                                    no fault any more
    down    {"seconds": 3}                        connections refused and cut for so long
    clear   {}                                    forget what arrived, and the record of requests
    state   {}                                    counts
    arrived {"query": "", "tenant": "fake"}       [stream, nanoseconds, line, metadata], repeats included
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulator.loki.entries import Refusal
from simulator.loki.faults import Fault
from simulator.loki.loki import NO_AUTH_TENANT

if TYPE_CHECKING:
    from simulator.loki.app import RunningLoki

PREFIX = "/simulator/v1"

Verb = Callable[[dict[str, Any]], Awaitable[Any]]


def add_routes(app: web.Application, running: "RunningLoki", closing: list[asyncio.Task[None]]) -> None:
    """Add the verbs for *running*; tasks that are to end with it go into *closing*."""
    verbs = _Verbs(running, closing)
    for name, verb in verbs.known().items():
        app.router.add_post(f"{PREFIX}/{name}", _handler(verb))


def _handler(verb: Verb) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            asked = await request.json() if request.can_read_body else {}
            return web.json_response(await verb(asked))
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal(400, str(error)) from error

    return handle


class _Verbs:
    def __init__(self, running: "RunningLoki", closing: list[asyncio.Task[None]]) -> None:
        self._running = running
        self._loki = running.loki
        self._closing = closing

    def known(self) -> dict[str, Verb]:
        return {
            "fault": self._fault,
            "mend": self._mend,
            "down": self._down,
            "clear": self._clear,
            "state": self._state,
            "arrived": self._arrived,
        }

    async def _fault(self, asked: dict[str, Any]) -> Any:
        self._loki.faults.add(Fault.of(asked))
        return {}

    async def _mend(self, _: dict[str, Any]) -> Any:
        self._loki.faults.clear()
        return {}

    async def _down(self, asked: dict[str, Any]) -> Any:
        self._closing.append(asyncio.create_task(self._away(float(asked["seconds"])), name="loki.away"))
        return {}

    async def _away(self, seconds: float) -> None:
        # The answer to the verb itself goes out first.
        await asyncio.sleep(0.01)
        await self._running.down()
        await asyncio.sleep(seconds)
        await self._running.up()

    async def _clear(self, _: dict[str, Any]) -> Any:
        self._loki.ingester.clear()
        self._loki.requests.clear()
        return {}

    async def _state(self, _: dict[str, Any]) -> Any:
        loki = self._loki
        streams = [stream for tenant in loki.ingester.tenants for stream in loki.ingester.streams(tenant)]
        return {
            "requests": loki.request_count,
            "streams": len(streams),
            "arrived": sum(len(stream.arrived) for stream in streams),
            "entries": sum(len(stream.entries()) for stream in streams),
            "forgotten": loki.forgotten,
            "faults": loki.faults.pending,
            "discarded": [[reason, tenant, count] for (reason, tenant), count in loki.discards.items()],
        }

    async def _arrived(self, asked: dict[str, Any]) -> Any:
        query, tenant = str(asked.get("query", "")), str(asked.get("tenant", NO_AUTH_TENANT))
        return [
            [stream.text, entry.at, entry.line, dict(entry.metadata)]
            for stream in self._loki.streams(query, tenant)
            for entry in stream.arrived
        ]

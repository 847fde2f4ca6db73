"""An aiohttp application as an async context manager: listening inside the block, closed after it."""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from kubescribe.runtime.errors import ListenFailed, PortInUse
from kubescribe.runtime.values import HostPort

SHUTDOWN_SECONDS = 3.0
"""aiohttp waits this long for handlers, and may do so twice; its 60 s would outlive a pod's grace period."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where an application listens; `port` is the real one also where 0 was asked for."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Return the URL under which this machine reaches it, without a path."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host)  # noqa: S104 - it is read
        return f"http://{host or HostPort(self.host, 0).shown_host}:{self.port}"


@asynccontextmanager
async def serving(
    app: web.Application,
    address: HostPort,
    *,
    option: str,
    shutdown_seconds: float = SHUTDOWN_SECONDS,
    **runner: Any,
) -> AsyncIterator[Listener]:
    """
    Serve *app* on *address* while the block runs; *option* is the setting to name when that is not possible.

    Raises PortInUse or ListenFailed with one line for the operator. After the block no connection is accepted; open
    ones have *shutdown_seconds* to end (websockets are the application's to close, in `on_shutdown`).
    """
    made = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=shutdown_seconds, **runner)
    await made.setup()
    try:
        site = web.TCPSite(made, address.host or None, address.port)
        try:
            await site.start()
        except OSError as error:
            raise _refusal(error, address, option) from error
        yield Listener(address.host, made.addresses[0][1])
    finally:
        await made.cleanup()


def _refusal(error: OSError, address: HostPort, option: str) -> ListenFailed:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(f"{option} {address}: the port is in use; end the process that has it or choose another one")
    reason = error.strerror or str(error)
    return ListenFailed(f"{option} {address}: cannot listen there ({reason}); choose an address of this machine")

"""The ways to Loki as async context managers: its connections, and a sender over them, from the settings."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from kubescribe.loki.client import LokiClient, open_client
from kubescribe.loki.config import LokiConfig
from kubescribe.loki.errors import LokiError
from kubescribe.loki.limits import SenderLimits
from kubescribe.loki.sending import LokiSender
from kubescribe.runtime.errors import StartupError


@asynccontextmanager
async def open_connections(config: LokiConfig, *, version: str) -> AsyncIterator[LokiClient]:
    """Yield a client of the Loki at `config.url`. Raises StartupError for a file that cannot serve."""
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(open_client(config, version=version))
        except LokiError as error:
            raise StartupError(f"--loki-ca-file {error}") from error
        yield client


@asynccontextmanager
async def open_sender(
    config: LokiConfig, *, version: str, limits: SenderLimits | None = None
) -> AsyncIterator[LokiSender]:
    """
    Yield a sender to the Loki at `config.url`; its `run` is the caller's to run, inside the block.

    Raises StartupError for a file that cannot serve. A Loki that does not answer is no reason not to start.
    """
    async with open_connections(config, version=version) as client:
        yield LokiSender(client, limits=limits)

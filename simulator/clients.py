"""
Who asks: a client as its requests show it, and which clients the API server is deaf and dumb to at the moment.

A held client's open watches say nothing, and its new requests are neither carried out nor answered, until it is
released; its connections stay open. So hangs a leader whose network has swallowed it.
"""

import asyncio
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One request's sender."""

    token: str = ""
    user_agent: str = ""
    field_selector: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFilter:
    """Which clients are meant; what is empty matches every client, and all three must match."""

    token: str = ""
    user_agent: str = ""
    """A prefix of the User-Agent."""
    field_selector: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it means everybody."""
        return not (self.token or self.user_agent or self.field_selector)

    def matches(self, client: Client) -> bool:
        """Tell whether *client* is meant."""
        return (
            self.token in {"", client.token}
            and client.user_agent.startswith(self.user_agent)
            and self.field_selector in {"", client.field_selector}
        )


def client_of(request: web.Request) -> Client:
    """Return who sent a request."""
    return Client(
        token=request.headers.get("Authorization", "").removeprefix("Bearer "),
        user_agent=request.headers.get("User-Agent", ""),
        field_selector=request.query.get("fieldSelector", ""),
    )


class Holds:
    """The clients that are held."""

    def __init__(self) -> None:
        self.waiting = 0
        """Requests that came while their client was held, and wait."""
        self._filters: dict[ClientFilter, None] = {}
        self._changed = asyncio.Event()

    def hold(self, clients: ClientFilter) -> None:
        """Hold clients from now on; ValueError when that would be everybody."""
        if clients.is_empty:
            raise ValueError("name a token, a User-Agent's prefix or a field selector")
        self._filters[clients] = None

    def release(self, clients: ClientFilter | None = None) -> None:
        """End a hold that began with the same filter, or all of them: what waits goes on."""
        if clients is None:
            self._filters.clear()
        else:
            self._filters.pop(clients, None)
        self._changed.set()
        self._changed = asyncio.Event()

    def holds(self, client: Client) -> bool:
        """Tell whether a client is held."""
        return any(clients.matches(client) for clients in self._filters)

    async def passage(self, client: Client) -> None:
        """Return once the client is not held."""
        while self.holds(client):
            await self._changed.wait()

    async def admit(self, client: Client) -> None:
        """Let a new request wait for its passage."""
        if self.holds(client):
            self.waiting += 1
            try:
                await self.passage(client)
            finally:
                self.waiting -= 1

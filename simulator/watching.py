"""Watches over HTTP: where one begins, what it is refused with, and the response that its stream writes to."""

import random
from dataclasses import dataclass

from aiohttp import web

from simulator.clients import Holds, client_of
from simulator.etcd import Etcd
from simulator.faults import ExpiryShape, Faults, WatchListMode
from simulator.options import ListOptions
from simulator.selectors import Selector, everything
from simulator.statuses import (
    ApiError,
    no_progress_requests,
    too_large_version,
    too_old,
    watch_expired,
    watchlist_gate_off,
)
from simulator.streams import Stream, Streams, Timing
from simulator.versions import ADDED, Version
from simulator.views import View
from simulator.watchcache import Expired, WatchCache, Watcher

MIN_TIMEOUT_SECONDS = 1800.0
"""The server's MinRequestTimeout: without timeoutSeconds a watch lasts 30 to 60 minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """Times of watches, in seconds, and how far one may lie behind."""

    bookmark_period: float = 60.0
    first_bookmark: float = 1.0
    watcher_events: int = 50_000
    """Events a watch may lie behind before it is ended; they share their bytes with the other watches."""
    fresh_wait: float = 3.0
    """How long a list or a WatchList waits for a lagging cache (cacher.go, blockTimeout)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRequest:
    """What one watch asks for."""

    cache: WatchCache
    view: View
    namespace: str
    options: ListOptions
    matches: Selector
    value: str | None = None
    """The one value of the cache's trigger field that the selector asks for, if it asks for one."""


class ResponseConnection:
    """The connection under a streaming response."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response

    async def write(self, data: bytes) -> None:
        """Send one chunk, and wait while the peer is slow."""
        await self._response.write(data)

    def close_abruptly(self) -> None:
        """Close after what was written."""
        if self._request.transport is not None:
            self._request.transport.close()

    def abort(self) -> None:
        """Reset the connection."""
        if self._request.transport is not None:
            self._request.transport.abort()


class Watching:
    """Answers watch requests."""

    def __init__(
        self,
        etcd: Etcd,
        faults: Faults,
        *,
        streams: Streams,
        holds: Holds,
        settings: WatchSettings,
        rng: random.Random,
    ) -> None:
        self._etcd = etcd
        self._faults = faults
        self._streams = streams
        self._holds = holds
        self._settings = settings
        self._rng = rng

    async def answer(self, request: web.Request, wanted: WatchRequest) -> web.StreamResponse:
        """Serve one watch until its timeout; ApiError before the response has begun."""
        cache, options = wanted.cache, wanted.options
        if options.initial_events is not None:
            mode = self._faults.watchlist_mode(cache.resource)
            if mode is WatchListMode.GATE_OFF:
                raise watchlist_gate_off()
            if mode is WatchListMode.NO_PROGRESS and options.initial_events:
                return await self._ended(request, no_progress_requests().error_line)
        self._etcd.flush()
        watcher = Watcher(self._settings.watcher_events)
        if options.initial_events:
            return await self._watch_list(request, wanted, watcher)
        try:
            opening = self._opening(wanted, watcher)
        except Expired as error:
            return await self._expired(request, wanted, error)
        return await self._serve(request, wanted, watcher, opening)

    async def _watch_list(self, request: web.Request, wanted: WatchRequest, watcher: Watcher) -> web.StreamResponse:
        """Serve a watch that begins with a list: the state once the cache is fresh enough, and its end."""
        cache, options = wanted.cache, wanted.options
        target = options.version or self._etcd.revision
        if not await cache.reached(target, options.timeout_seconds or self._settings.fresh_wait):
            raise too_large_version(target, cache.revision)
        opening = self._state(wanted, watcher)
        if options.bookmarks:
            opening += wanted.view.bookmark(cache.revision, ends_initial_events=True)
        return await self._serve(request, wanted, watcher, opening)

    def _opening(self, wanted: WatchRequest, watcher: Watcher) -> bytes:
        """Enter the watcher and return what the watch begins with; Expired if its version is too old."""
        cache, options = wanted.cache, wanted.options
        if not options.version and options.initial_events is None:
            return self._state(wanted, watcher)
        # A version in the future waits silently: the cache has nothing after it yet.
        watcher.offer(cache.since(options.version or cache.revision, wanted.value))
        cache.watch(watcher, wanted.value)
        return b""

    def _state(self, wanted: WatchRequest, watcher: Watcher) -> bytes:
        """Enter the watcher and return the state as ADDED lines, in one step: nothing can come between."""
        cache = wanted.cache
        state = cache.of_value(wanted.value)
        versions = [state[key] for key in sorted(state) if _wants(wanted, state[key])]
        cache.watch(watcher, wanted.value)
        return b"".join(wanted.view.line(ADDED, version) for version in versions)

    async def _serve(
        self, request: web.Request, wanted: WatchRequest, watcher: Watcher, opening: bytes
    ) -> web.StreamResponse:
        try:
            response = await _begun(request)
            if opening:
                await response.write(opening)
            await self._stream(request, response, wanted, watcher)
            await response.write_eof()
        finally:
            wanted.cache.unwatch(watcher, wanted.value)
        return response

    async def _stream(
        self, request: web.Request, response: web.StreamResponse, wanted: WatchRequest, watcher: Watcher
    ) -> None:
        cache, options = wanted.cache, wanted.options
        stream = Stream(
            resource=cache.resource,
            view=wanted.view,
            namespace=wanted.namespace,
            matches=wanted.matches,
            watcher=watcher,
            revision=lambda: cache.revision,
            timing=Timing(
                timeout=options.timeout_seconds or MIN_TIMEOUT_SECONDS * (1 + self._rng.random()),
                bookmarks=options.bookmarks and cache.resource.cached,
                first_bookmark=self._settings.first_bookmark,
                bookmark_period=self._settings.bookmark_period,
            ),
            connection=ResponseConnection(request, response),
            client=client_of(request),
            holds=self._holds,
        )
        self._streams.add(stream)
        try:
            await stream.run()
        finally:
            self._streams.remove(stream)

    async def _expired(self, request: web.Request, wanted: WatchRequest, error: Expired) -> web.StreamResponse:
        version = wanted.options.version or 0
        answer: ApiError = too_old(version, error.floor) if wanted.cache.resource.cached else watch_expired()
        shape = self._faults.expiry_shape(wanted.cache.resource)
        if shape is ExpiryShape.HTTP:
            raise answer
        return await self._ended(request, b"" if shape is ExpiryShape.EMPTY else answer.error_line)

    async def _ended(self, request: web.Request, data: bytes) -> web.StreamResponse:
        response = await _begun(request)
        if data:
            await response.write(data)
        await response.write_eof()
        return response


def _wants(wanted: WatchRequest, version: Version) -> bool:
    if wanted.namespace and version.namespace != wanted.namespace:
        return False
    return wanted.matches is everything or wanted.matches(version.facts)


async def _begun(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    return response

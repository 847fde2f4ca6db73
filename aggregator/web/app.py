"""The three applications of the aggregator, one for each listener. Nothing here binds a port or starts a task."""

from collections.abc import Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry

from aggregator.outlets.fleet import Recorder
from aggregator.web.answers import answer_json, encode
from aggregator.web.feed import Feed
from aggregator.web.guarding import MAX_BODY_BYTES, Guard, Handler, add_headers, answer_errors
from aggregator.web.listing import Listings
from aggregator.web.logs import Logs
from aggregator.web.openapi import describe
from aggregator.web.pages import page_routes
from aggregator.web.parts import WebParts
from aggregator.web.probes import healthz, readiness_of
from aggregator.web.routes import ROUTES
from aggregator.web.sse import EventStreams
from aggregator.web.status import Statuses
from aggregator.web.usage import UsageListing
from kubescribe.runtime.probing import add_probes

SHUTDOWN_SECONDS = 5.0
"""For AppRunner's `shutdown_timeout`, whose default of 60 s outlasts Kubernetes' grace period of 30."""

_KEEPS_ITS_OWN_GUARD = frozenset({"feed"})
"""Its credential may come with `hello`."""


def public_app(parts: WebParts) -> web.Application:
    """Return the application for 8080: page, API and feed below the base path; `/healthz` there and at the root."""
    listings = Listings(parts)
    statuses = Statuses(parts, listings)
    feed, streams, logs = Feed(parts), EventStreams(parts), Logs(parts)
    document = encode(describe(parts.version, parts.base_path))

    async def openapi(request: web.Request) -> web.Response:
        return await answer_json(request, document)

    handlers: dict[str, Handler] = {
        "changes": listings.changes,
        "objects": listings.objects,
        "object": listings.object,
        "history": listings.history,
        "occurrences": listings.occurrences,
        "gaps": listings.gaps,
        "logs": logs.handle,
        "agents": statuses.agents,
        "status": statuses.status,
        "usage": UsageListing(parts).usage,
        "feed": feed.handle,
        "sse": streams.handle,
        "openapi": openapi,
    }
    app = _application(MAX_BODY_BYTES)
    for route in ROUTES:
        handler = _guarded(parts.guard, handlers[route.name], asks=route.name not in _KEEPS_ITS_OWN_GUARD)
        app.router.add_get(f"{parts.base_path}/api/v1{route.path}", handler, allow_head=not route.stream)
    for path in dict.fromkeys(("/healthz", f"{parts.base_path}/healthz")):
        app.router.add_get(path, healthz)
    app.router.add_routes(page_routes(parts.base_path))

    async def stop(_: web.Application) -> None:
        await logs.stop()
        await streams.stop()
        await feed.stop()

    app.on_shutdown.append(stop)
    return app


def machines_app(
    guard: Guard, routes: Sequence[tuple[str, str, Handler]] = (), *, max_body_bytes: int = MAX_BODY_BYTES
) -> web.Application:
    """
    Return the application for 8081: *routes* as (method, path, handler), every one behind the guard.

    What guards itself (the link) adds itself to the application.
    """
    app = _application(max_body_bytes)
    for method, path, handler in routes:
        # Machines: a browser, which would send a password of its own accord, has nothing to do here.
        app.router.add_route(method, path, _guarded(guard, handler, asks=True, takes_basic=True))
    app.router.add_get("/healthz", healthz)
    return app


def observability_app(registry: CollectorRegistry, recorder: Recorder) -> web.Application:
    """Return the application for 9090."""
    app = _application(MAX_BODY_BYTES)
    add_probes(app, registry, lambda: readiness_of(recorder))
    return app


def _application(max_body_bytes: int) -> web.Application:
    app = web.Application(middlewares=[answer_errors], client_max_size=max_body_bytes)
    app.on_response_prepare.append(add_headers)
    return app


def _guarded(guard: Guard, handler: Handler, *, asks: bool, takes_basic: bool = False) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        guard.check_host(request)
        guard.check_origin(request)
        if asks:
            guard.require(request, takes_basic=takes_basic)
        return await handler(request)

    return guarded

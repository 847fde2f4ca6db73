"""The agent's listener for the kubelet and Prometheus: `/livez`, `/readyz`, `/metrics`."""

import asyncio
from collections.abc import Callable

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


def probes_app(registry: CollectorRegistry, unready: Callable[[], str]) -> web.Application:
    """Return the application; *unready* says why the agent does not do its work yet, "" when it does."""

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        reason = unready()
        if reason:
            return web.json_response({"status": "unready", "reason": reason}, status=503)
        return web.json_response({"status": "ok"})

    async def metrics(request: web.Request) -> web.Response:
        encoder, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        body = await asyncio.to_thread(encoder, registry)
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})

    app = web.Application(client_max_size=64 * 1024)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app

"""`/healthz`, `/livez`, `/readyz` and `/metrics`: for load balancers, the kubelet and Prometheus."""

import asyncio
import gzip

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from aggregator.outlets.fleet import Recorder
from aggregator.web.answers import GZIP_FROM_BYTES, accepts_gzip


async def healthz(_: web.Request) -> web.Response:
    """Answer that the listener serves; says nothing of the journal, so that reads go on while it cannot be written."""
    return web.json_response({"status": "ok"})


async def livez(_: web.Request) -> web.Response:
    """Answer that the event loop turns, which this answer shows."""
    return web.json_response({"status": "ok"})


class Observability:
    """Handlers of the listener on 9090."""

    def __init__(self, registry: CollectorRegistry, recorder: Recorder) -> None:
        self._registry = registry
        self._recorder = recorder

    async def readyz(self, _: web.Request) -> web.Response:
        """
        Answer 200 once the journal is open.

        A journal that cannot be written now is `degraded` and still 200: reads and feed go on, sources are told to wait
        by ingest itself, and taking the pod out of its Service would only hide what is there to be read.
        """
        trouble = self._recorder.trouble()
        return web.json_response({"status": "degraded", "reason": trouble} if trouble else {"status": "ok"})

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer with every family, as OpenMetrics where the scraper asks for it."""
        encoder, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        packed = accepts_gzip(request)

        def render() -> tuple[bytes, bool]:
            body = encoder(self._registry)
            pack = packed and len(body) >= GZIP_FROM_BYTES
            return (gzip.compress(body, 1) if pack else body), pack

        # Thousands of series take tens of milliseconds to write down, so not on the loop.
        body, is_packed = await asyncio.to_thread(render)
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: content_type, hdrs.VARY: hdrs.ACCEPT_ENCODING}
        if is_packed:
            headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=body, headers=headers)

"""The static page: a few files of the package, read once, served with an ETag; nothing else is reachable."""

import hashlib
from importlib import resources

from aiohttp import hdrs, web

from aggregator.web.guarding import Handler

_FILES = {
    "index.html": "text/html",
    "app.js": "text/javascript",
    "feed.js": "text/javascript",
    "lines.js": "text/javascript",
    "linked.js": "text/javascript",
    "past.js": "text/javascript",
    "rows.js": "text/javascript",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
}


def page_routes(base_path: str) -> list[web.AbstractRouteDef]:
    """Return the routes of the page: its index at `{base_path}/`, its files beside it."""
    folder = resources.files("aggregator.web") / "static"
    routes: list[web.AbstractRouteDef] = []
    for name, content_type in _FILES.items():
        handler = _serve((folder / name).read_bytes(), content_type)
        routes.append(web.get(f"{base_path}/{name}", handler))
        if name == "index.html":
            routes.append(web.get(f"{base_path}/", handler))
    if base_path:
        routes.append(web.get(base_path, _redirect(f"{base_path}/")))
        routes.append(web.get("/", _redirect(f"{base_path}/")))
    return routes


def _serve(body: bytes, content_type: str) -> Handler:
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'

    async def serve(request: web.Request) -> web.Response:
        headers = {hdrs.ETAG: etag, hdrs.CACHE_CONTROL: "no-cache"}
        if request.headers.get(hdrs.IF_NONE_MATCH) == etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)

    return serve


def _redirect(to: str) -> Handler:
    async def redirect(request: web.Request) -> web.Response:
        query = request.rel_url.raw_query_string
        raise web.HTTPFound(f"{to}?{query}" if query else to)

    return redirect

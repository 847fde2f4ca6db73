"""
The HTTP server of the pretend cluster: authentication, discovery, and the way of a request to its answer.

Lists are made in `listing.py`, watches in `watching.py`, writes in `writing.py`, the simulator's own verbs in
`verbs.py`.
"""

import asyncio
import gzip
import uuid
from collections.abc import Mapping

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from simulator import discovery, statuses
from simulator.clients import Holds, client_of
from simulator.etcd import Etcd
from simulator.faults import Faults, error_of
from simulator.kinds import REVIEWS
from simulator.listing import page, source_of
from simulator.logs.answering import PodLogAnswers
from simulator.options import list_options
from simulator.replay import Replay
from simulator.requests import ApiPath, RequestCounts, api_path
from simulator.resource import Resource
from simulator.selectors import BadSelector, exact_value, selector
from simulator.statuses import ApiError
from simulator.tokenreview import review
from simulator.tokens import InvalidToken, Tokens
from simulator.versions import Object
from simulator.views import view_of
from simulator.watchcache import WatchCaches
from simulator.watching import Watching, WatchRequest, WatchSettings
from simulator.writing import WriteRequest, write

_USER = web.RequestKey("user", str)
"""Who asks, in the words of a 403."""

GZIP_BYTES = 128 * 1024
"""Answers above this are compressed for who accepts it (APIResponseCompression)."""

GZIP_LEVEL = 1
REQUEST_BYTES = 16 * 1024 * 1024
CONTROL_PREFIX = "/simulator/"
OPEN_PATHS = frozenset({"/readyz", "/livez", "/healthz", "/version"})


class ApiServer:
    """The pretend kube-apiserver over one store."""

    def __init__(
        self,
        *,
        etcd: Etcd,
        caches: WatchCaches,
        faults: Faults,
        counts: RequestCounts,
        watching: Watching,
        settings: WatchSettings,
        tokens: Tokens,
        holds: Holds,
        pod_logs: PodLogAnswers,
        replay: Replay | None = None,
    ) -> None:
        self._etcd = etcd
        self._caches = caches
        self._faults = faults
        self._counts = counts
        self._watching = watching
        self._settings = settings
        self._tokens = tokens
        self._holds = holds
        self._pod_logs = pod_logs
        self._replay = replay

    def application(self, control: list[web.RouteDef]) -> web.Application:
        """Return the server as an aiohttp application, with the simulator's own routes."""
        app = web.Application(middlewares=[self._middleware], client_max_size=REQUEST_BYTES)
        app.add_routes(control)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    @property
    def _middleware(self) -> Middleware:
        @web.middleware
        async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not request.path.startswith(CONTROL_PREFIX):
                await self._holds.admit(client_of(request))
            try:
                self._authenticate(request)
                return await handler(request)
            except ApiError as error:
                return _response(request, error.body, code=error.code, kind=error.content_type, headers=error.headers)

        return answer_errors

    def _authenticate(self, request: web.Request) -> None:
        if request.path in OPEN_PATHS:
            return
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            found, _ = self._tokens.authenticate(token if scheme == "Bearer" else "")
        except InvalidToken as error:
            raise statuses.unauthorized() from error
        request[_USER] = found.username

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = api_path(request.path)
        if path is None or not path.plural:
            return self._discover(request, path)
        found = discovery.endpoints(self._etcd.table.served()).get((path.group, path.version, path.plural))
        if found is None:
            raise statuses.no_such_path()
        resource, api_version = found
        verb = _verb(request, path)
        if verb not in resource.verbs:
            raise statuses.method_not_allowed(path.group, path.plural)
        name = resource.name if api_version == resource.api_version else "events.events.k8s.io"
        self._counts.note(name, verb, request.query, user_agent=request.headers.get("User-Agent", ""))
        await self._spoil(request[_USER], resource, verb, path)
        if verb in {"list", "watch"}:
            return await self._collection(request, path, resource, api_version)
        if verb == "get" and (path.plural, path.subresource) == ("pods", "log"):
            return await self._pod_logs.answer(request, path.namespace, path.name)
        if verb == "get":
            return self._get(request, path, resource, api_version)
        return await self._write(request, resource, path, verb)

    async def _write(self, request: web.Request, resource: Resource, path: ApiPath, verb: str) -> web.Response:
        asked = WriteRequest(
            resource=resource,
            path=path,
            verb=verb,
            body=await request.read(),
            query=request.query,
            user_agent=request.headers.get("User-Agent", ""),
        )
        if resource in REVIEWS:
            return _json(request, review(self._tokens, resource, asked.body, manager=asked.manager), 201)
        return _json(request, *write(self._etcd, asked))

    async def _spoil(self, user: str, resource: Resource, verb: str, path: ApiPath) -> None:
        """Let the faults that are switched on have this request."""
        if self._faults.forbids(resource, verb):
            raise statuses.forbidden(user, verb, path.group, path.plural, namespace=path.namespace, name=path.name)
        failure = self._faults.take_failure(resource, verb)
        if failure is None:
            return
        if failure.hang:
            await asyncio.Event().wait()  # until the client gives up
        raise error_of(failure)

    async def _collection(
        self, request: web.Request, path: ApiPath, resource: Resource, api_version: str
    ) -> web.StreamResponse:
        options = list_options(request.query)
        view = view_of(resource, api_version, metadata_only=_wants_metadata(request))
        fields = options.fields
        if path.name:  # a watch of one object by its path
            fields = f"metadata.name={path.name}"
        try:
            matches = selector(options.labels, fields, view.fields)
        except BadSelector as error:
            raise statuses.bad_request(str(error)) from error
        if self._replay is not None:
            return await self._replay.answer(request, resource, api_version, options)
        cache = self._caches.of(resource)
        value = exact_value(fields, view.fields, resource.trigger)
        if options.watch:
            wanted = WatchRequest(
                cache=cache, view=view, namespace=path.namespace, options=options, matches=matches, value=value
            )
            return await self._watching.answer(request, wanted)
        source = await source_of(self._etcd, cache, options, self._settings.fresh_wait, value=value)
        return _response(request, page(source, view, options, path.namespace, matches))

    def _get(self, request: web.Request, path: ApiPath, resource: Resource, api_version: str) -> web.Response:
        if self._replay is not None and (body := self._replay.object(resource, path)) is not None:
            return _response(request, body)
        version = self._etcd.version(resource, path.namespace, path.name)
        if version is None:
            raise statuses.not_found(path.group, path.plural, path.name)
        view = view_of(resource, api_version, metadata_only=_wants_metadata(request))
        return _response(request, view.object(version) + b"\n")

    def _discover(self, request: web.Request, path: ApiPath | None) -> web.Response:
        served = self._etcd.table.served()
        whole = request.path.rstrip("/")
        if whole in {"/readyz", "/livez", "/healthz"}:
            return _response(request, b"ok", kind="text/plain; charset=utf-8")
        document: Object | None
        if whole == "/version":
            document = discovery.VERSION
        elif whole in {"/api", "/apis"} and "apidiscovery.k8s.io" in request.headers.get("Accept", ""):
            document = discovery.aggregated(served, core=whole == "/api")
        elif whole == "/api":
            document = discovery.CORE_VERSIONS
        elif whole == "/apis":
            document = discovery.group_list(served)
        elif path is not None:
            document = discovery.resource_list(served, path.group, path.version)
        else:
            name = whole.removeprefix("/apis/")
            document = discovery.group(served, name) if whole.startswith("/apis/") else None
        if document is None:
            raise statuses.no_such_path()
        return _json(request, document)


def _verb(request: web.Request, path: ApiPath) -> str:
    if request.method == "GET":
        watch = request.query.get("watch")
        if watch is not None and watch.lower() not in {"false", "0"}:
            return "watch"
        return "get" if path.name else "list"
    return {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(request.method, "get")


def _wants_metadata(request: web.Request) -> bool:
    return "as=PartialObjectMetadata" in request.headers.get("Accept", "")


def _json(request: web.Request, document: Object, code: int = 200) -> web.Response:
    return _response(request, msgspec.json.encode(document) + b"\n", code=code)


def _response(
    request: web.Request,
    body: bytes,
    *,
    code: int = 200,
    kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    all_headers = {
        "Audit-Id": str(uuid.uuid4()),
        "Cache-Control": "no-cache, private",
        "Content-Type": kind,
        **(headers or {}),
    }
    if len(body) > GZIP_BYTES and "gzip" in request.headers.get("Accept-Encoding", ""):
        body = gzip.compress(body, GZIP_LEVEL)
        all_headers["Content-Encoding"] = "gzip"
        all_headers["Vary"] = "Accept-Encoding"
    return web.Response(body=body, status=code, headers=all_headers)

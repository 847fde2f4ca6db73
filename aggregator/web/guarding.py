"""What stands before every handler: credentials, Origin, Host, headers, request ids, errors, the access log."""

import re
import secrets
from collections.abc import Awaitable, Callable
from time import perf_counter
from urllib.parse import urlsplit

import structlog
from aiohttp import hdrs, web

from aggregator.ingest.peers import Peer
from aggregator.web.credentials import bearer_of, is_loopback
from aggregator.web.problems import Problem, problem_of, render_problem
from kubescribe.runtime.tokens import Tokens

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_BODY_BYTES = 64 * 1024
"""Of a request to the public listener, where nobody has anything to upload."""

REQUEST_ID = "X-Request-Id"
_ID = web.RequestKey("request_id", str)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

HEADERS = {
    "Server": "kubescribe",
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_log = structlog.get_logger()


class Guard:
    """
    Decides who gets in.

    Without tokens everybody who reaches the listener does, and that is only this machine: then the Host must be an
    address or localhost, or a page anywhere could reach us through a name that it points to 127.0.0.1 (DNS rebinding).
    """

    def __init__(self, tokens: Tokens | None, *, allowed_origins: frozenset[str] = frozenset()) -> None:
        self._tokens = tokens
        self._allowed_origins = allowed_origins

    @property
    def asks(self) -> bool:
        """True when a credential is configured."""
        return self._tokens is not None

    def admits(self, token: str) -> bool:
        """Tell whether *token* is good."""
        return self.name_of(token) is not None

    def name_of(self, token: str) -> str | None:
        """Return the name that *token* stands under, "" for a nameless one, None when it is not good."""
        return "" if self._tokens is None else self._tokens.name_of(token)

    def identifies(self, request: web.Request, *, takes_basic: bool = False) -> bool:
        """Tell whether *request* presents a good credential, or needs none. Raises Problem 401 for a wrong one."""
        if self._tokens is None:
            return True
        offered = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",")
        token = bearer_of(
            request.headers.get(hdrs.AUTHORIZATION), (name.strip() for name in offered), takes_basic=takes_basic
        )
        if token is None:
            return False
        if not self.admits(token):
            raise unauthorized("the token is not known")
        return True

    def require(self, request: web.Request, *, takes_basic: bool = False) -> None:
        """Raise Problem 401 unless *request* presents a good credential; as a password only with *takes_basic*."""
        if not self.identifies(request, takes_basic=takes_basic):
            raise unauthorized("a token is needed: Authorization: Bearer …")

    def check_host(self, request: web.Request) -> None:
        """Raise Problem 421 for a Host that nobody on this machine would use, when no credential protects us."""
        if self._tokens is not None:
            return
        host = urlsplit(f"//{request.headers.get(hdrs.HOST, '')}").hostname or ""
        if not (is_loopback(host) or re.fullmatch(r"[0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*", host)):
            raise Problem(421, "without a token file this listener answers only to localhost and to addresses")

    def check_origin(self, request: web.Request) -> None:
        """Raise Problem 403 for a page of another origin; a missing Origin is no browser and passes."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin in self._allowed_origins:
            return
        try:
            theirs, ours = urlsplit(origin), urlsplit(f"//{request.headers.get(hdrs.HOST, '')}")
            port = _DEFAULT_PORTS.get(theirs.scheme)
            same = (
                port is not None
                and theirs.hostname is not None
                and theirs.hostname == ours.hostname
                and (theirs.port or port) == (ours.port or port)
            )
        except ValueError:
            same = False
        if not same:
            raise Problem(403, f"Origin {origin[:128]!r} is not this host")


class TokenHolders:
    """An ingest Authenticator: whoever presents a token of the guard's file may be any agent."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def peer_of(self, token: str) -> Peer | None:
        """Return who presents *token*, None when it is not in the file."""
        name = self._guard.name_of(token)
        return None if name is None else Peer(name=name or "token file")


def unauthorized(detail: str) -> Problem:
    """Return the 401 that asks for a bearer token."""
    return Problem(401, detail, {"WWW-Authenticate": 'Bearer realm="kubescribe"'})


def request_id(request: web.Request) -> str:
    """Return the id of *request*: the proxy's where it is sane, else a new one; the same each time."""
    known: str | None = request.get(_ID)
    if known is not None:
        return known
    given = request.headers.get(REQUEST_ID, "")
    chosen = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    request[_ID] = chosen
    return chosen


async def add_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Put our headers on every answer; for the application's `on_response_prepare`."""
    response.headers.update(HEADERS)
    if isinstance(request, web.Request):
        response.headers[REQUEST_ID] = request_id(request)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what handlers raise as problem+json, and write the access log (at debug, without query values)."""
    started = perf_counter()
    status = 500
    try:
        try:
            response = await handler(request)
        except web.HTTPRedirection as redirection:
            status = redirection.status
            raise
        except Exception as error:  # noqa: BLE001 (the top of a request: answered and logged)
            problem = problem_of(error)
            if problem is None:
                _log.exception("http.failed", path=request.path, request_id=request_id(request))
                problem = Problem(500, "this is a fault of the aggregator; its log has the details under requestId")
            response = render_problem(problem, request_id(request), request.path)
        status = response.status
        return response
    finally:
        _log.debug(
            "http.answered",
            method=request.method,
            path=request.path,
            status=status,
            seconds=round(perf_counter() - started, 6),
            request_id=request_id(request),
        )

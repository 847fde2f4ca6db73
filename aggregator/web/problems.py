"""Errors as RFC 9457 problem+json: one shape for every answer that is not what was asked for."""

import msgspec
from aiohttp import web

from aggregator.errors import BadQuery, StoreClosed, StoreError
from aggregator.web.parameters import BadParameter

_ENCODE = msgspec.json.Encoder().encode

_TITLES = {
    400: "Bad request",
    401: "Credentials are missing or wrong",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    413: "Too large",
    421: "Misdirected request",
    426: "Upgrade required",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available now",
}


class Problem(Exception):
    """An answer that is an error; raised by handlers, rendered by the middleware."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **members: object) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.members = members


def problem_of(error: Exception) -> Problem | None:
    """Return how *error* is told to a client, None when it is a fault of ours."""
    found: Problem | None = None
    match error:
        case Problem():
            found = error
        case BadParameter():
            found = Problem(400, str(error), parameter=error.parameter, value=error.value, expected=error.expected)
        case BadQuery():
            found = Problem(400, str(error), parameter=error.parameter)
        case StoreClosed():
            found = Problem(503, "the aggregator is stopping", {"Retry-After": "5"})
        case StoreError():
            found = Problem(503, f"the journal does not answer: {error}"[:256], {"Retry-After": "5"})
        case web.HTTPException():
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            found = Problem(error.status, error.reason or _TITLES.get(error.status, "Error"), headers)
    return found


def render_problem(problem: Problem, request_id: str, path: str) -> web.Response:
    """Return *problem* as an answer."""
    body = {
        "type": "about:blank",
        "title": _TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "detail": problem.detail,
        "instance": path,
        "requestId": request_id,
        **problem.members,
    }
    return web.Response(
        status=problem.status, body=_ENCODE(body), content_type="application/problem+json", headers=problem.headers
    )

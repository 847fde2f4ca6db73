"""How a watch, a list or a check ended, and what that demands: a table of the rules 13 to 20. No I/O."""

from dataclasses import dataclass

from agent.errors import NoAnswer, ServerSaid
from agent.watch import blindness
from kubescribe.kube.errors import AccessError

CAUSES = (
    "timeout",
    "ordered",
    "short",
    "silent",
    "disconnected",
    "expired",
    "too_large",
    "throttled",
    "internal_error",
    "unavailable",
    "unauthorized",
    "forbidden",
    "not_served",
    "refused",
    "undecodable",
)
"""The closed set of causes, for counters."""


@dataclass(frozen=True, slots=True)
class End:
    """
    One end.

    `relist` is the cause of the Gap when the resume point is of no more use, None to watch on from it. `must_wait`
    asks for the backoff, `retry_after_seconds` is the least of it. `is_regular` ends say nothing against the stream.
    """

    cause: str
    relist: str | None = None
    must_wait: bool = False
    retry_after_seconds: float = 0.0
    detail: str = ""

    @property
    def is_regular(self) -> bool:
        """Tell whether the stream ended as it should."""
        return self.cause in {"timeout", "ordered"}


def end_of(error: Exception) -> End:
    """Return what *error* demands."""
    detail = str(error)[:256]
    if isinstance(error, NoAnswer):
        if isinstance(error.__cause__, AccessError):
            return End("unauthorized", must_wait=True, detail=detail)
        return End("silent" if error.is_silence else "disconnected", must_wait=True, detail=detail)
    if isinstance(error, ServerSaid):
        return _refusal(error, detail)
    return End("undecodable", must_wait=True, detail=detail)


def _refusal(error: ServerSaid, detail: str) -> End:
    if error.is_expired:
        return End("expired", relist=blindness.EXPIRED, must_wait=True, detail=detail)
    if error.is_too_large:
        # A lagging server, or a restored store: the check that follows tells which.
        return End("too_large", must_wait=True, retry_after_seconds=error.retry_after_seconds or 0.0, detail=detail)
    wait = error.retry_after_seconds or 0.0
    causes = {401: "unauthorized", 403: "forbidden", 429: "throttled", 500: "internal_error"}
    if error.code in causes:
        # 429 without Retry-After: the API server's own filters always send 1.
        least = max(wait, 1.0) if error.code == 429 and not wait else wait
        return End(causes[error.code], must_wait=True, retry_after_seconds=least, detail=detail)
    if error.code == 404:
        # A CRD that was removed, with all of its objects, or an aggregated API that is away: as rare as a permission.
        return End("not_served", must_wait=True, detail=detail)
    if error.code > 500:
        return End("unavailable", must_wait=True, retry_after_seconds=wait, detail=detail)
    return End("refused", relist=blindness.RELISTED, must_wait=True, retry_after_seconds=wait, detail=detail)

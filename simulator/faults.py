"""
What is wrong with the pretend cluster at the moment: answers to spoil, kinds forbidden, features refused.

Faults on coming requests are rules with a count; faults on open watches are actions handed to their streams
(`streams.py`). Nothing here knows HTTP.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from simulator.resource import Resource
from simulator.statuses import ApiError, internal_error, too_many_requests


class ExpiryShape(StrEnum):
    """How a watch from a version that is too old is refused."""

    STREAM = "stream"
    """HTTP 200 and an ERROR in the stream: what a watch cache does today."""
    HTTP = "http"
    """HTTP status 410."""
    EMPTY = "empty"
    """HTTP 200 and an immediate close: Events on some servers (kubernetes#104171)."""


class WatchListMode(StrEnum):
    """What becomes of `sendInitialEvents=true`."""

    ALLOWED = "allowed"
    GATE_OFF = "gate-off"
    """422 as on EKS 1.33."""
    NO_PROGRESS = "no-progress"
    """HTTP 200 and an ERROR 500 in the stream, as above an etcd 3.4."""


@dataclass(slots=True, kw_only=True)
class Failure:
    """The next *count* requests of a resource and verb are answered with an error."""

    resource: Resource | None
    verb: str
    """list, watch, get, or * for all."""
    code: int
    count: int
    retry_after_seconds: int = 1
    hang: bool = False
    """Never answered at all."""


BAD_GATEWAY = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"</body>\r\n</html>\r\n"
)
"""What a load balancer answers while no API server stands behind it."""


@dataclass(slots=True)
class Faults:
    """All faults that are switched on."""

    failures: list[Failure] = field(default_factory=list)
    forbidden: set[tuple[Resource | None, str]] = field(default_factory=set)
    """Resource and verb; None and * for all."""
    watchlist: dict[Resource | None, WatchListMode] = field(default_factory=dict)
    shapes: dict[Resource | None, ExpiryShape] = field(default_factory=dict)

    def take_failure(self, resource: Resource, verb: str) -> Failure | None:
        """Return the failure that meets this request, and count it down."""
        for failure in self.failures:
            if failure.resource in (None, resource) and failure.verb in ("*", verb):
                failure.count -= 1
                if failure.count <= 0:
                    self.failures.remove(failure)
                return failure
        return None

    def forbids(self, resource: Resource, verb: str) -> bool:
        """Tell whether RBAC has been told to say no."""
        return any((which, what) in self.forbidden for which in (None, resource) for what in ("*", verb))

    def watchlist_mode(self, resource: Resource) -> WatchListMode:
        """Return what a WatchList request of this resource meets."""
        return self.watchlist.get(resource) or self.watchlist.get(None) or WatchListMode.ALLOWED

    def expiry_shape(self, resource: Resource) -> ExpiryShape:
        """Return how this resource refuses a version that is too old."""
        return self.shapes.get(resource) or self.shapes.get(None) or ExpiryShape.STREAM

    def clear(self) -> None:
        """Mend everything."""
        self.failures.clear()
        self.forbidden.clear()
        self.watchlist.clear()
        self.shapes.clear()


def error_of(failure: Failure) -> ApiError:
    """Return the answer of a failure; codes without a body of their own get a plain internal error."""
    if failure.code == 429:
        return too_many_requests(failure.retry_after_seconds)
    if failure.code in {502, 503}:
        answer = ApiError(failure.code, BAD_GATEWAY)
        answer.content_type = "text/html"
        return answer
    answer = internal_error("the pretend cluster was told to fail")
    answer.code = failure.code
    return answer

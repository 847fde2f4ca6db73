"""
What can go wrong in an agent, drawn here. The class answers what the caller should do.

That the API server cannot be used as configured is said by kubescribe/kube/errors.py.

    AgentError
    ├── KindRefused              a kind in `watch.kinds` that is malformed, or is never watched
    ├── LeaseTaken               another wrote the Lease since it was read, created or deleted it: read it again
    ├── NotLeading               a request for the agent that leads: ask that one
    ├── Undecodable              one object or line is not what it should be: count it, skip it, go on
    └── RequestFailed            one request failed; `StreamEnd` and the watcher decide between retry and relist
        ├── ServerSaid           the server answered with a Status: code, reason, message, Retry-After
        └── NoAnswer             refused, reset, timed out: the server did not answer, or not to the end
"""


class AgentError(Exception):
    """Root of the agent's errors; the message is one line, never a secret, never a whole body."""


class KindRefused(AgentError):
    """A kind that was asked for cannot be watched."""


class LeaseTaken(AgentError):
    """The Lease is not any more what was to be replaced."""


class NotLeading(AgentError):
    """This agent is not the one that works."""


class Undecodable(AgentError):
    """A line or an object is not what the API promises; it alone is skipped."""


class RequestFailed(AgentError):
    """One request to the API server failed."""


class ServerSaid(RequestFailed):
    """The server answered with an error: the parts of its Status that decide what to do."""

    def __init__(
        self,
        code: int,
        reason: str = "",
        message: str = "",
        *,
        retry_after_seconds: float | None = None,
        causes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(f"HTTP {code} {reason}: {message[:256]}" if reason else f"HTTP {code}: {message[:256]}")
        self.code = code
        self.reason = reason
        self.message = message[:256]
        self.retry_after_seconds = retry_after_seconds
        self.causes = causes

    @property
    def is_missing(self) -> bool:
        """Tell whether the API server said that there is no such object; a proxy's page with 404 says nothing of it."""
        return self.code == 404 and self.reason == "NotFound"

    @property
    def is_expired(self) -> bool:
        """Tell whether the version or continue token asked for is too old (isExpiredError of client-go)."""
        return self.code == 410 or self.reason in {"Expired", "Gone"}

    @property
    def is_too_large(self) -> bool:
        """Tell whether the version asked for is newer than anything that the server has (KEP-1904; etcd restored)."""
        return "ResourceVersionTooLarge" in self.causes or "Too large resource version" in self.message


class NoAnswer(RequestFailed):
    """The connection was refused, reset, or (`is_silence`) silent beyond its deadline."""

    def __init__(self, message: str, *, is_silence: bool = False) -> None:
        super().__init__(message)
        self.is_silence = is_silence

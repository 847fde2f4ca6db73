"""
Why a connection to the aggregator ended, drawn here. Each class answers when to try again.

    LinkEnded
    ├── LinkDown       try again after the backoff: no answer, a broken or silent connection, a disk that failed
    ├── LinkRefused    the aggregator said no: after what it says, or slowly, until something is changed
    └── Renumbered     at once: the spool has a new id, and Hello must say it
"""


class LinkEnded(Exception):
    """Root of the link's errors; the message is one line for an operator."""


class LinkDown(LinkEnded):
    """The aggregator cannot be reached, or the connection broke."""


class LinkRefused(LinkEnded):
    """The aggregator ended the conversation; `code` is that of `kubescribe.wire.link.Refused`."""

    def __init__(self, code: str, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.retry_after_seconds = retry_after_seconds


class Renumbered(LinkEnded):
    """The spool's numbering could not go on; it has a new id."""

"""
The errors of the aggregator; each class answers what the caller should do.

    AggregatorError
    ├── StoreError
    │   ├── StoreClosed         stop: the store was closed
    │   ├── StoreUnavailable    retry: the disk is full, read-only or failing; nothing of the commit was kept
    │   └── StoreUnusable       stop at start-up: not a journal, a newer one, of another cluster, damaged
    ├── PeersUnknown            answer 503: whose a credential is cannot be asked now
    ├── LinkRefused             end this one connection, with a code
    ├── RequestFailed           answer without it: an agent could not, is gone, or was too slow
    └── BadQuery                answer 400: names the parameter, the value and the expectation
"""


class AggregatorError(Exception):
    """Root of what the aggregator raises itself."""


class StoreError(AggregatorError):
    """The journal cannot do what was asked."""


class StoreClosed(StoreError):
    """The store was closed before the call."""


class StoreUnavailable(StoreError):
    """The journal cannot be written or read now; nothing of the commit was kept, and trying again may succeed."""


class StoreUnusable(StoreError):
    """The file cannot serve as this aggregator's journal; the message says why and what to do."""


class LinkRefused(AggregatorError):
    """A conversation with an agent cannot go on; `code` is one of `kubescribe.wire.link.Refused.code`."""

    def __init__(self, code: str, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_seconds = retry_after_seconds


class PeersUnknown(AggregatorError):
    """The API server, which knows whose a token is, did not answer; trying again may succeed."""


class RequestFailed(AggregatorError):
    """An agent did not answer a request: it said so, is gone, or was too slow."""


class BadQuery(AggregatorError):
    """A parameter of a request is wrong; `parameter` names it."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter

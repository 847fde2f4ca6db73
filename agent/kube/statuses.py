"""The API's own form of an error, a Status, from whatever bytes came with it. Pure."""

import msgspec

from agent.errors import ServerSaid

MAX_RETRY_AFTER_SECONDS = 300.0
"""API servers ask for one to some tens; a watch must not be put to sleep for a year by a proxy."""


class _Cause(msgspec.Struct, gc=False):
    reason: str = ""


class _Details(msgspec.Struct, gc=False, rename="camel"):
    retry_after_seconds: float = 0
    causes: list[_Cause] | None = None


class Status(msgspec.Struct, gc=False):
    """The API's own form of an error."""

    code: int = 0
    reason: str = ""
    message: str = ""
    kind: str = ""
    details: _Details | None = None

    def as_error(self, code: int, retry_after_seconds: float | None = None) -> ServerSaid:
        """Return the error; *code* stands in for one that the Status does not tell."""
        details = self.details or _Details()
        return ServerSaid(
            self.code or code,
            self.reason,
            self.message,
            retry_after_seconds=min(retry_after_seconds or details.retry_after_seconds, MAX_RETRY_AFTER_SECONDS)
            or None,
            causes=tuple(cause.reason for cause in details.causes or ()),
        )


def decode_refusal(code: int, body: bytes, retry_after: str | None) -> ServerSaid:
    """Return the error that an HTTP answer tells; *body* is a Status, or a page that is cut and quoted."""
    header = float(retry_after) if retry_after and retry_after.isdigit() else None
    try:
        status = msgspec.json.decode(body, type=Status)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        page = " ".join(body[:200].decode("utf-8", "replace").split())
        return ServerSaid(code, message=page, retry_after_seconds=header and min(header, MAX_RETRY_AFTER_SECONDS))
    return status.as_error(code, header)

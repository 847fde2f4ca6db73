"""Errors as the API server answers them: `Status` bodies, their HTTP codes and headers, field for field."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from simulator.errors import SimulatorError

MODIFIED_MEANWHILE = "the object has been modified; please apply your changes to the latest version and try again"

CAUSE_REASONS: Mapping[str, str] = {
    "Invalid value": "FieldValueInvalid",
    "Required value": "FieldValueRequired",
    "Unsupported value": "FieldValueNotSupported",
    "Forbidden": "FieldValueForbidden",
}


class ApiError(SimulatorError):
    """An answer that is an error; *headers* come on top of the usual ones."""

    def __init__(self, code: int, body: bytes, *, headers: Mapping[str, str] | None = None, text: bool = False) -> None:
        super().__init__(body[:256].decode(errors="replace"))
        self.code = code
        self.body = body
        self.headers = dict(headers or {})
        self.content_type = "text/plain; charset=utf-8" if text else "application/json"

    @property
    def error_line(self) -> bytes:
        """The same error as the last line of a watch."""
        return b'{"type":"ERROR","object":%b}\n' % self.body.rstrip(b"\n")


def status(
    code: int,
    message: str,
    reason: str = "",
    *,
    details: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> ApiError:
    """Return a failure `Status`; empty parts are left out as Go leaves them out."""
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": dict(metadata or {}),
        "status": "Failure",
        "message": message,
    }
    if reason:
        body["reason"] = reason
    if details:
        body["details"] = dict(details)
    body["code"] = code
    return ApiError(code, msgspec.json.encode(body) + b"\n", headers=headers)


def no_such_path() -> ApiError:
    """Answer an unknown group, version or resource: plain text, no Status."""
    return ApiError(404, b"404 page not found\n", text=True)


def unauthorized() -> ApiError:
    """Answer no token, or a wrong one."""
    return status(401, "Unauthorized", "Unauthorized")


def forbidden(user: str, verb: str, group: str, plural: str, *, namespace: str, name: str) -> ApiError:
    """Answer what RBAC does not allow."""
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    named = f' "{name}"' if name else ""
    return status(
        403,
        f'{plural}{"." + group if group else ""}{named} is forbidden: User "{user}" cannot {verb} resource "{plural}" '
        f'in API group "{group}" {scope}',
        "Forbidden",
        details={key: value for key, value in (("name", name), ("group", group), ("kind", plural)) if value},
    )


def not_found(group: str, plural: str, name: str) -> ApiError:
    """Answer that there is no object of that name."""
    return status(
        404,
        f'{plural}{"." + group if group else ""} "{name}" not found',
        "NotFound",
        details={key: value for key, value in (("name", name), ("group", group), ("kind", plural)) if value},
    )


def already_exists(group: str, plural: str, name: str) -> ApiError:
    """Answer that the name is taken."""
    return status(
        409,
        f'{plural}{"." + group if group else ""} "{name}" already exists',
        "AlreadyExists",
        details={key: value for key, value in (("name", name), ("group", group), ("kind", plural)) if value},
    )


def conflict(group: str, plural: str, name: str, cause: str = MODIFIED_MEANWHILE) -> ApiError:
    """Answer that the object is not the one that the write was made for."""
    return status(
        409,
        f'Operation cannot be fulfilled on {plural}{"." + group if group else ""} "{name}": {cause}',
        "Conflict",
        details={key: value for key, value in (("name", name), ("group", group), ("kind", plural)) if value},
    )


def wrong_uid(key: str, wanted: str, found: str) -> str:
    """Return the cause of a conflict between the uid of a write and that of the object under *key*, if any."""
    return (
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    )


def method_not_allowed(group: str, plural: str) -> ApiError:
    """Answer a verb that the resource does not have."""
    return status(
        405,
        "the server does not allow this method on the requested resource",
        "MethodNotAllowed",
        details={key: value for key, value in (("group", group), ("kind", plural)) if value},
    )


@dataclass(frozen=True, slots=True)
class Complaint:
    """One field that validation does not accept."""

    field: str
    what: str
    """As `field.ErrorType` prints it: "Invalid value", "Required value" …."""
    value: str
    """As Go prints it; empty when the message does not show it."""
    detail: str

    @property
    def body(self) -> str:
        """The complaint without its field."""
        shown = f"{self.what}: {self.value}" if self.value else self.what
        return f"{shown}: {self.detail}" if self.detail else shown

    @property
    def cause(self) -> dict[str, str]:
        """The complaint as it stands in a Status."""
        return {"reason": CAUSE_REASONS[self.what], "message": self.body, "field": self.field}


def invalid_object(group: str, kind: str, name: str, complaints: Sequence[Complaint]) -> ApiError:
    """Answer an object that validation does not accept."""
    told = [f"{complaint.field}: {complaint.body}" for complaint in complaints]
    all_told = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    details: dict[str, Any] = {key: value for key, value in (("name", name), ("group", group), ("kind", kind)) if value}
    return status(
        422,
        f'{kind}{"." + group if group else ""} "{name}" is invalid: {all_told}',
        "Invalid",
        details={**details, "causes": [complaint.cause for complaint in complaints]},
    )


def deleted(group: str, plural: str, name: str, uid: str) -> dict[str, Any]:
    """Return the Status that a DELETE is answered with where the object is not."""
    details = {key: value for key, value in (("name", name), ("group", group), ("kind", plural)) if value}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**details, "uid": uid},
    }


def bad_request(message: str) -> ApiError:
    """Answer a parameter that makes no sense."""
    return status(400, message, "BadRequest")


def bad_version(text: str) -> ApiError:
    """Answer a resourceVersion that is no number: the real server answers 500 without a reason."""
    return status(500, f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')


def too_old(version: int, oldest: int) -> ApiError:
    """Answer a watch from before the watch cache's window."""
    return status(410, f"too old resource version: {version} ({oldest})", "Expired")


def list_expired() -> ApiError:
    """Answer a list at a version that is no longer known."""
    return status(410, "The resourceVersion for the provided list is too old.", "Expired")


def watch_expired() -> ApiError:
    """Answer a watch of the store itself (Events) from before its compaction."""
    return status(410, "The resourceVersion for the provided watch is too old.", "Expired")


def continue_expired(start: str) -> ApiError:
    """Answer a continue token whose version is compacted: with a token for the inconsistent rest."""
    return status(
        410,
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list.",
        "Expired",
        metadata={"continue": continue_token(-1, start)},
    )


def too_large_version(requested: int, current: int) -> ApiError:
    """Answer a list that must not be older than a version which the cache has not reached."""
    return status(
        504,
        f"Timeout: Too large resource version: {requested}, current: {current}",
        "Timeout",
        details={
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
        headers={"Retry-After": "1"},
    )


def invalid_options(field: str, detail: str) -> ApiError:
    """Answer ListOptions that contradict each other, or ask for a feature that is off (EKS 1.33 and WatchList)."""
    return status(
        422,
        f'ListOptions.meta.k8s.io "" is invalid: {field}: Forbidden: {detail}',
        "Invalid",
        details={
            "group": "meta.k8s.io",
            "kind": "ListOptions",
            "causes": [{"reason": "FieldValueForbidden", "message": f"Forbidden: {detail}", "field": field}],
        },
    )


def watchlist_gate_off() -> ApiError:
    """Answer WatchList on a server whose feature gate is off (kubernetes#135583)."""
    return invalid_options(
        "sendInitialEvents", "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
    )


def no_progress_requests() -> ApiError:
    """Answer WatchList on an etcd without progress notifications (3.4): sent inside the stream."""
    return status(
        500,
        "a watch stream was requested by the client but the required storage feature RequestWatchProgress is disabled",
        "InternalError",
    )


def too_many_requests(retry_after_seconds: int) -> ApiError:
    """Answer that priority and fairness has no seat left."""
    return status(
        429,
        "too many requests, please try again later",
        "TooManyRequests",
        details={"retryAfterSeconds": retry_after_seconds},
        headers={"Retry-After": str(retry_after_seconds)},
    )


def internal_error(message: str) -> ApiError:
    """Answer that something broke in the server."""
    return status(
        500,
        f"Internal error occurred: {message}",
        "InternalError",
        details={"causes": [{"message": message}]},
    )


def continue_token(revision: int, start: str) -> str:
    """Return a continue token in the server's form: base64 without padding over JSON."""
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def read_continue_token(token: str) -> tuple[int, str]:
    """Return the version and the start of a token; ApiError 400 in the server's words."""
    prefix = "invalid continue token: continue key is not valid: "
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise bad_request(f"{prefix}illegal base64 data at input byte {max(len(token) - 1, 0)}") from error
    try:
        fields = json.loads(raw)
        return int(fields["rv"]), str(fields["start"])
    except (ValueError, KeyError, TypeError) as error:
        first = chr(raw[0]) if raw else ""
        raise bad_request(f"{prefix}invalid character '{first}' looking for beginning of value") from error

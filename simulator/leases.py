"""
What the API server checks of a Lease before it stores it (pkg/apis/coordination/validation).

Times are `MicroTime`: exactly six digits of a second, kept as they were sent but for the zone, which becomes UTC.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from simulator.statuses import ApiError, Complaint, bad_request, invalid_object
from simulator.versions import Object

MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
"""The layout of Go that a MicroTime is read with."""

_MICRO = re.compile(r"(?P<seconds>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?P<fraction>\.\d{6})(?P<zone>Z|[+-]\d\d:\d\d)")
_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_STRINGS = ("holderIdentity", "strategy", "preferredHolder")
_NUMBERS = ("leaseDurationSeconds", "leaseTransitions")
_TIMES = ("acquireTime", "renewTime")
_STRATEGY = "OldestEmulationVersion"


def checked(lease: Object) -> Object:
    """Return the Lease as it is stored; ApiError 400 when it cannot be read, 422 when it is not valid."""
    spec = _decoded(lease.get("spec") or {})
    if complaints := _complaints(spec):
        raise invalid_object("coordination.k8s.io", "Lease", lease["metadata"].get("name", ""), complaints)
    return {**lease, "spec": spec}


def _decoded(spec: Any) -> Object:
    """Return the spec with its known fields, of the types that the server reads; null is absent."""
    if not isinstance(spec, dict):
        raise _unreadable(f"cannot unmarshal {_go_type(spec)} into Go struct field Lease.spec of type v1.LeaseSpec")
    decoded: Object = {}
    for name in (*_STRINGS, *_NUMBERS, *_TIMES):
        value = spec.get(name)
        if value is None:
            continue
        wanted, go_type = (int, "int32") if name in _NUMBERS else (str, "string")
        if not isinstance(value, wanted) or isinstance(value, bool):
            where = f"Go struct field LeaseSpec.spec.{name} of type {go_type}"
            raise _unreadable(f"json: cannot unmarshal {_go_type(value)} into {where}")
        decoded[name] = _micro_time(str(value)) if name in _TIMES else value
    # In the order of the client's fields: what it sent is what it gets.
    return {name: decoded[name] for name in spec if name in decoded}


def _complaints(spec: Object) -> list[Complaint]:
    found = []
    if spec.get("leaseDurationSeconds", 1) <= 0:
        value = str(spec["leaseDurationSeconds"])
        found.append(Complaint("spec.leaseDurationSeconds", "Invalid value", value, "must be greater than 0"))
    if spec.get("leaseTransitions", 0) < 0:
        value = str(spec["leaseTransitions"])
        found.append(Complaint("spec.leaseTransitions", "Invalid value", value, "must be greater than or equal to 0"))
    strategy = spec.get("strategy")
    if strategy is not None and "/" not in strategy and strategy != _STRATEGY:
        supported = f'supported values: "{_STRATEGY}"'
        # The real path does say strategy twice.
        found.append(Complaint("spec.strategy.strategy", "Unsupported value", f'"{strategy}"', supported))
    if spec.get("preferredHolder") and not strategy:
        found.append(
            Complaint("spec.preferredHolder", "Forbidden", "", "may only be specified if `strategy` is defined")
        )
    return found


def _micro_time(text: str) -> str:
    match = _MICRO.fullmatch(text)
    if match is not None:
        # A month or an hour that does not exist is as unreadable as a missing digit.
        with suppress(ValueError):
            moment = datetime.fromisoformat(text)
            return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}{match['fraction']}Z"
    raise _unreadable(_go_parse_error(text))


def _go_parse_error(text: str) -> str:
    """Return the words of Go's time.Parse about *text*: where it stopped, and what it expected there."""
    head = _SECONDS.match(text)
    left, element = text, "2006"
    if head is not None:
        left = text[head.end() :]
        element = ".000000"
        if fraction := re.match(r"\.\d{6}", left):
            left, element = left[fraction.end() :], "Z07:00"
    return f'parsing time "{text}" as "{MICRO_LAYOUT}": cannot parse "{left}" as "{element}"'


def _unreadable(cause: str) -> ApiError:
    return bad_request(f'Lease in version "v1" cannot be handled as a Lease: {cause}')


def _go_type(value: Any) -> str:
    """Return what encoding/json calls a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"

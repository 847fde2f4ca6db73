"""
What a pod's status says, read with care: any client may write one, and leave out whatever it likes.

The API server demands little of a status, and a kubelet reads it without falling over what is not there.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_Status = Mapping[str, Any]


def conditions_of(status: _Status) -> dict[str, Mapping[str, Any]]:
    """Return the conditions by type, without those that have none."""
    return {item["type"]: item for item in _items(status, "conditions") if "type" in item}


def first_container_of(status: _Status) -> Mapping[str, Any] | None:
    """Return the status of the first container, None when there is none."""
    return next(_items(status, "containerStatuses"), None)


def _items(status: _Status, field: str) -> Iterator[Mapping[str, Any]]:
    return (item for item in status.get(field) or () if isinstance(item, Mapping))

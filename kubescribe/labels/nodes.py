"""What naming a line needs of its node: the zone. Pure."""

import re

_ZONE = re.compile(rb'"topology\.kubernetes\.io/zone":"([^"\\]{1,253})"')
_UNINITIALIZED = b'"node.cloudprovider.kubernetes.io/uninitialized"'
"""The taint of a node of which its cloud has not told yet (cloud-provider/api/well_known_taints.go); the zone comes
with its removal, and a DaemonSet's pods do not wait for that."""


def zone_in(body: bytes) -> str | None:
    """Return the zone of the Node whose object is *body*, JSON, "" for one that has none, None while it may get one."""
    found = _ZONE.search(body)
    if found is not None:
        return found[1].decode("utf-8", "replace")
    return None if _UNINITIALIZED in body else ""

"""
The parameters of lists and watches, and what the server is known to refuse. No I/O.

`limit` never goes with a resourceVersion: the watch cache would ignore it or be bypassed (watching rule 4).
"""

from dataclasses import dataclass, field

from agent.watch.kinds import WatchedKind

JSON = "application/json"
META_OBJECT = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
META_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

_FIRST_WATCH_LIST = 27
_FIRST_CONSISTENT_CACHE = 31


@dataclass(slots=True)
class ServerTraits:
    """
    What one API server is known to do; shared by its streams, so that each lesson is learned once.

    `minor` is its minor version, 0 when unknown. EKS 1.33 refuses WatchList (kubernetes#135583); an etcd without
    progress notifications makes it fail for every resource; an aggregated API may never end it, for its own only.
    `large_resources` hold more than WatchList may keep in memory: they are listed in pages.
    """

    minor: int = 0
    refuses_watch_list: bool = False
    endless_resources: set[str] = field(default_factory=set)
    large_resources: set[str] = field(default_factory=set)

    def takes_watch_list(self, kind: WatchedKind) -> bool:
        """Tell whether WatchList is worth a try for *kind*; Events are listed in pages, they have no cache."""
        resource = kind.stream_resource
        if kind.is_events or self.refuses_watch_list or resource in self.endless_resources | self.large_resources:
            return False
        return not 0 < self.minor < _FIRST_WATCH_LIST

    @property
    def lists_from_cache(self) -> bool:
        """Tell whether a list without resourceVersion is answered from the watch cache (KEP-2340)."""
        return not 0 < self.minor < _FIRST_CONSISTENT_CACHE


def accepts(kind: WatchedKind, *, is_list: bool = False) -> str:
    """Return the media type to ask for."""
    if not kind.metadata_only:
        return JSON
    return META_LIST if is_list else META_OBJECT


def selector_params(node: str | None) -> dict[str, str]:
    """Return the selector of a stream: of one node, of none (""), or of all (None)."""
    return {} if node is None else {"fieldSelector": f"spec.nodeName={node}"}


def watch_params(kind: WatchedKind, node: str | None, version: int, timeout_seconds: float) -> dict[str, str]:
    """Return the parameters of a watch from *version*."""
    params = {
        **selector_params(node),
        "watch": "true",
        "resourceVersion": str(version),
        "timeoutSeconds": str(max(1, round(timeout_seconds))),
    }
    return params if kind.is_events else {**params, "allowWatchBookmarks": "true"}


def watch_list_params(node: str | None, not_older_than: int | None, timeout_seconds: float) -> dict[str, str]:
    """Return the parameters of a watch that begins with the state; consistent when *not_older_than* is None."""
    params = {
        **selector_params(node),
        "watch": "true",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(max(1, round(timeout_seconds))),
    }
    return params if not_older_than is None else {**params, "resourceVersion": str(not_older_than)}


def list_params(node: str | None, *, not_older_than: int | None, limit: int, token: str) -> dict[str, str]:
    """Return the parameters of a list, or of the page behind *token*."""
    params = selector_params(node)
    if token:
        return {**params, "limit": str(limit), "continue": token}
    if not_older_than is not None:
        return {**params, "resourceVersion": str(not_older_than), "resourceVersionMatch": "NotOlderThan"}
    return {**params, "limit": str(limit)} if limit else params

"""API paths taken apart, and the count of requests received: how much load a client put on the API server."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPath:
    """`/api/v1/namespaces/shop/pods/web-1/status`, taken apart; absent parts are empty."""

    group: str
    version: str
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def api_path(path: str) -> ApiPath | None:
    """Take a path apart; None when it is no path of the API."""
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 2 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 3 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if len(rest) >= 3 and rest[0] == "namespaces" and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource, *more = [*rest, "", "", ""][: max(3, len(rest))]
    if more:
        return None
    return ApiPath(group=group, version=version, plural=plural, namespace=namespace, name=name, subresource=subresource)


class RequestCounts:
    """Requests received, by resource, verb and shape of the query."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def note(self, resource: str, verb: str, query: Mapping[str, str]) -> None:
        """Count one request."""
        self._counts[resource, verb, query_shape(query)] += 1

    def rows(self) -> list[dict[str, str | int]]:
        """Return the counts, ordered."""
        return [
            {"resource": resource, "verb": verb, "query": query, "count": count}
            for (resource, verb, query), count in sorted(self._counts.items())
        ]

    def clear(self) -> None:
        """Count from zero."""
        self._counts.clear()


def query_shape(query: Mapping[str, str]) -> str:
    """Return the parameters' names in order; the resourceVersion as `0` or `N`, selectors' values left out."""
    names = []
    for name in sorted(query):
        if name == "resourceVersion":
            names.append("resourceVersion=0" if query[name] == "0" else "resourceVersion=N")
        elif name in {"resourceVersionMatch", "sendInitialEvents"}:
            names.append(f"{name}={query[name]}")
        elif name != "watch":
            names.append(name)
    return "&".join(names)

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
    """Requests received: by resource, verb and shape of the query, and in detail by selectors and User-Agent."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()

    def note(self, resource: str, verb: str, query: Mapping[str, str], *, user_agent: str = "") -> None:
        """Count one request."""
        selectors = query.get("fieldSelector", ""), query.get("labelSelector", "")
        self._counts[resource, verb, query_shape(query), *selectors, user_agent] += 1

    def rows(self) -> list[dict[str, str | int]]:
        """Return the counts by resource, verb and shape, ordered."""
        return self._grouped(("resource", "verb", "query"))

    def detailed(self) -> list[dict[str, str | int]]:
        """Return the counts by everything that is known, ordered."""
        return self._grouped(("resource", "verb", "query", "fieldSelector", "labelSelector", "userAgent"))

    def clear(self) -> None:
        """Count from zero."""
        self._counts.clear()

    def _grouped(self, names: tuple[str, ...]) -> list[dict[str, str | int]]:
        """Return the counts by the first of their parts, as many as there are *names*."""
        grouped: Counter[tuple[str, ...]] = Counter()
        for parts, count in self._counts.items():
            grouped[parts[: len(names)]] += count
        return [{**dict(zip(names, parts, strict=True)), "count": count} for parts, count in sorted(grouped.items())]


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

"""Parameters to a question about lines: what must be named, and how long ago a duration is."""

from typing import Any

from aggregator.logs.asking import LogQuery
from aggregator.web.parameters import BadParameter


def read_query(values: dict[str, Any], now: int) -> LogQuery:
    """Return the question that *values* ask at the time *now*, ns. Raises BadParameter for one about nobody."""
    for name in ("since", "until"):
        if values.get(name, 0) < 0:
            values[name] = max(1, now + values[name])
    query = LogQuery(**values)
    named = [name for name in ("pod", "workload", "uid") if getattr(query, name)]
    if len(named) != 1:
        raise BadParameter("workload", " ".join(named), "one of: namespace and pod, namespace and workload, uid")
    if not query.uid and not query.namespace:
        raise BadParameter("namespace", "", f"the namespace of the {named[0]}")
    if query.workload_kind and not query.workload:
        raise BadParameter("workloadKind", query.workload_kind, "to be given with workload")
    return query


def named(query: LogQuery) -> str:
    """Return whom *query* is about, in words."""
    if query.uid:
        return f"the uid {query.uid[:64]!r}"
    if query.pod:
        return f"the name {query.pod[:64]!r} in the namespace {query.namespace[:64]!r}"
    kind = query.workload_kind or "workload"
    return f"the {kind[:64]} {query.workload[:64]!r} in the namespace {query.namespace[:64]!r}"

"""
The answers to questions: query, query_range, labels, series, as JSON of Loki's shape. Pure, over what has arrived.

Shapes, parameters and refusals are those of pkg/loghttp (query.go, params.go) and pkg/logql/engine.go,
grafana/loki@65e30f8. Not done: the query front end's splitting, which moves the moments to whole steps.
"""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from simulator.loki.durations import BadDuration, duration_ns
from simulator.loki.entries import NANOS, Entry, Labels, Refusal
from simulator.loki.evaluating import Vectors, evaluated
from simulator.loki.ingesting import Stream
from simulator.loki.levels import with_level
from simulator.loki.limits import Limits
from simulator.loki.measuring import Choice, Measured, parse
from simulator.loki.querying import Query, parse_selector

DEFAULT_LIMIT = 100
DEFAULT_SINCE_NS = 3600 * NANOS
MAX_ENTRIES = "max entries limit per query exceeded, limit > max_entries_limit_per_query ({} > {})"
"""pkg/util/validation/validate.go, grafana/loki@65e30f8."""

MAX_SERIES = (
    "maximum number of series ({}) reached for a single query; consider reducing query cardinality by adding more"
    " specific stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or"
    " topk()"
)
MAX_POINTS = 11_000
POINTS_TOO_MANY = (
    "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter"
)
NO_STEP = "zero or negative query resolution step widths are not accepted. Try a positive integer"
NOT_INSTANT = "log queries are not supported as an instant query type, please change your query to a range query type"

CATEGORIZE = "categorize-labels"
"""X-Loki-Response-Encoding-Flags: structured metadata stays with its entry, else it is merged into the labels."""


def query_range(
    streams: Iterable[Stream], asked: Mapping[str, str], limits: Limits, *, categorize: bool = False
) -> dict[str, Any]:
    """Return the answer to /loki/api/v1/query_range. Raises Refusal."""
    start, end = bounds(asked)
    limit, is_forward, step = limit_of(asked), _is_forward(asked), _step(asked, start, end)
    query = parse(asked.get("query", ""))
    if isinstance(query, Query):
        if limit > limits.max_query_entries:
            raise Refusal(400, MAX_ENTRIES.format(limit, limits.max_query_entries))
        found = _entries(query, streams, start, end)
        found.sort(key=lambda pair: pair[0].at, reverse=not is_forward)
        return _answer("streams", grouped(found[:limit], categorize=categorize), categorize=categorize)
    return _answer("matrix", _matrix(query, streams, range(start, end + 1, step), limits))


def query(streams: Iterable[Stream], asked: Mapping[str, str], limits: Limits) -> dict[str, Any]:
    """Return the answer to /loki/api/v1/query, which is about one moment. Raises Refusal."""
    limit_of(asked)
    at = _time(asked, "time", time.time_ns())
    measured = parse(asked.get("query", ""))
    if isinstance(measured, Query):
        raise Refusal(400, NOT_INSTANT)
    found = [
        (labels, value)
        for labels, values in _bounded(evaluated(measured, streams, [at]), limits).items()
        if (value := values[0]) is not None
    ]
    if isinstance(measured, Choice):
        found.sort(key=lambda it: it[1], reverse=measured.function == "topk")
    else:
        found.sort()
    return _answer("vector", [{"metric": dict(labels), "value": _point(at, value)} for labels, value in found])


def _entries(query: Query, streams: Iterable[Stream], start: int, end: int) -> list[tuple[Entry, Stream]]:
    """Return what *query* finds; of a query that takes lines apart, each with the labels that it ends with."""
    return [
        (entry if not query.reads_lines else _relabelled(query, stream, entry), stream)
        for stream in streams
        if query.selects(stream.labels)
        for entry in stream.entries()
        if start <= entry.at < end and query.keeps(stream.labels, entry)
    ]


def _relabelled(query: Query, stream: Stream, entry: Entry) -> Entry:
    own = dict(stream.labels)
    labels = query.labelled(stream.labels, entry) or {}
    return entry._replace(metadata=tuple(sorted((name, it) for name, it in labels.items() if own.get(name) != it)))


def _matrix(measured: Measured, streams: Iterable[Stream], moments: range, limits: Limits) -> list[dict[str, Any]]:
    found = _bounded(evaluated(measured, streams, moments), limits)
    return [
        {
            "metric": dict(labels),
            "values": [_point(at, it) for at, it in zip(moments, values, strict=True) if it is not None],
        }
        for labels, values in sorted(found.items(), key=lambda it: it[0])
    ]


def _bounded(found: Vectors, limits: Limits) -> dict[Labels, Any]:
    there = {labels: values for labels, values in found.items() if any(it is not None for it in values)}
    if len(there) > limits.max_query_series:
        raise Refusal(400, MAX_SERIES.format(limits.max_query_series))
    return there


def _point(at_ns: int, value: float) -> list[Any]:
    """Return a sample as Prometheus writes one: seconds with milliseconds at most, and the value as text."""
    millis = at_ns // 1_000_000
    return [millis / 1000 if millis % 1000 else millis // 1000, repr(value) if value % 1 else str(int(value))]


def _answer(kind: str, result: Any, *, categorize: bool = False) -> dict[str, Any]:
    flags = {"encodingFlags": [CATEGORIZE]} if categorize else {}
    return {"status": "success", "data": {"resultType": kind, "result": result, **flags, "stats": {}}}


def grouped(found: Iterable[tuple[Entry, Stream]], *, categorize: bool = False) -> list[dict[str, Any]]:
    """Return entries in streams of equal labels, in their order."""
    groups: dict[Any, dict[str, Any]] = {}
    for entry, stream in found:
        own = dict(stream.labels)
        metadata = dict(with_level(entry.metadata, own, entry.line))
        labels = own if categorize else {**own, **metadata}
        group = groups.setdefault(tuple(sorted(labels.items())), {"stream": labels, "values": []})
        value: list[Any] = [str(entry.at), entry.line]
        if categorize:
            value.append({"structuredMetadata": metadata})
        group["values"].append(value)
    return list(groups.values())


def label_names(streams: Iterable[Stream], asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer to /loki/api/v1/labels."""
    names = {name for stream in _selected(streams, asked.get("query", "")) for name, _ in stream.labels}
    return {"status": "success", "data": sorted(names)}


def label_values(streams: Iterable[Stream], name: str, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer to /loki/api/v1/label/NAME/values."""
    selected = _selected(streams, asked.get("query", ""))
    return {"status": "success", "data": sorted({dict(stream.labels).get(name, "") for stream in selected} - {""})}


def series(streams: Iterable[Stream], matches: Iterable[str]) -> dict[str, Any]:
    """Return the answer to /loki/api/v1/series."""
    queries = [parse_selector(match) for match in matches]
    if not queries:
        raise Refusal(400, "0 matcher groups supplied")
    found = [dict(stream.labels) for stream in streams if any(query.selects(stream.labels) for query in queries)]
    return {"status": "success", "data": found}


def limit_of(asked: Mapping[str, str]) -> int:
    """Return how many entries are asked for. Raises Refusal."""
    try:
        limit = int(asked.get("limit") or DEFAULT_LIMIT)
    except ValueError as error:
        raise Refusal(400, f'strconv.Atoi: parsing "{asked["limit"]}": invalid syntax') from error
    if limit <= 0:
        raise Refusal(400, "limit must be a positive value")
    return limit


def bounds(asked: Mapping[str, str]) -> tuple[int, int]:
    """Return start (included) and end (not included) of what is asked for, nanoseconds. Raises Refusal."""
    now = time.time_ns()
    end = _time(asked, "end", now)
    start = _time(asked, "start", min(end, now) - _since(asked))
    if end < start:
        raise Refusal(400, "end timestamp must not be before or equal to start time")
    return start, end


def _since(asked: Mapping[str, str]) -> int:
    try:
        return duration_ns(asked["since"]) if asked.get("since") else DEFAULT_SINCE_NS
    except BadDuration as error:
        raise Refusal(400, f"could not parse 'since' parameter: {error}") from error


def _step(asked: Mapping[str, str], start: int, end: int) -> int:
    text = asked.get("step", "")
    if not text:
        return max((end - start) // (250 * NANOS), 1) * NANOS
    try:
        step = int(float(text) * NANOS)
    except ValueError:
        try:
            step = duration_ns(text)
        except BadDuration as error:
            raise Refusal(400, f'cannot parse "{text}" to a valid duration') from error
    if step <= 0:
        raise Refusal(400, NO_STEP)
    if (end - start) // step > MAX_POINTS:
        raise Refusal(400, POINTS_TOO_MANY)
    return step


def _is_forward(asked: Mapping[str, str]) -> bool:
    direction = asked.get("direction", "backward").lower()
    if direction not in {"forward", "backward"}:
        raise Refusal(400, f"invalid direction '{asked['direction']}'")
    return direction == "forward"


def _time(asked: Mapping[str, str], name: str, default: int) -> int:
    # pkg/loghttp/params.go, parseTimestamp: seconds with a fraction, nanoseconds, or RFC 3339.
    text = asked.get(name, "")
    if not text:
        return default
    try:
        if "." in text and text.replace(".", "", 1).isdigit():
            seconds, _, fraction = text.partition(".")
            return int(seconds) * NANOS + int(fraction[:9].ljust(9, "0"))
        if text.lstrip("-").isdigit():
            return int(text) * (NANOS if len(text) <= 10 else 1)
        return int(datetime.fromisoformat(text).timestamp()) * NANOS + _fraction(text)
    except ValueError as error:
        raise Refusal(400, f"could not parse '{name}' parameter: {text}") from error


def _fraction(text: str) -> int:
    digits = "".join(character for character in text.partition(".")[2] if character.isdigit() or character in "Z+-")
    for stop in "Z+-":
        digits = digits.partition(stop)[0]
    return int(digits[:9].ljust(9, "0")) if digits else 0


def _selected(streams: Iterable[Stream], query: str) -> Iterable[Stream]:
    asked = parse_selector(query) if query else Query(())
    return (stream for stream in streams if asked.selects(stream.labels))

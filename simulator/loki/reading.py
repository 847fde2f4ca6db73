"""The answers to questions: query_range, labels, series, as JSON of Loki's shape. Pure, over what has arrived."""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from simulator.loki.entries import NANOS, Entry, Refusal
from simulator.loki.ingesting import Stream
from simulator.loki.limits import Limits
from simulator.loki.querying import Query, parse_query, parse_selector

DEFAULT_LIMIT = 100
DEFAULT_SINCE_NS = 3600 * NANOS
MAX_ENTRIES = "max entries limit per query exceeded, limit > max_entries_limit_per_query ({} > {})"
"""pkg/util/validation/validate.go, grafana/loki@65e30f8."""

CATEGORIZE = "categorize-labels"
"""X-Loki-Response-Encoding-Flags: structured metadata stays with its entry, else it is merged into the labels."""


def query_range(
    streams: Iterable[Stream], asked: Mapping[str, str], limits: Limits, *, categorize: bool = False
) -> dict[str, Any]:
    """Return the answer to /loki/api/v1/query_range. Raises Refusal."""
    query = parse_query(asked.get("query", ""))
    start, end = bounds(asked)
    limit = limit_of(asked)
    if limit > limits.max_query_entries:
        raise Refusal(400, MAX_ENTRIES.format(limit, limits.max_query_entries))
    direction = asked.get("direction", "backward").lower()
    if direction not in {"forward", "backward"}:
        raise Refusal(400, f"invalid direction '{asked['direction']}'")
    found = [
        (entry, stream)
        for stream in streams
        if query.selects(stream.labels)
        for entry in stream.entries()
        if start <= entry.at < end and query.keeps(stream.labels, entry)
    ]
    found.sort(key=lambda pair: pair[0].at, reverse=direction == "backward")
    data: dict[str, Any] = {"resultType": "streams", "result": grouped(found[:limit], categorize=categorize)}
    if categorize:
        data["encodingFlags"] = [CATEGORIZE]
    return {"status": "success", "data": {**data, "stats": {}}}


def grouped(found: Iterable[tuple[Entry, Stream]], *, categorize: bool = False) -> list[dict[str, Any]]:
    """Return entries in streams of equal labels, in their order."""
    groups: dict[Any, dict[str, Any]] = {}
    for entry, stream in found:
        labels = dict(stream.labels) if categorize else {**dict(stream.labels), **dict(entry.metadata)}
        group = groups.setdefault(tuple(sorted(labels.items())), {"stream": labels, "values": []})
        value: list[Any] = [str(entry.at), entry.line]
        if categorize:
            value.append({"structuredMetadata": dict(entry.metadata)} if entry.metadata else {})
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
    start = _time(asked, "start", min(end, now) - DEFAULT_SINCE_NS)
    if end < start:
        raise Refusal(400, "end timestamp must not be before or equal to start time")
    return start, end


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

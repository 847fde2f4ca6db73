"""
What Loki's distributor does with a request: validate each stream and entry, then limit the rate of the tenant.

Order and texts are those of pkg/distributor/distributor.go (pushWithResolver), pkg/distributor/validator.go and
pkg/validation/validate.go, grafana/loki@65e30f8. Not done here: level detection (`levels.py`, when an
entry is asked for) and the sharding of hot streams. Pure, but for the counting of what is discarded.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from simulator.loki.entries import NANOS, Entry, Labels, PushedStream, Refusal, entry_bytes, metadata_bytes, text_bytes
from simulator.loki.gotime import rfc3339
from simulator.loki.limits import Limits
from simulator.loki.streamlabels import format_labels

MISSING_STREAMS = "error at least one valid stream is required for ingestion"
MISSING_LABELS = "error at least one label pair is required per stream"
RATE_LIMITED = (
    "ingestion rate limit exceeded for user {} (limit: {} bytes/sec) while attempting to ingest '{}' lines totaling"
    " '{}' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased"
)
LINE_TOO_LONG = "max entry size '{}' bytes exceeded for stream '{}' while adding an entry with length '{}' bytes"
TOO_OLD = "entry for stream '{}' has timestamp too old: {}, oldest acceptable timestamp is: {}"
TOO_NEW = "entry for stream '{}' has timestamp too new: {}"
TOO_MANY_NAMES = "entry for stream '{}' has {} label names; limit {}"
NAME_TOO_LONG = "stream '{}' has label name too long: '{}'"
VALUE_TOO_LONG = "stream '{}' has label value too long: '{}'"
DUPLICATE_NAME = "stream '{}' has duplicate label name: '{}'"
METADATA_DISALLOWED = (
    "stream '{}' includes structured metadata, but this feature is disallowed. Please see"
    " `limits_config.allow_structured_metadata` or contact your Loki administrator to enable it"
)
METADATA_TOO_LARGE = (
    "stream '{}' has structured metadata too large: '{}' bytes, limit: '{}' bytes. Please see"
    " `limits_config.max_structured_metadata_size` or contact your Loki administrator to increase it"
)
METADATA_TOO_MANY = (
    "stream '{}' has too many structured metadata labels: '{}', limit: '{}'. Please see"
    " `limits_config.max_structured_metadata_entries_count` or contact your Loki administrator to increase it"
)

Discards = Counter[tuple[str, str]]
"""Entries that were discarded, by reason and tenant: loki_discarded_samples_total."""

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]+")


@dataclass(slots=True, kw_only=True)
class Distributed:
    """The valid part of a request, and the refusal that the whole of it is answered with all the same."""

    streams: list[PushedStream] = field(default_factory=list)
    refusal: Refusal | None = None


def distribute(
    pushed: Sequence[PushedStream],
    *,
    tenant: str,
    limits: Limits,
    now_ns: int,
    take: Callable[[float], bool],
    discards: Discards,
) -> Distributed:
    """Return what of *pushed* goes on to the ingester; *take* asks for bytes of the tenant's rate. Raises Refusal."""
    if not pushed:
        raise Refusal(422, MISSING_STREAMS)
    errors: list[str] = []
    valid: list[PushedStream] = []
    for stream in pushed:
        if not stream.entries:
            continue
        problem = _label_problem(stream.labels, limits)
        if problem is not None:
            errors.append(problem[1])
            discards[problem[0], tenant] += len(stream.entries)
            continue
        entries = []
        for entry in stream.entries:
            found = _entry_problem(stream.labels, entry, limits, now_ns)
            if found is None:
                entries.append(Entry(entry.at, entry.line, normalized(entry.metadata)))
            else:
                errors.append(found[1])
                discards[found[0], tenant] += 1
        if entries:
            valid.append(PushedStream(stream.labels, entries))
    done = Distributed(streams=valid, refusal=Refusal(400, _grouped(errors)) if errors else None)
    if valid:
        _limit_rate(valid, tenant=tenant, limits=limits, take=take, discards=discards)
    return done


@lru_cache(maxsize=4096)  # The same for thousands of lines.
def normalized(metadata: Labels) -> Labels:
    """Return structured metadata with names that are labels' names, as the distributor stores it; the later wins."""
    if all(name.isascii() and name.isidentifier() for name, _ in metadata):
        return tuple(sorted(dict(metadata).items()))
    return tuple(sorted({_label_name(name): value for name, value in metadata}.items()))


def _label_name(name: str) -> str:
    # otlptranslator.LabelNamer: what is no letter or digit becomes one underscore, a leading digit gets `key_`.
    name = _NOT_IN_NAMES.sub("_", name)
    return f"key_{name}" if name[:1].isdigit() else name


def _limit_rate(
    streams: Sequence[PushedStream],
    *,
    tenant: str,
    limits: Limits,
    take: Callable[[float], bool],
    discards: Discards,
) -> None:
    lines = sum(len(stream.entries) for stream in streams)
    size = sum(entry_bytes(entry) for stream in streams for entry in stream.entries)
    if not take(size):
        discards["rate_limited", tenant] += lines
        raise Refusal(429, RATE_LIMITED.format(tenant, int(limits.ingestion_rate_bytes), lines, size))


def _label_problem(labels: Labels, limits: Limits) -> tuple[str, str] | None:
    if not labels:
        return "missing_labels", MISSING_LABELS
    text = format_labels(labels)
    names = len(labels) - any(name == "service_name" for name, _ in labels)
    if names > limits.max_label_names:
        return "max_label_names_per_series", TOO_MANY_NAMES.format(text, names, limits.max_label_names)
    last = ""
    for name, value in labels:
        if len(name.encode()) > limits.max_label_name_bytes:
            return "label_name_too_long", NAME_TOO_LONG.format(text, name)
        if len(value.encode()) > limits.max_label_value_bytes:
            return "label_value_too_long", VALUE_TOO_LONG.format(text, value)
        if name == last:
            return "duplicate_label_names", DUPLICATE_NAME.format(text, name)
        last = name
    return None


def _entry_problem(labels: Labels, entry: Entry, limits: Limits, now_ns: int) -> tuple[str, str] | None:
    oldest = now_ns - int(limits.max_age_seconds * NANOS)
    if entry.at < oldest:
        text = TOO_OLD.format(format_labels(labels), rfc3339(entry.at), rfc3339(oldest))
        return "greater_than_max_sample_age", text
    if entry.at > now_ns + int(limits.max_ahead_seconds * NANOS):
        return "too_far_in_future", TOO_NEW.format(format_labels(labels), rfc3339(entry.at))
    size = text_bytes(entry.line)
    if limits.max_line_bytes and size > limits.max_line_bytes:
        return "line_too_long", LINE_TOO_LONG.format(limits.max_line_bytes, format_labels(labels), size)
    return _metadata_problem(labels, entry.metadata, limits) if entry.metadata else None


def _metadata_problem(labels: Labels, metadata: Labels, limits: Limits) -> tuple[str, str] | None:
    if not limits.allow_metadata:
        return "disallowed_structured_metadata", METADATA_DISALLOWED.format(format_labels(labels))
    size = metadata_bytes(metadata)
    if limits.max_metadata_bytes and size > limits.max_metadata_bytes:
        text = METADATA_TOO_LARGE.format(format_labels(labels), size, limits.max_metadata_bytes)
        return "structured_metadata_too_large", text
    count = len(metadata)
    if limits.max_metadata_entries and count > limits.max_metadata_entries:
        text = METADATA_TOO_MANY.format(format_labels(labels), count, limits.max_metadata_entries)
        return "structured_metadata_too_many", text
    return None


def _grouped(errors: Sequence[str]) -> str:
    # pkg/util/errors/errors.go, GroupedErrors: equal texts once, with their number.
    counts = Counter(errors)
    if len(counts) == 1 and len(errors) == 1:
        return errors[0]
    return "; ".join(f"{count} errors like: {text}" for text, count in counts.items())

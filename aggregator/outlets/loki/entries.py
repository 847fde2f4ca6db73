"""
One thing that happened as an entry of a Loki stream, and entries as pushes. Pure.

The line is logfmt: read as it stands in Grafana's list and in an annotation, taken apart by `| logfmt` in a query.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubescribe.labels.names import MAX_VALUE_BYTES, label_value, quoted, selector_text
from kubescribe.loki.encoding import encode_entry, encode_metadata
from kubescribe.loki.pushes import Push

MAX_TEXT = 4096
"""Characters of a message in a line: kubelet cuts its own at 1,024, a termination message may have 4,096."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@+,%*")


@dataclass(frozen=True, slots=True, kw_only=True)
class LokiEntry:
    """What happened, when (ns), to what; `labels` are those of the stream but for its `stream`."""

    stream: str
    at: int
    labels: Mapping[str, str]
    metadata: Mapping[str, str]
    line: str


def logfmt(fields: Mapping[str, object]) -> str:
    """Return *fields* as `name=value …` in their order; None and "" are left out."""
    return " ".join(f"{name}={_value(value)}" for name, value in fields.items() if value not in {None, ""})


def _value(value: object) -> str:
    text = str(value)[:MAX_TEXT]
    return text if _PLAIN.issuperset(text) else quoted(text)


def kept(values: Mapping[str, str]) -> dict[str, str]:
    """Return *values* as structured metadata takes them, none of them empty."""
    return {name: label_value(value) for name, value in values.items() if value}


def pushes_of(entries: Iterable[LokiEntry]) -> list[Push]:
    """Return *entries* by stream, each stream's in the order given."""
    streams: dict[str, list[LokiEntry]] = {}
    for entry in entries:
        text = selector_text({**entry.labels, "stream": entry.stream})
        streams.setdefault(text, []).append(entry)
    return [_push(labels, found) for labels, found in streams.items()]


def _push(labels: str, entries: list[LokiEntry]) -> Push:
    encoded: list[bytes] = []
    content = 0
    for entry in entries:
        line = entry.line.encode("utf-8", "replace")
        encoded.append(encode_entry(max(entry.at, 0), line, encode_metadata(entry.metadata)))
        content += len(line) + sum(
            len(name) + min(len(value.encode()), MAX_VALUE_BYTES) for name, value in entry.metadata.items()
        )
    return Push(
        labels=labels,
        entries=b"".join(encoded),
        count=len(entries),
        content_bytes=content,
        first_at=min(entry.at for entry in entries),
        last_at=max(entry.at for entry in entries),
    )

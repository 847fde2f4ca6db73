"""
Our labels beside those that a shipper sent: what is missing is added, nothing of theirs is touched. Pure.

Dashboards and alerts stand on a shipper's own labels, so none is removed, renamed or given another value. A stream may
have MAX_LABELS, and what does not fit goes to the structured metadata, which costs no stream.
"""

from collections.abc import Mapping
from typing import NamedTuple

from kubescribe.labels.enriching import STREAM_LABELS, Enrichment
from kubescribe.labels.names import MAX_LABELS, quoted

UNCOUNTED = "service_name"
"""Loki does not count it (pkg/distributor/validator.go): it would set it itself."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Added(NamedTuple):
    """A stream's labels with ours, and the structured metadata that each of its entries gets."""

    labels: dict[str, str]
    metadata: dict[str, str]


def add_labels(theirs: Mapping[str, str], ours: Enrichment) -> Added:
    """Return *theirs* with what *ours* adds; labels find room in the order of STREAM_LABELS."""
    labels, metadata = dict(theirs), {}
    room = MAX_LABELS - len(labels) + (UNCOUNTED in labels)
    for name in STREAM_LABELS:
        value = ours.labels.get(name)
        if not value or name in labels:
            continue
        if name == UNCOUNTED:
            labels[name] = value
        elif room > 0:
            labels[name] = value
            room -= 1
        else:
            metadata[name] = value
    metadata.update((name, value) for name, value in ours.metadata.items() if name not in labels)
    return Added(labels, metadata)


def foreign_selector_text(labels: Mapping[str, str]) -> str:
    """Return *labels* as a push carries them; names that are no identifiers are quoted, as they came."""
    return "{" + ", ".join(f"{_name(name)}={quoted(labels[name])}" for name in sorted(labels)) + "}"


def _name(name: str) -> str:
    return name if _PLAIN.issuperset(name) and not name[:1].isdigit() else quoted(name)

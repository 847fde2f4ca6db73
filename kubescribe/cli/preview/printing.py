"""A preview as people read it, and as machines do. Pure."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from kubescribe.cli.preview.counting import OUTPUTS, Preview
from kubescribe.cli.preview.warning import MAX_STREAMS, room_for_shippers, warnings_of
from kubescribe.labels.enriching import STREAM_LABELS
from kubescribe.labels.names import MAX_LABELS

_COLUMNS = STREAM_LABELS[1:-1]
"""All but `cluster` and `stream`, which are the same for every row."""


def as_json(preview: Preview) -> str:
    """Return *preview* as one JSON object, camelCase, with a line's end."""
    said = {
        "cluster": preview.cluster,
        "pods": preview.pods,
        "containers": preview.containers,
        "streams": preview.streams,
        "streamsByPod": preview.by_pod,
        "lastDay": {"pods": preview.new_pods, "streams": preview.new_streams, "streamsByPod": preview.new_by_pod},
        "values": preview.values,
        "metadataBytesPerLine": round(preview.metadata_bytes_per_line, 1),
        "podLabels": [
            _camel({**asdict(each), "bytes_per_line": round(each.bytes_per_line, 1)}) for each in preview.pod_labels
        ],
        "folded": [_camel(asdict(each)) for each in preview.folds],
        "warnings": warnings_of(preview),
        "items": [
            {"labels": {**each.labels, "stream": output}, "pods": each.pods}
            for each in preview.sets
            for output in ("stdout", "stderr")
        ],
    }
    return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


def as_table(preview: Preview) -> str:
    """Return *preview* as text: counts, warnings, and a row for each set of labels."""
    return "\n\n".join(_parts(preview)) + "\n"


def _parts(preview: Preview) -> Iterator[str]:
    name = f"cluster {preview.cluster}" if preview.cluster else "the cluster"
    yield f"{name}: {preview.pods} pods, {preview.containers} containers"
    yield _table(
        ("STREAMS AT MOST", "NOW", "ADDED BY A DAY"),
        [
            ("kubescribe", str(preview.streams), f"at most {preview.new_streams}"),
            ("labelled by pod (Promtail's default)", str(preview.by_pod), f"at least {preview.new_by_pod}"),
        ],
    ) + (
        f"\nA day: of the {preview.new_pods} pods younger than one that are still there."
        f" Loki's default limit is {MAX_STREAMS}."
    )
    yield _table(("LABEL", "VALUES"), [(label, str(count)) for label, count in preview.values.items()]) + (
        f"\n{len(STREAM_LABELS)} of Loki's {MAX_LABELS} labels; a shipper at a gateway may bring {room_for_shippers()}."
        f"\nEach line carries {preview.metadata_bytes_per_line:.0f} bytes of structured metadata (pod, node, image …)."
    )
    if preview.pod_labels:
        yield _table(
            ("LABEL OF PODS", "IN LOKI", "VALUES", "BYTES A LINE", "STREAMS WERE IT A LABEL"),
            [
                (
                    cost.label,
                    cost.name or "-",
                    str(cost.values),
                    f"{cost.bytes_per_line:.1f}",
                    str(cost.streams_as_label),
                )
                for cost in preview.pod_labels
            ],
        )
    if preview.folds:
        yield _table(
            ("NAMESPACE", "KIND", "FOLDS INTO", "GENERATED NAMES NOW"),
            [(fold.namespace, fold.kind, fold.name, str(fold.owners)) for fold in preview.folds],
        )
    if found := warnings_of(preview):
        yield "\n".join(f"warning: {each}" for each in found)
    rows = [(*(each.labels.get(label, "-") for label in _COLUMNS), str(each.pods)) for each in preview.sets]
    yield _table((*(label.upper() for label in _COLUMNS), "PODS"), rows) + (
        f"\nEach row is {OUTPUTS} streams, stdout and stderr." if rows else "\nNo pod, no stream."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    )


def _camel(value: dict[str, Any]) -> dict[str, Any]:
    def name(key: str) -> str:
        first, *others = key.split("_")
        return first + "".join(part.capitalize() for part in others)

    return {name(key): each for key, each in value.items()}

"""What an operator should know of a preview before the lines are switched on. Pure."""

from collections.abc import Iterator

from kubescribe.cli.preview.counting import Preview
from kubescribe.labels.enriching import STREAM_LABELS
from kubescribe.labels.names import MAX_LABELS, MAX_VALUE_BYTES

MAX_STREAMS = 5000
"""Loki's default max_global_streams_per_user: further streams are answered with 429 (pkg/validation/limits.go)."""

COSTLY_BYTES = 200
"""A usual line has about as many; structured metadata counts towards Loki's ingestion rate as the line itself does."""

_NAMED = 3


def warnings_of(preview: Preview) -> list[str]:
    """Return one line for each thing that is worth a look, the gravest first; none for an ordinary cluster."""
    return list(_warnings(preview))


def _warnings(preview: Preview) -> Iterator[str]:
    if preview.streams > MAX_STREAMS:
        yield (
            f"{preview.streams} streams are more than Loki's default of {MAX_STREAMS} a tenant: raise"
            " limits_config.max_global_streams_per_user, or Loki refuses what comes last with 429"
        )
    longest = max((len(each.labels) + 1 for each in preview.sets), default=0)
    if longest > MAX_LABELS:
        yield f"{longest} labels are more than the {MAX_LABELS} that Loki takes"
    if preview.cut:
        yield (
            f"{len(preview.cut)} values are longer than Loki's {MAX_VALUE_BYTES} bytes and are cut:"
            f" {_some(preview.cut)}"
        )
    if not preview.cluster:
        yield "the cluster has no name, and its streams no label `cluster`: give --cluster before a second one sends"
    for cost in preview.pod_labels:
        if not cost.name:
            yield f"the label {cost.label} of pods is left out: another of a line's fields has that name, or it is none"
        elif not cost.pods:
            yield f"the label {cost.label}: no pod has it"
        elif cost.bytes_per_line > COSTLY_BYTES:
            yield f"the label {cost.label} makes a line {cost.bytes_per_line:.0f} bytes longer, about twice as long"
    if (every := preview.metadata_bytes_per_line) > 2 * COSTLY_BYTES:
        yield f"a line carries {every:.0f} bytes of structured metadata, which count towards Loki's ingestion rate"


def room_for_shippers() -> int:
    """Return how many labels of its own a shipper may bring to a gateway before ours go to structured metadata."""
    return MAX_LABELS - len(STREAM_LABELS)


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")

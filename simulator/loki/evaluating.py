"""
What a question that counts answers at each moment, as pkg/logql (range_vector.go, evaluator.go) does. Pure.

A range is without its beginning and with its end. A series without an entry in a range has no sample there.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from simulator.loki.entries import NANOS, Entry, Labels, text_bytes
from simulator.loki.ingesting import Stream
from simulator.loki.levels import with_level
from simulator.loki.measuring import Choice, Measured, OverRange, Sum

Values = list[float | None]
"""A series' value at each moment that is asked for; None where it has none."""

Vectors = dict[Labels, Values]


class _Samples(NamedTuple):
    at: list[int]
    sizes: list[int]


def evaluated(measured: Measured, streams: Iterable[Stream], moments: Sequence[int]) -> Vectors:
    """Return every series with its values at *moments*, ascending nanoseconds."""
    match measured:
        case OverRange():
            return _over_range(measured, streams, moments)
        case Sum():
            return _summed(measured, evaluated(measured.of, streams, moments))
        case Choice():
            return _chosen(measured, evaluated(measured.of, streams, moments), len(moments))


def _over_range(measured: OverRange, streams: Iterable[Stream], moments: Sequence[int]) -> Vectors:
    first, last = moments[0] - measured.range_ns, moments[-1]
    found: dict[Labels, _Samples] = defaultdict(lambda: _Samples([], []))
    for stream in streams:
        if measured.query.selects(stream.labels):
            label = _labeller(measured, stream)
            entries = [entry for entry in stream.entries() if first < entry.at <= last]
            for entry in sorted(entries, key=lambda it: it.at):
                if (labels := label(entry)) is not None:
                    found[labels].at.append(entry.at)
                    found[labels].sizes.append(text_bytes(entry.line))
    return {labels: _windows(measured, _sorted(samples), moments) for labels, samples in found.items()}


def _labeller(measured: OverRange, stream: Stream) -> Callable[[Entry], Labels | None]:
    """Return what gives an entry's labels; entries with the same metadata and level share theirs."""
    query, own = measured.query, dict(stream.labels)
    shared: dict[Labels, Labels] = {}

    def label(entry: Entry) -> Labels | None:
        if query.reads_lines:
            labelled = query.labelled(stream.labels, entry)
            return None if labelled is None else tuple(sorted(labelled.items()))
        if not query.keeps(stream.labels, entry):
            return None
        metadata = with_level(entry.metadata, own, entry.line)
        if metadata not in shared:
            shared[metadata] = tuple(sorted({**own, **dict(metadata)}.items()))
        return shared[metadata]

    return label


def _sorted(samples: _Samples) -> _Samples:
    # Two streams may end with the same labels.
    ordered = sorted(zip(samples.at, samples.sizes, strict=True))
    return _Samples([at for at, _ in ordered], [size for _, size in ordered])


def _windows(measured: OverRange, samples: _Samples, moments: Sequence[int]) -> Values:
    values: Values = []
    for moment in moments:
        begin, end = bisect_right(samples.at, moment - measured.range_ns), bisect_right(samples.at, moment)
        amount = sum(samples.sizes[begin:end]) if measured.function.startswith("bytes") else end - begin
        per = measured.range_ns / NANOS if measured.function in {"rate", "bytes_rate"} else 1
        values.append(amount / per if end > begin else None)
    return values


_SUMS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "min": min,
    "max": max,
    "avg": lambda it: sum(it) / len(it),
    "count": len,
}


def _summed(measured: Sum, found: Vectors) -> Vectors:
    groups: dict[Labels, list[Values]] = defaultdict(list)
    for labels, values in found.items():
        groups[_group(measured, labels)].append(values)
    how = _SUMS[measured.function]
    return {
        labels: [how(there) if (there := [it for it in at_once if it is not None]) else None for at_once in columns]
        for labels, columns in ((labels, zip(*members, strict=True)) for labels, members in groups.items())
    }


def _chosen(measured: Choice, found: Vectors, size: int) -> Vectors:
    sign = -1 if measured.function == "topk" else 1
    chosen: Vectors = {}
    for at in range(size):
        groups: dict[Labels, list[tuple[float, Labels]]] = defaultdict(list)
        for labels, values in found.items():
            if (value := values[at]) is not None:
                groups[_group(measured, labels)].append((sign * value, labels))
        for members in groups.values():
            for _, labels in sorted(members)[: measured.most]:
                chosen.setdefault(labels, [None] * size)[at] = found[labels][at]
    return chosen


def _group(measured: Sum | Choice, labels: Labels) -> Labels:
    return tuple(measured.grouping.left(dict(labels)).items())

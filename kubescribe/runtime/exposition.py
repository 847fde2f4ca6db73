"""
/metrics as text: what prometheus_client writes, and large families written ten times as fast.

A `TableFamily` is a Metric like any other for whoever reads `samples`; here its rows go straight to text, some thousand
at a time, so that a hundred thousand series neither become objects nor hold the event loop from another thread. What an
owner keeps from scrape to scrape comes as finished fragments.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice, repeat

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from kubescribe.runtime.packing import Fragment, unpacked

Row = tuple[tuple[str, ...], float]

Part = bytes | Fragment
"""A piece of the text, or one that is compressed already."""

CHUNK_ROWS = 1_000
_EOF = b"# EOF\n"


class TableFamily(Metric):
    """
    A counter or gauge whose *rows* (label values in the order of *labels*, value) are made when they are read.

    *name* is without `_total`, and there is at least one label. No two rows may have the same label values. Rows are
    read once for each exposition. *lines*, where given, are the same rows as finished text, some whole lines at a
    time, for a family whose owner knows what many of them share, or which of them are what they were.
    """

    def __init__(
        self,
        name: str,
        text: str,
        kind: str,
        labels: tuple[str, ...],
        rows: Callable[[], Iterable[Row]],
        *,
        lines: Callable[[], Iterable[str | Fragment]] | None = None,
    ) -> None:
        super().__init__(name, text, kind)
        self.labels = labels
        self.rows = rows
        self.lines = lines

    @property
    def sample_name(self) -> str:
        """The name of its samples."""
        return f"{self.name}_total" if self.type == "counter" else self.name

    @property
    def samples(self) -> list[Sample]:
        """Every row as prometheus_client knows samples."""
        return [
            Sample(self.sample_name, dict(zip(self.labels, values, strict=True)), value)
            for values, value in self.rows()
        ]

    @samples.setter
    def samples(self, _: list[Sample]) -> None:
        """Metric sets it to nothing when it is made."""


class _These(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def exposition(
    registry: CollectorRegistry, encoder: Callable[[CollectorRegistry], bytes], *, is_openmetrics: bool
) -> Iterator[bytes]:
    """Give every family of *registry* as text, part by part; *encoder* writes those that are no tables."""
    return inflated(exposition_parts(registry, encoder, is_openmetrics=is_openmetrics))


def exposition_parts(
    registry: CollectorRegistry, encoder: Callable[[CollectorRegistry], bytes], *, is_openmetrics: bool
) -> Iterator[Part]:
    """Give the same with what is compressed left so."""
    plain: list[Metric] = []
    tables: list[TableFamily] = []
    for metric in registry.collect():
        if isinstance(metric, TableFamily):
            tables.append(metric)
        else:
            plain.append(metric)
    yield encoder(_These(plain)).removesuffix(_EOF)  # type: ignore[arg-type]
    for table in tables:
        yield from _table_parts(table, is_openmetrics=is_openmetrics)
    if is_openmetrics:
        yield _EOF


def inflated(parts: Iterable[Part]) -> Iterator[bytes]:
    """Give *parts* as text, each in its turn, so that never more than one is there twice."""
    return (part if isinstance(part, bytes) else unpacked(part) for part in parts)


def table_text(table: TableFamily, *, is_openmetrics: bool) -> Iterator[bytes]:
    """Give one table as text, part by part (Prometheus text format 0.0.4, OpenMetrics 1.0)."""
    return inflated(_table_parts(table, is_openmetrics=is_openmetrics))


def _table_parts(table: TableFamily, *, is_openmetrics: bool) -> Iterator[Part]:
    name = table.name if is_openmetrics else table.sample_name
    text = table.documentation.replace("\\", r"\\").replace("\n", r"\n")
    if is_openmetrics:
        text = text.replace('"', r"\"")
    yield f"# HELP {name} {text}\n# TYPE {name} {table.type}\n".encode()
    if table.lines is not None:
        for some in table.lines():
            yield some if isinstance(some, Fragment) else some.encode("utf-8", "replace")
        return
    pieces = [f'{table.sample_name}{{{table.labels[0]}="', *(f'",{label}="' for label in table.labels[1:])]
    rows = iter(table.rows())
    while chunk := list(islice(rows, CHUNK_ROWS)):
        written = _lines(pieces, chunk)
        if not _is_plain(written, len(chunk), len(table.labels)):
            written = _lines(pieces, [(tuple(map(escaped, values)), value) for values, value in chunk])
        yield written.encode("utf-8", "replace")


def _lines(pieces: Sequence[str], rows: Sequence[Row]) -> str:
    """Return *rows* as lines. Column by column: what is done for each row is done in C, in a third of the time."""
    columns: list[Iterable[str]] = []
    for piece, column in zip(pieces, zip(*[values for values, _ in rows], strict=True), strict=True):
        columns += (repeat(piece), column)
    columns += (repeat('"} '), map(repr, map(float, [value for _, value in rows])), repeat("\n"))
    return "".join(chain.from_iterable(zip(*columns)))  # noqa: B905 - the pieces repeat for ever


def _is_plain(written: str, rows: int, labels: int) -> bool:
    """Tell whether no label value needed escaping: three counts cost less than three looks at each value."""
    return "\\" not in written and written.count('"') == 2 * rows * labels and written.count("\n") == rows


def escaped(value: str) -> str:
    """Return a label value as it stands between quotes."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")

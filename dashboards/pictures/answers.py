"""What Prometheus and Loki answer to a panel, every variable at All, over the range that the picture shows."""

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

STEP_SECONDS = 15
RATE_SECONDS = 90
_LIMIT = 5_000
_WINDOW_SECONDS = 60


class Series(NamedTuple):
    """One series: its labels and its points (seconds since 1970, value)."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


class Line(NamedTuple):
    """One entry of Loki: when, with which labels (structured metadata included), and its text."""

    at: float
    labels: dict[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the answers are, and the range that is shown: *start* to *end*, seconds since 1970."""

    prometheus: str
    loki: str
    start: float
    end: float
    chosen: Mapping[str, str] = field(default_factory=dict)
    """The values of variables that are not at All."""

    def choosing(self, chosen: Mapping[str, str]) -> "Sources":
        """Return the same, with other values for variables."""
        return replace(self, chosen=chosen)

    def number(self, expression: str) -> list[Series]:
        """Return the series at the end of the range, one point each."""
        found = self._prometheus("query", query=self._concrete(expression), time=self.end)
        return _with_points(_series(it["metric"], [it["value"]]) for it in found)

    def over_time(self, expression: str) -> list[Series]:
        """Return the series over the range."""
        found = self._prometheus(
            "query_range", query=self._concrete(expression), start=self.start, end=self.end, step=STEP_SECONDS
        )
        return _with_points(_series(it["metric"], it["values"]) for it in found)

    def counted(self, expression: str) -> list[Series]:
        """Return what Loki counts, over the range."""
        asked = {"start": f"{int(self.start)}", "end": f"{int(self.end)}", "step": str(STEP_SECONDS)}
        return _with_points(_series(it["metric"], it["values"]) for it in self._loki(expression, asked))

    def lines(self, expression: str, most: int) -> list[Line]:
        """Return the newest lines, newest first."""
        found: list[Line] = []
        for window in reversed(list(self._windows())):
            found += sorted(self._said(expression, *window), reverse=True, key=lambda it: it.at)
            if len(found) >= most:
                break
        return found[:most]

    def _said(self, expression: str, start: float, end: float) -> Iterator[Line]:
        asked = {"start": f"{int(start * 1e9)}", "end": f"{int(end * 1e9)}", "limit": str(_LIMIT)}
        for stream in self._loki(expression, asked):
            for at, text in stream["values"]:
                yield Line(int(at) / 1e9, stream["stream"], text)

    def _windows(self) -> Iterator[tuple[float, float]]:
        at = self.start
        while at < self.end:
            yield at, min(at + _WINDOW_SECONDS, self.end)
            at += _WINDOW_SECONDS

    def _prometheus(self, path: str, **asked: object) -> list[dict[str, Any]]:
        answer = _get(f"{self.prometheus}/api/v1/{path}", {name: str(it) for name, it in asked.items()})
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def _loki(self, expression: str, asked: Mapping[str, str]) -> list[dict[str, Any]]:
        answer = _get(f"{self.loki}/loki/api/v1/query_range", {"query": self._concrete(expression), **asked})
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def _concrete(self, expression: str) -> str:
        own = {
            "$__rate_interval": f"{RATE_SECONDS}s",
            "$__range": f"{int(self.end - self.start)}s",
            "$__auto": f"{STEP_SECONDS}s",
            "$search": "",
        }
        for name, value in own.items():
            expression = expression.replace(name, value)
        return re.sub(r"\$\{?(\w+)\}?", lambda it: self.chosen.get(it[1], ".*"), expression)


def named(legend: str, labels: Mapping[str, str]) -> str:
    """Return the name of a series: *legend* with its labels put in, or all labels where there is none."""
    if legend and legend != "__auto":
        return re.sub(r"\{\{(\w+)\}\}", lambda it: labels.get(it[1], ""), legend)
    return ", ".join(f"{name}={value}" for name, value in labels.items() if name != "__name__") or "value"


def _with_points(found: Iterable[Series]) -> list[Series]:
    return [series for series in found if series.points]


def _series(labels: dict[str, str], points: list[tuple[float, str]]) -> Series:
    # A quantile of nothing is not a number, and Grafana draws nothing there.
    return Series(labels, [(float(at), float(value)) for at, value in points if value != "NaN"])


def _get(url: str, asked: Mapping[str, str]) -> Any:
    # Only what this program has started itself, or was told by who runs it, is asked.
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(asked)}", timeout=30) as answer:  # noqa: S310
        return json.load(answer)

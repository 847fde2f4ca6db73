"""
What LogQL counts: the part that the stand-in parses. Pure; `evaluating.py` works it out.

    topk(10, sum by (namespace, workload) (count_over_time({stream="stdout"} |= "error" [1m])))

Four things over a range, five sums, topk and bottomk; anything else of LogQL is refused as a parse error.
"""

import re
from dataclasses import dataclass

from simulator.loki.durations import BadDuration, duration_ns
from simulator.loki.entries import Refusal
from simulator.loki.querying import Query, parse_query, query_at, unexpected

OVER_RANGES = ("count_over_time", "rate", "bytes_over_time", "bytes_rate")
SUMS = ("sum", "min", "max", "avg", "count")
CHOICES = ("topk", "bottomk")

_FUNCTION = re.compile(rf"\s*({'|'.join((*OVER_RANGES, *SUMS, *CHOICES))})\s*(?=\(|(?:by|without)\b)")
_GROUPING = re.compile(r"\s*(by|without)\s*\(([^)]*)\)")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_NUMBER = re.compile(r"\s*(\d+)\s*,")
_RANGE = re.compile(r"\s*\[([^\]]*)(\]?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Which labels are left: those named, or all others."""

    names: tuple[str, ...] = ()
    is_without: bool = False

    def left(self, labels: dict[str, str]) -> dict[str, str]:
        """Return the labels that are left of *labels*."""
        return {name: value for name, value in labels.items() if (name in self.names) != self.is_without}


@dataclass(frozen=True, slots=True, kw_only=True)
class OverRange:
    """What is counted of the lines of the last while."""

    function: str
    query: Query
    range_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Series that become fewer."""

    function: str
    of: "Measured"
    grouping: Grouping = Grouping()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The highest, or lowest, series at each moment, of each group."""

    function: str
    most: int
    of: "Measured"
    grouping: Grouping = Grouping()


Measured = OverRange | Sum | Choice


def parse(text: str) -> Query | Measured:
    """Return what *text* asks for: lines, or what is counted of them. Raises Refusal, in Loki's words."""
    if not _FUNCTION.match(text):
        return parse_query(text)
    found, at = _measured(text, 0)
    if text[at:].strip():
        raise unexpected(text, at)
    return found


def _measured(text: str, at: int) -> tuple[Measured, int]:
    match = _FUNCTION.match(text, at)
    if match is None:
        raise unexpected(text, at)
    function, at = match[1], match.end()
    if function in OVER_RANGES:
        return _over_range(function, text, at)
    grouping, at = _grouping(text, at)
    at = _passed(text, at, "(")
    most = 0
    if function in CHOICES:
        number = _NUMBER.match(text, at)
        if number is None:
            raise unexpected(text, at)
        most, at = int(number[1]), number.end()
        if most < 1:
            raise Refusal(400, f"parse error : invalid parameter (must be greater than 0) {function}({most}")
    of, at = _measured(text, at)
    at = _passed(text, at, ")")
    if grouping is None:
        grouping, at = _grouping(text, at)
    kept = grouping or Grouping()
    if function in CHOICES:
        return Choice(function=function, most=most, of=of, grouping=kept), at
    return Sum(function=function, of=of, grouping=kept), at


def _over_range(function: str, text: str, at: int) -> tuple[OverRange, int]:
    query, at = query_at(text, _passed(text, at, "("))
    match = _RANGE.match(text, at)
    if match is None:
        raise unexpected(text, at)
    if not match[2]:
        raise Refusal(400, f"parse error at line 1, col {match.start() + 1}: missing closing ']' in duration")
    try:
        range_ns = duration_ns(match[1].strip())
    except BadDuration as error:
        raise Refusal(400, f"parse error at line 1, col {match.start() + 1}: {error}") from error
    return OverRange(function=function, query=query, range_ns=range_ns), _passed(text, match.end(), ")")


def _grouping(text: str, at: int) -> tuple[Grouping | None, int]:
    match = _GROUPING.match(text, at)
    if match is None:
        return None, at
    names = tuple(name.strip() for name in match[2].split(",") if name.strip())
    for name in names:
        if not _NAME.fullmatch(name):
            raise unexpected(text, match.start(2))
    return Grouping(names=names, is_without=match[1] == "without"), match.end()


def _passed(text: str, at: int, character: str) -> int:
    rest = text[at:].lstrip()
    if not rest.startswith(character):
        raise unexpected(text, at)
    return len(text) - len(rest) + 1

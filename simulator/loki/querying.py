"""
The part of LogQL that the stand-in answers: a stream selector, line filters, and filters of labels and metadata.

    {namespace="shop", app=~"web|api"} |= "error" !~ "GET /healthz" | pod="web-0" | level!="debug"

Anything else is refused as a parse error. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.loki.entries import Entry, Labels, Refusal
from simulator.loki.streamlabels import BadLabels, unquoted

EMPTY_COMPATIBLE = (
    "parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible"
    ' value. For instance, app=~".*" does not meet this requirement, but app=~".+" will'
)
"""pkg/logql/syntax/parser.go, grafana/loki@65e30f8."""

_MATCHER = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(?=[\"`])")
_FILTER = re.compile(r"\s*(\|=|!=|\|~|!~)\s*(?=[\"`])")
_LABEL_FILTER = re.compile(r"\s*(?:\||,|and\b)\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(?=[\"`])")


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label, a missing one being empty."""

    name: str
    operator: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether *labels* meet it; a regular expression has to match wholly."""
        found = labels.get(self.name, "")
        if self.operator in {"=", "!="}:
            return (found == self.value) == (self.operator == "=")
        return (re.fullmatch(self.value, found) is not None) == (self.operator == "=~")


@dataclass(frozen=True, slots=True)
class LineFilter:
    """One condition on a line."""

    operator: str
    value: str

    def matches(self, line: str) -> bool:
        """Tell whether *line* meets it; a regular expression may match anywhere."""
        if self.operator in {"|=", "!="}:
            return (self.value in line) == (self.operator == "|=")
        return (re.search(self.value, line) is not None) == (self.operator == "|~")


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for."""

    selector: tuple[Matcher, ...]
    lines: tuple[LineFilter, ...] = ()
    labels: tuple[Matcher, ...] = ()

    def selects(self, labels: Labels) -> bool:
        """Tell whether a stream belongs to it."""
        known = dict(labels)
        return all(matcher.matches(known) for matcher in self.selector)

    def keeps(self, labels: Labels, entry: Entry) -> bool:
        """Tell whether an entry of a selected stream belongs to it."""
        if not all(condition.matches(entry.line) for condition in self.lines):
            return False
        if not self.labels:
            return True
        known = {**dict(labels), **dict(entry.metadata)}
        return all(matcher.matches(known) for matcher in self.labels)


def parse_query(text: str) -> Query:
    """Return the query of *text*. Raises Refusal, as Loki does for what it cannot parse."""
    try:
        selector, at = _selector(text)
        lines: list[LineFilter] = []
        labels: list[Matcher] = []
        while text[at:].strip():
            if match := _FILTER.match(text, at):
                value, at = unquoted(text, match.end())
                lines.append(LineFilter(match.group(1), _checked(match.group(1), value)))
            elif match := _LABEL_FILTER.match(text, at):
                value, at = unquoted(text, match.end())
                labels.append(Matcher(match.group(1), match.group(2), _checked(match.group(2), value)))
            else:
                raise _parse_error(text, at)
    except BadLabels as error:
        raise Refusal(400, f"parse error : {error}") from error
    if not any(matcher.operator in {"=", "=~"} and not matcher.matches({}) for matcher in selector):
        raise Refusal(400, EMPTY_COMPATIBLE)
    return Query(selector, tuple(lines), tuple(labels))


def parse_selector(text: str) -> Query:
    """Return a query of a selector alone, which may be empty. Raises Refusal."""
    try:
        selector, at = _selector(text)
    except BadLabels as error:
        raise Refusal(400, f"parse error : {error}") from error
    if text[at:].strip():
        raise _parse_error(text, at)
    return Query(selector)


def _selector(text: str) -> tuple[tuple[Matcher, ...], int]:
    at = len(text) - len(text.lstrip())
    if not text.startswith("{", at):
        raise _parse_error(text, at)
    at += 1
    found: list[Matcher] = []
    closing = re.compile(r"\s*([,}])")
    while match := _MATCHER.match(text, at):
        value, at = unquoted(text, match.end())
        found.append(Matcher(match.group(1), match.group(2), _checked(match.group(2), value)))
        end = closing.match(text, at)
        if end is None:
            raise _parse_error(text, at)
        at = end.end()
        if end.group(1) == "}":
            return tuple(found), at
    end = closing.match(text, at)
    if end is None or end.group(1) != "}":
        raise _parse_error(text, at)
    return tuple(found), end.end()


def _checked(symbol: str, value: str) -> str:
    if "~" in symbol:
        try:
            re.compile(value)
        except re.error as error:
            raise Refusal(400, f"parse error : error parsing regexp: {error}: `{value}`") from error
    return value


def _parse_error(text: str, at: int) -> Refusal:
    rest = text[at:].split()
    seen = rest[0] if rest else "$end"
    return Refusal(400, f"parse error at line 1, col {at + 1}: syntax error: unexpected {seen}")

"""
The part of LogQL that finds lines: a selector, filters of lines, labels and metadata, `| json` and `| logfmt`.

    {namespace="shop", app=~"web|api"} |= "error" !~ "GET /healthz" | logfmt | pod="web-0" | level!="debug"

What is counted of them is in `measuring.py`. Anything else is refused as a parse error. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.loki.entries import Entry, Labels, Refusal
from simulator.loki.extracting import PARSERS, extracted
from simulator.loki.levels import with_level
from simulator.loki.streamlabels import BadLabels, unquoted

EMPTY_COMPATIBLE = (
    "parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible"
    ' value. For instance, app=~".*" does not meet this requirement, but app=~".+" will'
)
"""pkg/logql/syntax/parser.go, grafana/loki@65e30f8."""

_MATCHER = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(?=[\"`])")
_FILTER = re.compile(r"\s*(\|=|!=|\|~|!~)\s*(?=[\"`])")
_LABEL_FILTER = re.compile(r"\s*(?:\||,|and\b)\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(?=[\"`])")
_PARSER = re.compile(rf"\s*\|\s*({'|'.join(PARSERS)})\b(?!\s*(?:=|!|[a-zA-Z_]))")
_TOKEN = re.compile(r"\s*(?:([a-zA-Z_]\w*)|([\"`])|(\d[\w.]*)|([|!=]~|\|=|!=|\S))")
_KEYWORDS = frozenset(
    {"json", "logfmt", "pattern", "regexp", "unpack", "line_format", "label_format", "unwrap", "drop", "keep", "by"}
    | {"decolorize", "without", "offset", "or", "and", "unless", "bool", "on", "ignoring", "ip"}
)


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
class Parsed:
    """A stage that takes a line apart: `json` or `logfmt`."""

    parser: str


Stage = LineFilter | Matcher | Parsed


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for: streams, and what becomes of their entries, stage by stage."""

    selector: tuple[Matcher, ...]
    stages: tuple[Stage, ...] = ()

    def selects(self, labels: Labels) -> bool:
        """Tell whether a stream belongs to it."""
        known = dict(labels)
        return all(matcher.matches(known) for matcher in self.selector)

    def keeps(self, labels: Labels, entry: Entry) -> bool:
        """Tell whether an entry of a selected stream belongs to it."""
        if all(isinstance(stage, LineFilter) for stage in self.stages):
            return self._passes({}, entry.line) is not None
        return self.labelled(labels, entry) is not None

    def labelled(self, labels: Labels, entry: Entry) -> dict[str, str] | None:
        """Return all labels of an entry of a selected stream as they are at the end; None for one that is not kept."""
        own = dict(labels)
        return self._passes({**own, **dict(with_level(entry.metadata, own, entry.line))}, entry.line)

    @property
    def reads_lines(self) -> bool:
        """Tell whether labels come out of lines, so that two entries of the same labels may end with others."""
        return any(isinstance(stage, Parsed) for stage in self.stages)

    def _passes(self, known: dict[str, str], line: str) -> dict[str, str] | None:
        for stage in self.stages:
            if isinstance(stage, Parsed):
                known = extracted(stage.parser, line, known)
            elif not (stage.matches(line) if isinstance(stage, LineFilter) else stage.matches(known)):
                return None
        return known


def parse_query(text: str) -> Query:
    """Return the query of *text*. Raises Refusal, as Loki does for what it cannot parse."""
    query, at = query_at(text, 0)
    if text[at:].strip():
        raise unexpected(text, at)
    return query


def query_at(text: str, at: int) -> tuple[Query, int]:
    """Return the query that begins at *at*, and where it ends, or cannot go on. Raises Refusal."""
    try:
        selector, at = _selector(text, at)
        stages: list[Stage] = []
        while stage := _stage(text, at):
            stages.append(stage[0])
            at = stage[1]
    except BadLabels as error:
        raise Refusal(400, f"parse error : {error}") from error
    if not any(matcher.operator in {"=", "=~"} and not matcher.matches({}) for matcher in selector):
        raise Refusal(400, EMPTY_COMPATIBLE)
    return Query(selector, tuple(stages)), at


def _stage(text: str, at: int) -> tuple[Stage, int] | None:
    if match := _FILTER.match(text, at):
        value, at = unquoted(text, match.end())
        return LineFilter(match.group(1), _checked(match.group(1), value)), at
    if match := _LABEL_FILTER.match(text, at):
        value, at = unquoted(text, match.end())
        return Matcher(match.group(1), match.group(2), _checked(match.group(2), value)), at
    if match := _PARSER.match(text, at):
        return Parsed(match.group(1)), match.end()
    return None


def parse_selector(text: str) -> Query:
    """Return a query of a selector alone, which may be empty. Raises Refusal."""
    try:
        selector, at = _selector(text, 0)
    except BadLabels as error:
        raise Refusal(400, f"parse error : {error}") from error
    if text[at:].strip():
        raise unexpected(text, at)
    return Query(selector)


def _selector(text: str, at: int) -> tuple[tuple[Matcher, ...], int]:
    at = len(text) - len(text[at:].lstrip())
    if not text.startswith("{", at):
        raise unexpected(text, at)
    at += 1
    found: list[Matcher] = []
    closing = re.compile(r"\s*([,}])")
    while match := _MATCHER.match(text, at):
        value, at = unquoted(text, match.end())
        found.append(Matcher(match.group(1), match.group(2), _checked(match.group(2), value)))
        end = closing.match(text, at)
        if end is None:
            raise unexpected(text, at)
        at = end.end()
        if end.group(1) == "}":
            return tuple(found), at
    end = closing.match(text, at)
    if end is None or end.group(1) != "}":
        raise unexpected(text, at)
    return tuple(found), end.end()


def _checked(symbol: str, value: str) -> str:
    if "~" in symbol:
        try:
            re.compile(value)
        except re.error as error:
            raise Refusal(400, f"parse error : error parsing regexp: {error}: `{value}`") from error
    return value


def unexpected(text: str, at: int) -> Refusal:
    """Return the refusal of what stands at *at*, by the kind of token that Loki would call it."""
    match = _TOKEN.match(text, at)
    if match is None:
        seen, at = "$end", len(text.rstrip())
    else:
        word, string, number, sign = match.groups()
        seen = (word if word in _KEYWORDS else "IDENTIFIER") if word else "STRING" if string else sign or "NUMBER"
        at = match.start(match.lastindex or 0)
        seen = "NUMBER" if number else seen
    line = text.count("\n", 0, at) + 1
    return Refusal(
        400, f"parse error at line {line}, col {at - text.rfind(chr(10), 0, at)}: syntax error: unexpected {seen}"
    )

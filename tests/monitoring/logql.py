"""
What a LogQL query asks of our streams: stream labels that they do not have, and names that no stage gives.

A reading of tokens, not a grammar: enough to know every name that a query uses, where from, and which labels are left
in its result. Pure; nothing is executed.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.monitoring.promql import Judged, Labels

STREAM_LABELS: Labels = frozenset(
    {"cluster", "namespace", "service_name", "application", "workload_kind", "workload", "container", "stream"}
)
"""Design section 8; nothing else is a stream's."""

METADATA: Labels = frozenset(
    {"pod", "pod_uid", "node", "zone", "image", "revision", "owner", "restart", "meta", "late"}
    | {"kind", "name", "uid", "reason", "type", "verb", "manager", "exit_code", "container_id", "event"}
    | {"resource_version", "detected_level"}
)
"""Structured metadata: of lines, of the outlet's entries (docs/loki-outlet.md), and the level that Loki finds."""

LOGFMT: Labels = frozenset(
    {"level", "reason", "type", "kind", "name", "container", "count", "since", "by", "msg", "exit_code", "signal"}
    | {"pod", "restart", "started", "finished", "ran_seconds", "verb", "manager", "app", "generation", "changed"}
)
"""What `| logfmt` finds in the outlet's own lines."""

OWN_STREAMS = frozenset({"event", "termination", "change"})

_TOKEN = re.compile(
    r"""\s*("(?:\\.|[^"\\])*"|`[^`]*`|[a-zA-Z_][\w]*|[\d.]+[a-z%]*|\|[=~>]|!=|=~|!~|==|<=|>=|[{}()\[\],|=<>+*/%^-])"""
)
_AGGREGATIONS = {"sum", "avg", "min", "max", "count", "stddev", "stdvar"}
_SELECTIONS = {"topk", "bottomk", "sort", "sort_desc"}
_PARSERS = {"json", "logfmt", "unpack", "regexp", "pattern"}
_COMPARISONS = {"=", "==", "!=", "=~", "!~", "<", ">", "<=", ">="}


def judged(query: str) -> Judged:
    """Judge a query without variables; labels are those that its result can have."""
    try:
        tokens = list(_tokens(query))
    except ValueError as error:
        return Judged(frozenset(), (str(error),), is_lost=True)
    reading = _Reading(tokens)
    reading.read()
    return Judged(_left(tokens, reading.given), tuple(dict.fromkeys(reading.problems)))


def _tokens(query: str) -> Iterator[str]:
    at, end = 0, len(query.rstrip())
    while at < end:
        found = _TOKEN.match(query, at)
        if found is None:
            raise ValueError(f"does not parse at {query[at : at + 20]!r}")
        at = found.end()
        yield found[1]


@dataclass
class _Reading:
    tokens: list[str]
    problems: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=lambda: set(STREAM_LABELS | METADATA))
    """What a name may be by now."""
    is_any: bool = False
    """Whether a parser of lines of any form was passed: then a name may be anything."""
    _is_own: bool = False
    _at: int = 0

    def read(self) -> None:
        if "{" not in self.tokens:
            self.problems.append("there is no stream selector")
        while (token := self._next()) is not None:
            if token == "{":
                self._selector()
            elif token == "|":
                self._stage()
            elif token in {"by", "without"}:
                self._use(self._list(), token)

    def _selector(self) -> None:
        is_bounded, own = False, False
        while (name := self._next()) not in {"}", None}:
            operator, value = self._next(), (self._next() or "")[1:-1]
            if name not in STREAM_LABELS:
                self.problems.append(f"no stream has the label {name}")
            fits_nothing = re.fullmatch(value, "") if operator in {"=~", "!~"} else value == ""
            is_bounded |= bool(fits_nothing) == (operator in {"!=", "!~"})
            own |= name == "stream" and operator in {"=", "=~"} and set(value.split("|")) <= OWN_STREAMS
            if self._peek() == ",":
                self._next()
        if not is_bounded:
            self.problems.append("a selector may match all streams, which Loki refuses")
        self._is_own = own

    def _stage(self) -> None:
        name = self._next() or ""
        if name in _PARSERS:
            self._parser(name)
        elif name == "line_format":
            self._use(re.findall(r"\.(\w+)", self._next() or ""), name)
        elif name == "label_format":
            self._label_format()
        elif name == "unwrap":
            wanted = self._next() or ""
            if self._peek() == "(":
                self._next()
                wanted = self._next() or ""
            self._use([wanted], name)
        elif name in {"drop", "keep"}:
            self._use(self._names(), name)
        elif name != "decolorize":
            self._filter(name)

    def _parser(self, name: str) -> None:
        if name in {"regexp", "pattern"}:
            self.given.update(re.findall(r"<(\w+)>", self._next() or ""))
        elif name == "logfmt" and self._is_own:
            self.given.update(LOGFMT)
        else:
            self.is_any = True

    def _label_format(self) -> None:
        while (made := self._next()) is not None:
            self._next()
            source = self._next() or ""
            self._use([source] if source[:1] not in {'"', "`"} else re.findall(r"\.(\w+)", source), "label_format")
            self.given.add(made)
            if self._peek() != ",":
                return
            self._next()

    def _filter(self, name: str) -> None:
        """Read `name="value" and other>5`: the name is read already."""
        while True:
            if self._peek() not in _COMPARISONS:
                self.problems.append(f"no such stage: {name}")
                return
            self._use([name], "a filter")
            self._next()
            self._next()
            if self._peek() not in {"and", "or", ","}:
                return
            self._next()
            name = self._next() or ""

    def _list(self) -> list[str]:
        """Read `(a, b)`."""
        self._next()
        names = self._names()
        self._next()
        return names

    def _names(self) -> list[str]:
        names = []
        while (self._peek() or ")")[0].isalpha() or self._peek() == "_":
            names.append(self._next() or "")
            if self._peek() == ",":
                self._next()
        return names

    def _use(self, names: Iterable[str], where: str) -> None:
        if not self.is_any:
            self.problems += [f"{where}: nothing gives {name}" for name in names if name not in self.given]

    def _peek(self) -> str | None:
        return self.tokens[self._at] if self._at < len(self.tokens) else None

    def _next(self) -> str | None:
        token = self._peek()
        self._at += 1
        return token


def _left(tokens: list[str], given: set[str]) -> Labels:
    """Return the labels of the result: those of the outermost `by`, all where nothing is summed."""
    head = tokens[0] if tokens else ""
    if head in _SELECTIONS:
        inner = tokens[2:-1]
        return _left(inner[2:] if inner[1:2] == [","] else inner, given)
    if head not in _AGGREGATIONS:
        return frozenset(given)
    last = max((at for at, token in enumerate(tokens) if token == "by"), default=0)
    at = 1 if tokens[1:2] == ["by"] else last if tokens[-1] == ")" and _depth(tokens[:last]) == 0 else 0
    if at == 0:
        return frozenset()
    return frozenset(tokens[at + 2 : tokens.index(")", at)]) - {","}


def _depth(tokens: list[str]) -> int:
    return tokens.count("(") - tokens.count(")")

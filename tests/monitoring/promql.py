"""
What a PromQL expression asks of what is exported: names that there are not, labels that a result cannot have.

The labels of each part are worked out from those of the families below it, so that `by`, `on`, `group_left`,
`label_replace` and a legend are held against what is really left there. Pure; nothing is executed.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import promql_parser as ast

Labels = frozenset[str]

TARGET_LABELS: Labels = frozenset({"job", "instance", "namespace", "pod", "service", "endpoint", "container"})
"""What a ServiceMonitor adds where a sample has no label of that name."""

OPTIONAL: Labels = frozenset({"cluster", "installation"})
"""Not exported, but added by whoever collects from several clusters, and by the chart's scrapes: a matcher must take
their absence too."""

_RATES = frozenset({"rate", "irate", "increase"})
_OF_COUNTERS = _RATES | {"resets", "changes"}
_OF_PRESENCE = frozenset({"absent", "absent_over_time", "present_over_time", "count_over_time", "timestamp"})
"""What may be asked of a counter itself: not its value."""
_SELECTING = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
_COUNTING = frozenset({"count", "group"})
_SETS = frozenset({"and", "unless", "or"})


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What is exported: the labels of the samples of each name, and which names are counters or gauges."""

    labels: Mapping[str, Labels]
    counters: Labels = frozenset()
    gauges: Labels = frozenset()

    def with_names(self, more: Mapping[str, Labels]) -> "Vocabulary":
        return Vocabulary(labels={**self.labels, **more}, counters=self.counters, gauges=self.gauges)


@dataclass(frozen=True)
class Judged:
    """What the result's labels can be, and what is wrong."""

    labels: Labels
    problems: tuple[str, ...]
    rate_ranges: tuple[timedelta, ...] = ()
    """Over what rate and irate go."""
    is_lost: bool = False
    """A name is unknown: then its labels are too, and `labels` tells nothing."""


def judged(expr: str, known: Vocabulary) -> Judged:
    """Judge an expression without variables."""
    try:
        tree = ast.parse(expr)
    except ValueError as error:
        return Judged(frozenset(), (f"does not parse: {error}",), is_lost=True)
    reading = _Reading(known)
    labels = reading.of(tree)
    return Judged(labels or frozenset(), tuple(reading.problems), tuple(reading.rate_ranges), reading.is_lost)


@dataclass
class _Reading:
    """One walk; each method returns the labels of its part, None for a scalar or a string."""

    known: Vocabulary
    problems: list[str] = field(default_factory=list)
    rate_ranges: list[timedelta] = field(default_factory=list)
    is_lost: bool = False

    def of(self, part: Any, asked: str = "") -> Labels | None:
        """Read a part; *asked* is the function that it is the argument of."""
        found: Labels | None = None
        match part:
            case ast.NumberLiteral() | ast.StringLiteral():
                pass
            case ast.VectorSelector():
                found = self._selector(part, asked)
            case ast.MatrixSelector():
                if asked in {"rate", "irate"}:
                    self.rate_ranges.append(part.range)
                found = self._selector(part.vector_selector, asked)
            case ast.ParenExpr():
                found = self.of(part.expr, asked)
            case ast.UnaryExpr() | ast.SubqueryExpr():
                found = self.of(part.expr)
            case ast.AggregateExpr():
                found = self._aggregation(part)
            case ast.Call():
                found = self._call(part)
            case ast.BinaryExpr():
                found = self._binary(part)
            case _:
                raise AssertionError(f"no such part of PromQL is known here: {type(part).__name__}")
        return found

    def _selector(self, part: Any, asked: str) -> Labels:
        groups = [part.matchers.matchers, *part.matchers.or_matchers]
        named = [part.name] if part.name else [m.value for g in groups for m in g if m.name == "__name__"]
        patterns = [re.compile(name if part.name is None else re.escape(name)) for name in named]
        names = [name for name in self.known.labels if any(pattern.fullmatch(name) for pattern in patterns)]
        if not names:
            self._say(f"nobody exports {' or '.join(named) or part.prettify()}")
            self.is_lost = True
            return frozenset()
        labels = frozenset().union(*(self.known.labels[name] for name in names)) | OPTIONAL
        for matcher in (matcher for group in groups for matcher in group if matcher.name != "__name__"):
            if matcher.name not in labels:
                self._say(f"{names[0]} has no label {matcher.name}")
            elif matcher.name in OPTIONAL and not _takes_absence(matcher):
                self._say(f"{names[0]}: {matcher} wants a label that need not be there")
        for name in names:
            self._check_kind(name, asked)
        return labels

    def _check_kind(self, name: str, asked: str) -> None:
        if name in self.known.counters and asked not in _OF_COUNTERS | _OF_PRESENCE | _COUNTING:
            self._say(f"{name} is a counter and is asked for its value, not its rate")
        if name in self.known.gauges and asked in _RATES:
            self._say(f"{name} is a gauge and is asked for its {asked}")

    def _aggregation(self, part: Any) -> Labels:
        how = str(part.op)
        inner = self.of(part.expr, how) or frozenset()
        if part.param is not None:
            self.of(part.param)
        more = {part.param.val} if how == "count_values" else set()
        modifier = part.modifier
        if modifier is not None:
            is_by = modifier.type == ast.AggModifierType.By
            self._require(modifier.labels, inner, f"{how} {'by' if is_by else 'without'}")
        if how in _SELECTING:
            return inner
        if modifier is None:
            return frozenset(more)
        given = frozenset(modifier.labels)
        return (given if is_by else inner - given) | more

    def _call(self, part: Any) -> Labels | None:
        name = part.func.name
        of_arguments = [self.of(argument, name) for argument in part.args]
        found = next((labels for labels in of_arguments if labels is not None), None)
        inner = found or frozenset()
        match name:
            case "label_replace":
                self._require([part.args[3].val] if part.args[3].val else [], inner, name)
                found = inner | {part.args[1].val}
            case "label_join":
                self._require([argument.val for argument in part.args[3:]], inner, name)
                found = inner | {part.args[1].val}
            case "histogram_quantile":
                self._require(["le"], inner, name)
                found = inner - {"le"}
            case "absent" | "absent_over_time":
                found = _of_equalities(part.args[0])
            case "vector":
                found = frozenset()
            case "scalar":
                found = None
        return found

    def _binary(self, part: Any) -> Labels | None:
        left, right, operator = self.of(part.lhs), self.of(part.rhs), str(part.op)
        if left is None or right is None:
            return right if left is None else left
        how = part.modifier
        matching = how.matching if how is not None else None
        listed = frozenset(matching.labels) if matching is not None else frozenset()
        is_on = matching is not None and matching.type == ast.LabelModifierType.Include
        many = how.card if how is not None else ast.VectorMatchCardinality.OneToOne
        if is_on:
            self._require(listed, left, f"on, left of {operator}")
            self._require(listed, right, f"on, right of {operator}")
        else:
            self._require(listed, left | right, "ignoring")
            self._check_sides(left - listed, right - listed, operator)
        added = frozenset(how.group_labels or ()) if how is not None else frozenset()
        if operator in _SETS:
            return left | right if operator == "or" else left
        if many == ast.VectorMatchCardinality.ManyToOne:
            self._require(added, right, "group_left")
            return left | added
        if many == ast.VectorMatchCardinality.OneToMany:
            self._require(added, left, "group_right")
            return right | added
        return listed if is_on else left - listed

    def _check_sides(self, left: Labels, right: Labels, operator: str) -> None:
        different = (left ^ right) - OPTIONAL
        if different and operator != "or" and not self.is_lost:
            self._say(f"the sides of {operator} never match: one alone has {', '.join(sorted(different))}")

    def _require(self, wanted: Iterable[str], there: Labels, where: str) -> None:
        missing = sorted(set(wanted) - there)
        if missing and not self.is_lost:
            self._say(f"{where}: there is no label {', '.join(missing)}")

    def _say(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def _takes_absence(matcher: Any) -> bool:
    """Tell whether a matcher fits a label that is not there, which PromQL takes as the empty value."""
    is_regex = matcher.op in (ast.MatchOp.Re, ast.MatchOp.NotRe)
    fits = re.fullmatch(matcher.value, "") is not None if is_regex else matcher.value == ""
    return fits == (matcher.op in (ast.MatchOp.Equal, ast.MatchOp.Re))


def _of_equalities(argument: Any) -> Labels:
    """Return the labels that `absent` makes up: those of the selector that are said to be equal to something."""
    while isinstance(argument, ast.ParenExpr):
        argument = argument.expr
    selector = getattr(argument, "vector_selector", argument)
    if not isinstance(selector, ast.VectorSelector):
        return frozenset()
    return frozenset(m.name for m in selector.matchers.matchers if m.op == ast.MatchOp.Equal and m.name != "__name__")

"""The alerts, and the cases that hold them to what they should do, as values."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "charts/kubescribe/files/rules"
CASES = sorted((Path(__file__).parent / "rules").glob("*.yaml"))

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alerting rule, as it is written."""

    name: str
    group: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    keys: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One group of a file of cases: what is expected of `alert` at each moment, how many firing."""

    file: str
    name: str
    alert: str
    series: Mapping[str, Any]
    expected: Sequence[tuple[timedelta, int]]

    @property
    def fires(self) -> bool:
        return any(count for _, count in self.expected)

    @property
    def resolves(self) -> bool:
        """Tell whether nothing fires any more at a later moment than something does."""
        ordered = [count for _, count in sorted(self.expected)]
        return any(count and 0 in ordered[at:] for at, count in enumerate(ordered))


@cache
def read(path: Path) -> Any:
    """Return what is in *path*; it is everybody's, and not to be changed."""
    return yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)


def groups(name: str = "alerts.yaml") -> list[dict[str, Any]]:
    return read(RULES / name)["groups"]


def rules_of(names: Collection[str]) -> str:
    """Return a file of rules with these alerts alone: promtool evaluates all that it loads."""
    chosen = [group | {"rules": [rule for rule in group["rules"] if rule["alert"] in names]} for group in groups()]
    return yaml.safe_dump({"groups": [group for group in chosen if group["rules"]]})


def alerts() -> list[Alert]:
    return [
        Alert(
            name=rule["alert"],
            group=group["name"],
            labels=rule.get("labels", {}),
            annotations=rule.get("annotations", {}),
            keys=frozenset(rule),
        )
        for group in groups()
        for rule in group["rules"]
    ]


@cache
def cases() -> Sequence[Case]:
    return [
        Case(
            file=path.name,
            name=test["name"],
            alert=test["name"].partition(" ")[0],
            series={key: test[key] for key in ("interval", "input_series")},
            expected=[(_duration(check["eval_time"]), len(check["exp_samples"])) for check in test["promql_expr_test"]],
        )
        for path in CASES
        for test in read(path)["tests"]
    ]


def _duration(text: str) -> timedelta:
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})

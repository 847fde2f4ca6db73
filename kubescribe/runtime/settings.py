"""
One table of settings: what a role can be told, in frozen dataclasses whose fields say everything about themselves.

`--help`, `--check-config` and docs/configuration.md are made from the table (settingshelp.py); sources.py reads the
values. A class of settings holds fields made by `setting` and groups made by `group`; a field's place in the tree is
its key in the YAML file (`watch.inactivity`), and its option and variable follow from the key unless they are fixed.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kubescribe.runtime.values import Kind, hide_password

T = TypeVar("T")
D = TypeVar("D")
G = TypeVar("G")

PREFIX = "KUBESCRIBE_"

_METADATA = "kubescribe"


@dataclass(frozen=True, slots=True)
class _Computed:
    make: Callable[[], Any]
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a field says about itself; see `setting`."""

    kind: Kind[Any]
    help: str
    why: str
    option: str | None
    has_variable: bool
    secret: bool
    computed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row of the table: a declared field with its place and its default in this role."""

    key: str
    option: str
    variable: str | None
    default: Any
    declared: Declared

    def show(self, value: Any) -> str:
        """Return *value* as it would be written in the YAML file; "" for one that is not set, `***` for a secret."""
        if value is None:
            return ""
        return "***" if self.declared.secret else str(self.declared.kind.show(value))

    @property
    def default_text(self) -> str:
        """Return the default as documentation shows it, "" for none."""
        return self.declared.computed or self.show(self.default)

    def quote(self, text: str) -> str:
        """Return what the operator wrote, fit for a message: no secret, at most 256 characters."""
        return "(hidden)" if self.declared.secret else repr(hide_password(text)[:256])


@dataclass(frozen=True, slots=True)
class Check:
    """
    A rule over several settings. `keys` are those it reads: it is asked only when each of them is valid.

    `complaint` is given the whole of the settings and returns what is wrong and what to do, or None.
    """

    keys: tuple[str, ...]
    complaint: Callable[[Any], str | None]


def setting(
    default: D,
    kind: Kind[T],
    *,
    help: str,  # noqa: A002 - the word that argparse uses for the same
    why: str,
    option: str | None = None,
    has_variable: bool = True,
    secret: bool = False,
) -> D | T:
    """
    Declare a field.

    *default* is a value of *kind*, None for "not set", or `computed`. `help` is one sentence for the operator, `why`
    the reason for the default. `option` replaces the option (and with it the variable) that follows from the key.
    `secret` keeps the value out of every output.
    """
    declared = Declared(
        kind=kind,
        help=help,
        why=why,
        option=option,
        has_variable=has_variable,
        secret=secret,
        computed=default.shown if isinstance(default, _Computed) else "",
    )
    metadata = {_METADATA: declared}
    made: Any
    if isinstance(default, _Computed):
        made = field(default_factory=default.make, metadata=metadata)
    else:
        made = field(default=default, metadata=metadata)
    return made  # type: ignore[no-any-return]


def computed(make: Callable[[], D], shown: str) -> D:
    """Return a default that depends on the machine: how to find it, and how it is written where no machine is meant."""
    made: Any = _Computed(make, shown)
    return made  # type: ignore[no-any-return]


def group(settings: type[G], **defaults: Any) -> G:
    """Declare a group: a field that holds *settings*, with some *defaults* of its own for this role."""
    made: Any = field(default_factory=lambda: settings(**defaults))
    return made  # type: ignore[no-any-return]


def table(settings: type[Any]) -> tuple[Setting, ...]:
    """Return the rows of a class of settings, in the order of its fields. Raises ValueError if two share a name."""
    rows = tuple(_rows(settings(), ()))
    for names in ([row.key for row in rows], [row.option for row in rows], [row.variable for row in rows]):
        named = [name for name in names if name is not None]
        twice = {name for name in named if named.count(name) > 1}
        if twice:
            raise ValueError(f"{settings.__name__} has two settings named {', '.join(sorted(twice))}")
    return rows


def build(settings: type[T], values: Mapping[str, Any]) -> T:
    """Return *settings* with *values* by key; the others have their defaults."""
    return _replaced(settings(), values, ())


def value_of(settings: Any, key: str) -> Any:
    """Return the value that *settings* have at *key*."""
    for part in key.split("."):
        settings = getattr(settings, _names(settings)[part])
    return settings


def checks(settings: Any) -> tuple[Check, ...]:
    """Return the rules over several settings: `CHECKS` of the class, where it has one."""
    return tuple(getattr(settings, "CHECKS", ()))


def group_doc(settings: type[Any], key: str) -> str:
    """Return the first paragraph of the docstring of the group of *key*; of the whole class for a top-level key."""
    value = settings()
    for part in key.split(".")[:-1]:
        value = getattr(value, _names(value)[part])
    return re.sub(r"\s+", " ", (type(value).__doc__ or "").strip().split("\n\n", maxsplit=1)[0])


def _rows(value: Any, path: Sequence[str]) -> list[Setting]:
    rows: list[Setting] = []
    for each in dataclasses.fields(value):
        here = (*path, _key(each.name))
        declared = each.metadata.get(_METADATA)
        if declared is None:
            rows += _rows(getattr(value, each.name), here)
        else:
            option = declared.option or f"--{_dashed('-'.join(here))}"
            variable = PREFIX + option[2:].replace("-", "_").upper() if declared.has_variable else None
            default = getattr(value, each.name)
            rows.append(
                Setting(key=".".join(here), option=option, variable=variable, default=default, declared=declared)
            )
    return rows


def _replaced(value: T, values: Mapping[str, Any], path: Sequence[str]) -> T:
    changes: dict[str, Any] = {}
    for each in dataclasses.fields(value):  # type: ignore[arg-type]
        here = (*path, _key(each.name))
        if _METADATA not in each.metadata:
            changes[each.name] = _replaced(getattr(value, each.name), values, here)
        elif (key := ".".join(here)) in values:
            changes[each.name] = values[key]
    return dataclasses.replace(value, **changes)  # type: ignore[type-var]


def _names(value: Any) -> dict[str, str]:
    return {_key(each.name): each.name for each in dataclasses.fields(value)}


def _key(name: str) -> str:
    """`inactivity_seconds` → `inactivity` (a duration is written with its unit), `max_bytes` → `maxBytes`."""
    first, *rest = name.removesuffix("_seconds").split("_")
    return first + "".join(part.capitalize() for part in rest)


def _dashed(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda match: f"-{match.group()}", name).lower()

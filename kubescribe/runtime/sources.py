"""
Where settings come from: a YAML file, `KUBESCRIBE_*` variables, options; the later wins. All problems at once.

The environment and the arguments are handed in. Nothing here knows a role.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from kubescribe.runtime.errors import ConfigError
from kubescribe.runtime.settings import PREFIX, Setting, build, checks, table

T = TypeVar("T")

MAX_FILE_BYTES = 2**20
"""A file of settings is a few KiB; what is larger is something else, and YAML is slow to find that out."""

# What the kubelet puts into a container's environment for each Service (kubernetes.io, "Environment variables"): for
# a Service named kubescribe, or kubescribe-aggregator, in the namespace.
_INJECTED = re.compile(
    rf"{PREFIX}([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


@dataclass(frozen=True, slots=True)
class Given:
    """One value as an operator wrote it: the setting, the text, and the place where it stands."""

    row: Setting
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """The settings in effect, and by key where each came from; a key that is missing has its default."""

    settings: T
    sources: Mapping[str, str]


def is_injected(variable: str) -> bool:
    """Tell whether Kubernetes sets *variable* by itself, for a Service whose name begins as ours."""
    return _INJECTED.fullmatch(variable) is not None


def load(
    settings: type[T],
    *,
    file: Path | None,
    environ: Mapping[str, str],
    options: Sequence[tuple[str, str]],
    found: Sequence[str] = (),
) -> Loaded[T]:
    """
    Return the settings that *file*, *environ* and *options* (pairs of option and text) give together.

    Raises ConfigError with every problem, those that were *found* before included: each names its source, its value
    and what was expected.
    """
    rows = table(settings)
    problems = list(found)
    given = [
        *(_from_file(file, rows, problems) if file is not None else ()),
        *_from_environ(environ, rows, problems),
        *_from_options(options, rows, problems),
    ]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    invalid: set[str] = set()
    for each in given:
        try:
            values[each.row.key] = each.row.declared.kind.parse(each.text)
            sources[each.row.key] = each.source
        except ValueError as error:
            invalid.add(each.row.key)
            problems.append(_complaint(each, error))
    made = build(settings, values)
    asked = [check.complaint(made) for check in checks(made) if invalid.isdisjoint(check.keys)]
    problems += [complaint for complaint in asked if complaint is not None]
    if problems:
        raise ConfigError(problems)
    return Loaded(made, sources)


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Return a question with the nearest of *names*, empty when none is near."""
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _complaint(given: Given, error: ValueError) -> str:
    # A parser's own words are trusted to name no value; those of int(), ip_address() … are not.
    reason = str(error) if error.args and type(error) is ValueError and not given.row.declared.secret else ""
    own = f" ({reason})" if reason and given.text not in reason else ""
    return f"{given.source}: {given.row.quote(given.text)} is not {given.row.declared.kind.expects}{own}"


def _from_environ(environ: Mapping[str, str], rows: Sequence[Setting], problems: list[str]) -> Iterator[Given]:
    known = {row.variable: row for row in rows if row.variable is not None}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == f"{PREFIX}CONFIG":
            continue
        if not environ[name]:
            continue  # A chart or a compose file sets what it has no value for to nothing.
        if name in known:
            yield Given(known[name], environ[name], name)
        elif not is_injected(name):
            problems.append(f"{name}: no such setting{did_you_mean(name, [*known, f'{PREFIX}CONFIG'])}")


def _from_options(options: Sequence[tuple[str, str]], rows: Sequence[Setting], problems: list[str]) -> Iterator[Given]:
    known = {row.option: row for row in rows}
    texts: dict[str, str] = {}
    for option, text in options:
        if option not in known:
            problems.append(f"{option}: no such option{did_you_mean(option, [*known, '--config', '--check-config'])}")
        elif known[option].declared.kind.many and option in texts:
            texts[option] += f",{text}"
        else:
            texts[option] = text
    for option, text in texts.items():
        if text:
            yield Given(known[option], text, option)
        else:
            problems.append(f"{option}: a value is missing; expected {known[option].declared.kind.expects}")


def _from_file(path: Path, rows: Sequence[Setting], problems: list[str]) -> list[Given]:
    try:
        document = _read(path)
    except ConfigError as error:
        problems += error.problems
        return []
    known = {row.key: row for row in rows}
    given: list[Given] = []
    for key, value in _leaves(document, "", known):
        source = f"{path}: {key}"
        row = known.get(key)
        if value is None and (row is not None or any(name.startswith(f"{key}.") for name in known)):
            continue  # As in Kubernetes' own files, null is the same as not written.
        if row is None:
            problems.append(f"{source}: {_unknown(key, known)}")
        elif (text := _text(value, row)) is None:
            problems.append(f"{source}: {_shape_of(value)} is not {row.declared.kind.expects}")
        else:
            given.append(Given(row, text, source))
    return given


def _unknown(key: str, known: Mapping[str, Setting]) -> str:
    below = [name for name in known if name.startswith(f"{key}.")]
    if below:
        return f"a group of settings, not a value; it holds {', '.join(name[len(key) + 1 :] for name in below)}"
    return f"no such setting{did_you_mean(key, list(known))}"


def _read(path: Path) -> Any:
    # Costs 15 ms to import, and most starts have no file.
    import yaml  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError([f"--config {path}: {error.strerror or 'cannot be read'}"]) from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError([f"--config {path}: over {MAX_FILE_BYTES} bytes; that is no file of settings"])
    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        raise ConfigError([f"--config {path}: not YAML{where}"]) from error
    if document is not None and not isinstance(document, dict):
        raise ConfigError([f"--config {path}: expected keys and values, such as `log: {{level: info}}`"])
    return document or {}


def _leaves(value: Any, path: str, known: Mapping[str, Setting]) -> Iterator[tuple[str, Any]]:
    """Yield (key, value) of what lies in nested mappings; a mapping where a value belongs is yielded whole."""
    if not isinstance(value, dict) or path in known:
        yield path, value
        return
    if not value:
        return
    for name, below in value.items():
        yield from _leaves(below, f"{path}.{name}" if path else str(name), known)


def _text(value: Any, row: Setting) -> str | None:
    """Return the text of a YAML value; None when its form is not that of the setting."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and row.declared.kind.many:
        texts = [item for item in value if isinstance(item, str) and "," not in item]
        return ",".join(texts) if len(texts) == len(value) else None
    return None


def _shape_of(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else f"a value of the form {type(value).__name__}"

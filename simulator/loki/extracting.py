"""
What `| json` and `| logfmt` make of a line: labels beside those that it has. Pure.

As pkg/logql/log/parser.go, grafana/loki@65e30f8: a name that the entry has already gets `_extracted`, nested objects
are joined by `_`, lists are left out, and a line that does not parse gets `__error__`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_PAIR = re.compile(r'([^\s="]+)(?:=("(?:[^"\\]|\\.)*"|[^\s"]*))?')
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
_ESCAPED = re.compile(r"\\(.)")
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r"}


def extracted(parser: str, line: str, known: Mapping[str, str]) -> dict[str, str]:
    """Return *known* with what *parser*, a key of PARSERS, finds in *line*."""
    labels = dict(known)
    try:
        for name, value in PARSERS[parser](line):
            legal = _NOT_IN_NAMES.sub("_", name)
            labels.setdefault(f"{legal}_extracted" if legal in known else legal, value)
    except (ValueError, AttributeError):
        labels["__error__"] = "JSONParserErr"
    return labels


def _logfmt(line: str) -> Iterator[tuple[str, str]]:
    for name, value in _PAIR.findall(line):
        if not value:
            continue  # Loki keeps empty ones only when asked to.
        bare = value[1:-1] if value[0] == '"' else value
        yield name, _ESCAPED.sub(lambda it: _SIMPLE.get(it[1], it[1]), bare)


def _json(line: str) -> Iterator[tuple[str, str]]:
    yield from _flat(json.loads(line), "")


def _flat(found: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_")
        elif not isinstance(value, list) and value is not None:
            yield prefix + name, value if isinstance(value, str) else json.dumps(value)


PARSERS: Mapping[str, Callable[[str], Iterator[tuple[str, str]]]] = {"json": _json, "logfmt": _logfmt}

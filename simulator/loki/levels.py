"""
The level that Loki finds in each entry and keeps as structured metadata, `detected_level` (`discover_log_levels`, on).

As pkg/distributor/field_detection.go, grafana/loki@65e30f8. Loki does it when an entry comes; here it is done when one
is asked for, so that a test reads what was sent. Pure.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from simulator.loki.entries import Labels

LEVEL = "detected_level"

FIELDS = (
    *("level", "LEVEL", "Level", "log.level", "severity", "SEVERITY", "Severity", "SeverityText"),
    *("lvl", "LVL", "Lvl", "severity_text", "Severity_Text", "SEVERITY_TEXT"),
)
"""pkg/validation/limits.go, in the order in which they count."""

_UNKNOWN = "unknown"
_JSON_DEPTH = 2
_KNOWN = {
    **{it: it for it in ("trace", "debug", "info", "warn", "error", "critical", "fatal")},
    "trc": "trace",
    "dbg": "debug",
    "inf": "info",
    "information": "info",
    "wrn": "warn",
    "warning": "warn",
    "err": "error",
}
_FOLDED = {name.lower(): at for at, name in reversed(list(enumerate(FIELDS)))}
_PAIR = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)')
_WORD = re.compile(
    r"""(?<![^ \t\n\[({"'=|])(trace|debug|fatal|critical|error|err|warning|warn|info)(?![^ \t\n\[\](){}:,!"'=|])"""
)
_SEVERITIES = ((4, "trace"), (8, "debug"), (12, "info"), (16, "warn"), (20, "error"), (24, "fatal"))
"""OpenTelemetry's numbers up to each; 0 is none."""


def with_level(metadata: Labels, labels: Mapping[str, str], line: str) -> Labels:
    """Return an entry's structured metadata with the level that Loki finds, sorted by name."""
    known = dict(metadata)
    if LEVEL in known:
        known[LEVEL] = _normal(known[LEVEL])
    else:
        known[LEVEL] = _found(labels, known, line)
    return tuple(sorted(known.items()))


def _found(labels: Mapping[str, str], metadata: Mapping[str, str], line: str) -> str:
    for where in (labels, metadata):
        for name in FIELDS:
            if name in where:
                return _normal(where[name])
    if number := metadata.get("severity_number"):
        return _of_number(number)
    return _of_line(line)


def _normal(said: str) -> str:
    return _KNOWN.get(said.lower(), said)


def _of_number(text: str) -> str:
    if not text.isdigit():
        return "info"
    return next((level for most, level in _SEVERITIES if 0 < int(text) <= most), _UNKNOWN)


def _of_line(line: str) -> str:
    said = ""
    bare = line.strip()
    if bare.startswith("{") and bare.endswith("}"):
        said = _of_json(bare)
    elif "=" in line:
        said = _of_logfmt(_PAIR.findall(line))
    if level := _KNOWN.get(said.lower()):
        return level
    word = _WORD.search(line.lower())
    return _KNOWN[word[1]] if word else _UNKNOWN


def _of_logfmt(pairs: Iterable[tuple[str, str]]) -> str:
    ranked = [(_FOLDED[key.lower()], value) for key, value in pairs if key.lower() in _FOLDED]
    return min(ranked)[1].strip('"') if ranked else ""


def _of_json(text: str) -> str:
    try:
        return _in_object(json.loads(text), _JSON_DEPTH)
    except ValueError:
        return ""


def _in_object(found: Mapping[str, Any], depth: int) -> str:
    for key, value in found.items():
        if isinstance(value, str) and key in FIELDS:
            return value
        if isinstance(value, dict) and depth > 1 and (deeper := _in_object(value, depth - 1)):
            return deeper
    return ""

"""Label and field selectors: parsed as the API server parses them, applied to the facts of a version."""

import re
from collections.abc import Callable, Mapping

from simulator.errors import SimulatorError
from simulator.versions import Facts

Selector = Callable[[Facts], bool]

_OPERATOR = re.compile(r"^(?P<key>[^=!]*?)\s*(?P<operator>==|!=|=)\s*(?P<value>.*)$")
_SET = re.compile(r"^(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)$")
_COMMA = re.compile(r",(?![^(]*\))")
_LABEL_KEY = re.compile(r"^([A-Za-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")


class BadSelector(SimulatorError):
    """The selector cannot be parsed, or names a field that the resource does not offer."""


def everything(_: Facts) -> bool:
    """Match all objects."""
    return True


def selector(label_text: str, field_text: str, fields: Mapping[str, str]) -> Selector:
    """
    Return the predicate for a request's two selectors; `everything` itself when both are empty.

    *fields* are the labels that the resource offers. Raises BadSelector with the real server's words.
    """
    tests = [_field(text, fields) for text in _COMMA.split(field_text) if text.strip()]
    tests += [_label(text.strip()) for text in _COMMA.split(label_text) if text.strip()]
    if not tests:
        return everything
    if len(tests) == 1:
        return tests[0]
    return lambda facts: all(test(facts) for test in tests)


def exact_value(field_text: str, fields: Mapping[str, str], path: str) -> str | None:
    """Return the one value of *path* that a selector asks for; None when it leaves others (RequiresExactMatch)."""
    for text in _COMMA.split(field_text):
        match = _OPERATOR.match(text.strip())
        if match is not None and match["operator"] != "!=" and fields.get(match["key"]) == path:
            return re.sub(r"\\(.)", r"\1", match["value"])
    return None


def _field(text: str, fields: Mapping[str, str]) -> Selector:
    match = _OPERATOR.match(text.strip())
    if match is None:
        raise BadSelector(f"invalid selector: '{text}'; can't understand '{text}'")
    path = fields.get(match["key"])
    if path is None:
        raise BadSelector(f"field label not supported: {match['key']}")
    value = re.sub(r"\\(.)", r"\1", match["value"])
    if match["operator"] == "!=":
        return lambda facts: facts.fields.get(path, "") != value
    return lambda facts: facts.fields.get(path, "") == value


def _label(text: str) -> Selector:
    if found := _SET.match(text):
        key, values = found["key"], {value.strip() for value in found["values"].split(",")}
        _check_key(key, text)
        if found["operator"] == "in":
            return lambda facts: key in facts.labels and facts.labels[key] in values
        return lambda facts: facts.labels.get(key) not in values
    if found := _OPERATOR.match(text):
        key, value = found["key"], found["value"]
        if not (key.startswith("!") or not key):
            _check_key(key, text)
            if found["operator"] == "!=":
                return lambda facts: facts.labels.get(key) != value
            return lambda facts: facts.labels.get(key) == value
    key = text.removeprefix("!")
    _check_key(key, text)
    if text.startswith("!"):
        return lambda facts: key not in facts.labels
    return lambda facts: key in facts.labels


def _check_key(key: str, text: str) -> None:
    if not _LABEL_KEY.match(key):
        raise BadSelector(f"unable to parse requirement: {text!r}: invalid label key")

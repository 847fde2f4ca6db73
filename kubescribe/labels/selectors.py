"""
Reading the labels of a stream as Loki reads them: a selector's text as a shipper wrote it. Pure.

Loki parses it with Prometheus' ParseMetric: names, or quoted names, with values in double quotes, single quotes or
backticks, quoted as Go quotes (strconv.Unquote; prometheus/util/strutil/quote.go). Whatever Loki would refuse is a
ValueError here, with the place.
"""

import re

_SPACE = re.compile(r"(?:\s+|#[^\n]*)*")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_PLAIN = re.compile(r'"([^"\\\n]*)"')
"""What nearly every value is; the rest is read character by character."""

_ESCAPES = {
    "a": b"\a",
    "b": b"\b",
    "f": b"\f",
    "n": b"\n",
    "r": b"\r",
    "t": b"\t",
    "v": b"\v",
    "\\": b"\\",
}
_HEX = {"x": 2, "u": 4, "U": 8}
METRIC_NAME = "__name__"
MAX_TEXT_BYTES = 64 * 1024
"""Fifteen labels of the longest names and values are 46 KiB; more is damage."""


def parse_selector(text: str) -> dict[str, str]:
    """Return the labels of `{app="x", …}`, those with an empty value left out. Raises ValueError."""
    if len(text) > MAX_TEXT_BYTES:
        raise ValueError(f"labels of {len(text)} characters")
    labels: dict[str, str] = {}
    at = _past_space(text, 0)
    if (metric := _METRIC.match(text, at)) is not None:
        labels[METRIC_NAME] = metric.group()
        at = _past_space(text, metric.end())
    at = _expect(text, at, "{")
    while text[at : at + 1] != "}":
        is_quoted = text[at : at + 1] in ('"', "'", "`")
        name, at = _name(text, at)
        if is_quoted and text[at : at + 1] in (",", "}") and METRIC_NAME not in labels:
            # A quoted metric name may stand inside the braces (Prometheus' UTF-8 names).
            labels[METRIC_NAME] = name
        else:
            at = _expect(text, at, "=")
            value, at = _quoted(text, at)
            labels[name] = value
            at = _past_space(text, at)
        if text[at : at + 1] == ",":
            at = _past_space(text, at + 1)
        elif text[at : at + 1] != "}":
            raise ValueError(_at("a comma or } is expected", text, at))
    if _past_space(text, at + 1) != len(text):
        raise ValueError(_at("nothing is expected behind }", text, at + 1))
    return {name: value for name, value in labels.items() if value}


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _expect(text: str, at: int, character: str) -> int:
    if text[at : at + 1] != character:
        raise ValueError(_at(f"{character} is expected", text, at))
    return _past_space(text, at + 1)


def _name(text: str, at: int) -> tuple[str, int]:
    if (found := _NAME.match(text, at)) is not None:
        return found.group(), _past_space(text, found.end())
    if text[at : at + 1] not in ('"', "'", "`"):
        raise ValueError(_at("a label's name is expected", text, at))
    name, at = _quoted(text, at)
    if not name:
        raise ValueError(_at("a label's name is empty", text, at))
    return name, _past_space(text, at)


def _quoted(text: str, at: int) -> tuple[str, int]:
    if (plain := _PLAIN.match(text, at)) is not None:
        return plain[1], plain.end()
    quote = text[at : at + 1]
    if quote == "`":
        end = text.find("`", at + 1)
        if end < 0:
            raise ValueError(_at("a raw string has no end", text, at))
        return text[at + 1 : end].replace("\r", ""), end + 1
    if quote not in ('"', "'") or not quote:
        raise ValueError(_at("a quoted value is expected", text, at))
    out = bytearray()
    at += 1
    while (character := text[at : at + 1]) != quote:
        if not character or character == "\n":
            raise ValueError(_at("a quoted value has no end", text, at))
        if character == "\\":
            part, at = _escape(text, at + 1, quote)
            out += part
        else:
            out += character.encode("utf-8", "replace")
            at += 1
    # \xff is a byte, not a character: what does not make UTF-8 together is replaced, as Loki does.
    return out.decode("utf-8", "replace"), at + 1


def _escape(text: str, at: int, quote: str) -> tuple[bytes, int]:
    kind = text[at : at + 1]
    if kind in _ESCAPES:
        return _ESCAPES[kind], at + 1
    if kind == quote and kind:
        return kind.encode(), at + 1
    digits, base = (text[at + 1 : at + 1 + _HEX[kind]], 16) if kind in _HEX else (text[at : at + 3], 8)
    wanted = _HEX.get(kind, 3)
    legal = "0123456789abcdefABCDEF" if base == 16 else "01234567"
    if len(digits) != wanted or any(digit not in legal for digit in digits):
        raise ValueError(_at("an escape that Go does not know", text, at))
    code, end = int(digits, base), at + wanted + (kind in _HEX)
    if kind in ("u", "U"):
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ValueError(_at("an escape that is no character", text, at))
        return chr(code).encode(), end
    if code > 0xFF:
        raise ValueError(_at("an escape that is no byte", text, at))
    return bytes((code,)), end


def _at(complaint: str, text: str, at: int) -> str:
    return f"{complaint} at character {at} of {text[:100]!r}"

"""
A stream's labels as text and back, as Loki parses them (Prometheus' ParseMetric) and prints them.

Stricter than Loki in one thing: a quoted label name, which the parser would take, is refused.
"""

import re

from simulator.loki.entries import Labels

_SPACE = " \t\n\r"
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_QUOTED = {value: f"\\{name}" for name, value in _SIMPLE.items()} | {'"': '\\"', "\\": "\\\\"}


class BadLabels(ValueError):
    """The text is no set of labels; the message is Prometheus' parse error, with line and column."""

    def __init__(self, text: str, at: int, what: str) -> None:
        line = text.count("\n", 0, at) + 1
        column = at - (text.rfind("\n", 0, at) + 1) + 1
        super().__init__(f"{line}:{column}: parse error: {what}")


def parse_labels(text: str) -> Labels:
    """Return the labels of *text* sorted by name, doubles included, empty values left out. Raises BadLabels."""
    parser = _Parser(text)
    found = parser.labels()
    return tuple(sorted((name, value) for name, value in found if value))


def format_labels(labels: Labels) -> str:
    """Return *labels* as Loki prints them: `{a="x", b="y"}`."""
    return "{" + ", ".join(f"{name}={quoted(value)}" for name, value in labels) + "}"


def quoted(value: str) -> str:
    """Return *value* in double quotes, as Go's strconv.Quote writes it."""
    return '"' + "".join(_quoted_character(character) for character in value) + '"'


def _quoted_character(character: str) -> str:
    if character in _QUOTED:
        return _QUOTED[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unquoted(text: str, at: int) -> tuple[str, int]:
    """Return the string that begins with the quote at *at* of *text*, and where it ends. Raises BadLabels."""
    quote, end = text[at], at + 1
    if quote == "`":
        end = text.find("`", at + 1)
        if end < 0:
            raise BadLabels(text, at, "unterminated raw string")
        return text[at + 1 : end], end + 1
    out: list[str] = []
    while True:
        if end >= len(text) or text[end] == "\n":
            raise BadLabels(text, at, "unterminated quoted string")
        character = text[end]
        if character == quote:
            return "".join(out), end + 1
        if character != "\\":
            out.append(character)
            end += 1
            continue
        match = _ESCAPE.match(text, end)
        if match is None:
            raise BadLabels(text, end, f"unknown escape sequence {text[end + 1 : end + 2]!r}")
        out.append(_unescaped(match))
        end = match.end()


def _unescaped(match: re.Match[str]) -> str:
    simple, hexadecimal, short, long, octal = match.groups()
    if simple is not None:
        return _SIMPLE.get(simple, simple)
    return chr(int(octal, 8) if octal is not None else int(hexadecimal or short or long, 16))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def labels(self) -> list[tuple[str, str]]:
        self._expect("{", f"unexpected {self._seen()}")
        found: list[tuple[str, str]] = []
        while self._next() != "}":
            found.append(self._pair())
            if self._next() == ",":
                self.at += 1
            elif self._next() != "}":
                raise self._error(f'unexpected {self._seen()} in label set, expected "," or "}}"')
        self.at += 1
        if self._next():
            raise self._error(f"unexpected {self._seen()}")
        return found

    def _pair(self) -> tuple[str, str]:
        match = _NAME.match(self.text, self.at)
        if match is None:
            if self._next() in "\"'`,=":
                raise self._error(f'unexpected {self._seen()} in label set, expected identifier or "}}"')
            raise self._error(f"unexpected character inside braces: {_rune(self._next())}")
        self.at = match.end()
        following = self._next()
        if following != "=" or self.text.startswith("=~", self.at):
            if following and following not in "=,}\"'`!":
                raise self._error(f"unexpected character inside braces: {_rune(following)}")
            raise self._error(f'unexpected {self._seen()} in label set, expected "="')
        self.at += 1
        if not self._next() or self._next() not in "\"'`":
            raise self._error(f"unexpected {self._seen()} in label set, expected string")
        value, self.at = unquoted(self.text, self.at)
        return match.group(), value

    def _next(self) -> str:
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1
        return self.text[self.at : self.at + 1]

    def _expect(self, character: str, what: str) -> None:
        if self._next() != character:
            raise self._error(what)
        self.at += 1

    def _seen(self) -> str:
        if not self._next():
            return "end of input"
        match = _NAME.match(self.text, self.at)
        return f'identifier "{match.group()}"' if match else f'"{self._next()}"'

    def _error(self, what: str) -> BadLabels:
        return BadLabels(self.text, self.at, what)


def _rune(character: str) -> str:
    return f"'{character}'"

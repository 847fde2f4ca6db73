"""
The level of a line, from what programs write there: JSON and logfmt fields, klog's letter, words in the usual places.

Only the beginning of a line is looked at, so that a word in somebody's message does not decide, and the time is
bounded. A line that tells no level has none: that of the lines around it is not guessed.
"""

import re
from functools import lru_cache
from typing import Literal

from kubescribe.lines.patterns import compiled

Level = Literal["trace", "debug", "info", "warning", "error", "fatal", ""]

LEVELS: tuple[Level, ...] = ("trace", "debug", "info", "warning", "error", "fatal")
"""In the order of their gravity."""

_JSON_BYTES = 4096
"""Where a level may stand in JSON: some loggers write it last."""

_TEXT_BYTES = 256

_WORDS: dict[str, Level] = {
    **dict.fromkeys(("trace", "trc", "finest", "finer", "verbose", "silly"), "trace"),
    **dict.fromkeys(("debug", "dbg", "dbug", "fine", "config"), "debug"),
    **dict.fromkeys(("info", "inf", "information", "informational", "notice", "log", "default"), "info"),
    **dict.fromkeys(("warning", "warn", "wrn"), "warning"),
    **dict.fromkeys(("error", "err", "eror", "severe", "fail"), "error"),
    **dict.fromkeys(("fatal", "ftl", "critical", "crit", "crt", "panic", "dpanic"), "fatal"),
    **dict.fromkeys(("alert", "emergency", "emerg"), "fatal"),
}  # fmt: skip

_KLOG: dict[bytes, Level] = {b"I": "info", b"W": "warning", b"E": "error", b"F": "fatal", b"D": "debug"}
_IS_KLOG = re.compile(rb"[IWEFD]\d{4} \d\d:\d\d:\d\d")
_JSON = re.compile(
    rb'"(?:@?level|lvl|severity|severity_?text|log\.?level|levelname|loglevel|log_level)"\s*:\s*'
    rb'(?:"([A-Za-z]{3,13})(?:[0-9]?)"|(\d{1,3})[,}\s])',
    re.IGNORECASE,
)
_LOGFMT = compiled(rb"(^|[\s,])(?i:level|lvl|severity|loglevel)=[\"']?[A-Za-z]{3,13}", is_text=False)
_PLACED = compiled(
    rb"(^|[\s\[(|:>\x1b])(\x1b?\[[0-9;]*m)?"
    rb"(TRACE|TRC|DEBUG|DBG|INFO|INF|NOTICE|WARN|WARNING|WRN|ERROR|ERR!?|SEVERE|FATAL|FTL|CRITICAL|PANIC|LOG)"
    rb"(\x1b\[[0-9;]*m)?($|[\s\]:)|,>!-])"
    rb"|[\[<(|]\s*(?i:trace|debug|dbg|info|notice|warn|warning|error|err|crit|critical|alert|emerg|fatal|panic|severe)"
    rb"\s*[\]>)|:]",
    is_text=False,
)
"""A word in capitals that stands alone, or one in brackets."""

_WORD = re.compile(rb"[A-Za-z]{3,}")
_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
_LEADING = re.compile(
    rb"(?:[\d\-:T.,Z+/ ]{8,40}\s)?(panic|fatal error|fatal|error|warning|warn|debug|info): ", re.IGNORECASE
)
_FAILED = re.compile(
    rb"Traceback \(most recent call last\)|(?:Exception in thread|Caused by:|Unhandled exception|"
    rb"(?:[A-Za-z_$][\w$]*\.)*[A-Za-z_$][\w$]*(?:Exception|Error)(?::|$))"
)
_PINO: tuple[Level, ...] = ("trace", "trace", "debug", "info", "warning", "error", "fatal")


def level_of(line: bytes) -> Level:
    """Return the level that *line* tells, "" for none."""
    if line[:1] == b"{":
        return _of_json(line[:_JSON_BYTES])
    head = line[:_TEXT_BYTES]
    if _IS_KLOG.match(head) is not None:
        return _KLOG[head[:1]]
    if b"=" in head and (field := _LOGFMT.search(head)) is not None:
        level = _named(field.group().rpartition(b"=")[2].strip(b"\"'"))
        if level:
            return level
    if (placed := _PLACED.search(head)) is not None and (
        word := _WORD.search(_COLOUR.sub(b"", placed.group()))
    ) is not None:
        return _named(word.group())
    if (found := _LEADING.match(head)) is not None:
        return _named(found[1].split()[0])
    return "error" if _FAILED.match(head) is not None else ""


def at_least(level: Level) -> tuple[Level, ...]:
    """Return *level* and those that are graver."""
    return LEVELS[LEVELS.index(level) :]


def _of_json(head: bytes) -> Level:
    found = _JSON.search(head)
    if found is None:
        return ""
    if found[1] is not None:
        return _named(found[1])
    # pino and bunyan count in tens. Other numbers are somebody's own.
    number = int(found[2])
    return _PINO[number // 10] if number % 10 == 0 and number // 10 < len(_PINO) else ""


@lru_cache(maxsize=256)
def _named(word: bytes) -> Level:
    return _WORDS.get(word.decode().lower(), "")

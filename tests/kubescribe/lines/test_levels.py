"""The level of a line, as the common loggers write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubescribe.lines.levels import LEVELS, at_least, level_of

LINES = {
    "trace": (b'{"level":10,"msg":"pino"}', b"TRACE [main] deep", b"ts=1 lvl=trace msg=x"),
    "debug": (b'{"severity":"DEBUG","message":"x"}', b"2026-11-25 10:00:00,123 DEBUG app: x", b"D1125 10:00:00.1 1 x]"),
    "info": (
        b"2026-11-25T22:46:54.123Z INFO [http-nio-8080-exec-3] c.e.shop.Cart - GET /api/cart 200",
        b"I1125 10:00:00.000001       1 main.go:12] started",
        b'{"ts":1764110814.1,"level":"info","msg":"zap"}',
        b"INFO:     127.0.0.1:5000 - uvicorn",
        b"2026-11-25 22:46:54.123 UTC [1] LOG:  database system is ready",
        b"time=2026-11-25T10:00:00Z level=INFO msg=slog",
    ),
    "warning": (
        b"WARNING:root:deprecated",
        b"W1125 10:00:00.000001       1 reflector.go:1] x",
        b'{"@timestamp":"x","log.level":"warn","message":"ECS"}',
        b'time="2026-11-25T10:00:00Z" level=warning msg=logrus',
        b"warning: redirecting",
    ),
    "error": (
        b"2026/11/25 22:46:54 [error] 31#31: *1 open() failed",
        b"Traceback (most recent call last):",
        b"java.lang.NullPointerException: Cannot invoke",
        b"npm ERR! code 1",
        b"\x1b[31mERROR\x1b[0m failed",
        b'{"level":50,"time":1,"msg":"pino"}',
        b'Exception in thread "main" java.lang.Error',
        b"Error: connect ECONNREFUSED",
    ),
    "fatal": (
        b"panic: runtime error: index out of range",
        b"2026-11-25 22:46:54.123 UTC [1] FATAL:  password authentication failed",
        b'{"severity":"CRITICAL","message":"x"}',
        b"fatal error: all goroutines are asleep - deadlock!",
        b"F1125 10:00:00.000001       1 main.go:1] x",
    ),
    "": (
        b"",
        b"hello world",
        b'127.0.0.1 - - "GET /error HTTP/1.1" 200',
        b"\tat com.example.Shop.buy(Shop.java:12)",
        b'{"msg":"no level"}',
        b"an error is a word in this sentence",
        b'{"level":3,"msg":"whose scale?"}',
    ),
}


@pytest.mark.parametrize(("level", "line"), [(level, line) for level, lines in LINES.items() for line in lines])
def test_a_line_has_the_level_that_its_logger_wrote(level: str, line: bytes) -> None:
    assert level_of(line) == level


@given(st.binary(max_size=600))
def test_any_bytes_have_a_level_or_none(line: bytes) -> None:
    assert level_of(line) in {*LEVELS, ""}


def test_a_level_goes_with_the_graver_ones() -> None:
    assert at_least("warning") == ("warning", "error", "fatal")

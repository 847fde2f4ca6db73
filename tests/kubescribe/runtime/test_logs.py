"""Entries for machines and for people, one level for all, and no secret in any of them."""

import io
import json
import logging
import warnings
from typing import Any

import pytest
import structlog

from kubescribe.runtime.logs import configure_logs
from kubescribe.runtime.logsettings import LogConfig


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def configured(**config: str) -> io.StringIO:
    stream = io.StringIO()
    configure_logs(LogConfig(**config), stream)
    return stream


def test_off_a_terminal_an_entry_is_a_line_of_json_with_a_utc_time() -> None:
    stream = configured()

    structlog.get_logger().info("watch.stream_opened", stream="pods")

    (entry,) = entries(stream)
    assert (entry["event"], entry["stream"], entry["level"]) == ("watch.stream_opened", "pods", "info")
    assert entry["timestamp"].endswith("Z")


def test_the_standard_librarys_loggers_and_warnings_go_the_same_way() -> None:
    stream = configured()

    logging.getLogger("library").warning("odd %s", "thing", extra={"port": 5})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", UserWarning, stacklevel=1)

    first, second = entries(stream)
    assert (first["event"], first["logger"], first["level"], first["port"]) == ("odd thing", "library", "warning", 5)
    assert "old" in second["event"]


@pytest.mark.parametrize(("level", "seen"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_what_is_below_the_level_is_dropped_whoever_wrote_it(level: str, seen: int) -> None:
    stream = configured(level=level)

    for log in (structlog.get_logger(), logging.getLogger("library")):
        for name in ("debug", "info", "warning", "error"):
            getattr(log, name)("x")

    assert len(entries(stream)) == 2 * seen


def test_text_is_for_people() -> None:
    stream = configured(format="text")

    structlog.get_logger().info("watch.stream_opened", stream="pods")

    assert "watch.stream_opened" in stream.getvalue()
    assert "stream=pods" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize("shape", ["json", "text"])
def test_no_secret_is_written(shape: str) -> None:
    stream = configured(format=shape)
    log = structlog.get_logger()

    def fail(token: str) -> None:
        raise ValueError(len(token))

    log.info("link.opened", token="hunter2", url="http://me:hunter2@host/", redaction_key=b"hunter2")
    logging.getLogger("library").warning("to %s", "http://me:hunter2@host/")
    try:
        fail("hunter2")
    except ValueError:
        log.exception("link.failed")

    assert "hunter2" not in stream.getvalue().replace('fail("hunter2")', "")
    assert "ValueError" in stream.getvalue()


def test_a_whole_body_is_cut() -> None:
    stream = configured()

    structlog.get_logger().info("x", body="y" * 100_000)

    assert len(stream.getvalue()) < 5_000

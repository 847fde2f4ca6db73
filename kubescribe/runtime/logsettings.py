"""What can be set about the log. Apart from logs.py, so that `--help` does not pay for importing structlog."""

from dataclasses import dataclass

from kubescribe.runtime.settings import setting
from kubescribe.runtime.values import one_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """The process's own log, on stderr."""

    level: str = setting(
        "info",
        one_of("debug", "info", "warning", "error"),
        help="The least severe entries that are written.",
        why="info says what an operator cares about once; debug is for developing",
    )
    format: str = setting(
        "auto",
        one_of("auto", "json", "text"),
        help="How entries are written: JSON for machines, text for people; auto chooses text on a terminal.",
        why="in a cluster stderr is a pipe, on a laptop a terminal",
    )

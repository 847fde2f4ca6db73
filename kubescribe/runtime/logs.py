"""
The log: structlog on stderr, JSON or text, with the standard library's loggers routed into it.

An entry is an event with details as keys. Keys that name credentials lose their values here, whatever wrote them.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from kubescribe.runtime.logsettings import LogConfig
from kubescribe.runtime.values import hide_password

_SECRET_WORDS = ("password", "secret", "token", "authorization", "cookie", "credential", "redaction_key")

_MAX_TEXT = 4096
"""A detail longer than this is a whole body, which does not belong in a log."""


def configure_logs(config: LogConfig, stream: TextIO | None = None) -> None:
    """
    Send every entry of this process to *stream* (default: stderr), those below the level dropped.

    Once a process, at start, by the command; tests restore what was before with `structlog.reset_defaults`.
    """
    out = sys.stderr if stream is None else stream
    is_text = config.format == "text" or (config.format == "auto" and out.isatty())
    level = logging.getLevelNamesMapping()[config.level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False) if is_text else _iso_time(),
        structlog.processors.StackInfoRenderer(),
        *([] if is_text else [_exceptions()]),
        hide_secrets,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _text(colors=out.isatty()) if is_text else structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # asyncio tells at debug which selector it took, aiohttp's access log is off: nothing of theirs below warning helps.
    for noisy in ("asyncio", "aiohttp", "kubernetes_asyncio"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)


def hide_secrets(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of keys that name a credential, the passwords in URLs, and cut what is too long."""
    for key, value in entry.items():
        if any(word in key.lower() for word in _SECRET_WORDS) and isinstance(value, str | bytes):
            entry[key] = "***"
        elif isinstance(value, str) and key not in ("exception", "stack"):
            entry[key] = hide_password(value)[:_MAX_TEXT]
    return entry


def _text(*, colors: bool) -> structlog.typing.Processor:
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _exceptions() -> structlog.typing.Processor:
    # Local variables, which structlog adds by default, hold tokens and whole objects.
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=30)
    return structlog.processors.ExceptionRenderer(transformer)


def _iso_time() -> structlog.typing.Processor:
    return structlog.processors.TimeStamper(fmt="iso", utc=True)

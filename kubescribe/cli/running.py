"""The life of one role in this process: logs, loop, signals, and what is said when it ends with an error."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import structlog

from kubescribe.cli.roles import Role, Run
from kubescribe.runtime.errors import StartupError
from kubescribe.runtime.logs import configure_logs
from kubescribe.runtime.loops import run
from kubescribe.runtime.process import version_string
from kubescribe.runtime.signals import stopping_on_signals
from kubescribe.runtime.tasks import STOP_SECONDS

LAST_RESORT_SECONDS = STOP_SECONDS + 4.0
"""The ordered stop names what is stuck and gives up; a thread that never ends could still hold the process."""

_log = structlog.get_logger()


def run_role(role: Role, settings: Any) -> int:
    """
    Run *role* until it is told to stop, or has answered; return the exit code.

    0 for an ordered end, 2 when it cannot start, 1 for anything else. KeyboardInterrupt and BrokenPipeError come out of
    a role that answers.
    """
    configure_logs(settings.log)
    entry, told = role.entry()
    try:
        # What is read in a shell ends at Ctrl-C, and when nobody reads it any more, like any other command.
        run(entry(settings, asyncio.Event()) if role.answers else _until_stopped(role.name, entry, settings))
    except Exception as error:  # The top of the process: it is told, and becomes the exit code.
        if role.answers and isinstance(error, BrokenPipeError):
            raise
        lines = _one_liners(error, (StartupError, *told))
        if lines is None:
            _log.error("process.failed", role=role.name, exc_info=error)
            return 1
        for line in lines:
            sys.stderr.write(f"kubescribe {role.name}: {line}\n")
        return 2
    return 0


async def _until_stopped(name: str, entry: Run, settings: Any) -> None:
    stop = asyncio.Event()

    def asked(signal_name: str) -> None:
        _log.info("process.stopping", role=name, signal=signal_name)
        timer = threading.Timer(LAST_RESORT_SECONDS, _give_up)
        timer.daemon = True
        timer.start()

    with stopping_on_signals(stop, asked):
        # At debug: a role that cannot start says one line, and one that can says itself where it listens.
        _log.debug("process.started", role=name, version=version_string(), pid=os.getpid())
        await entry(settings, stop)
    _log.info("process.stopped", role=name)


def _give_up() -> None:
    stuck = [thread.name for thread in threading.enumerate() if not thread.daemon]
    sys.stderr.write(f"kubescribe: not ended {LAST_RESORT_SECONDS:g} s after it was asked; left: {', '.join(stuck)}\n")
    os._exit(1)


def _one_liners(error: Exception, told: tuple[type[Exception], ...]) -> list[str] | None:
    """Return the lines of an error, or of a group of them, if each is one that is told in a line."""
    leaves = list(_leaves(error))
    if not all(isinstance(leaf, told) for leaf in leaves):
        return None
    return list(dict.fromkeys(" ".join(str(leaf).split()) for leaf in leaves))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error

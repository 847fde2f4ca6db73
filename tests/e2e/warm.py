"""
The command in a process of its own, forked from one that has imported it already: for the many that end at once.

What is imported, and how the installed script starts, other tests show. Here a start would be a second of imports, and
what is said of a bad file nothing of that.
"""

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.e2e.processes import environment

SECONDS = 60.0

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(["agent.app", "aggregator.app", "kubescribe.cli.main", "kubescribe.cli.up"])


class Done(NamedTuple):
    """What a command printed, and its exit code."""

    code: int | None
    out: str
    err: str


def command(*words: str) -> Done:
    """Run the command until it ends; its exit code is None when it had to be killed."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _forking.Process(target=_run, args=(words, environment(), str(out), str(err)))
        process.start()
        process.join(SECONDS)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
        process.close()
        return Done(code, out.read_text(), err.read_text())


def _run(words: tuple[str, ...], variables: dict[str, str], out: str, err: str) -> None:
    from kubescribe.cli.main import main

    os.environ.clear()
    os.environ.update(variables)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    sys.exit(main(words))

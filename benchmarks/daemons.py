"""The daemons as processes, for benches and for the tests that kill them: started, killed, started again."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

START_SECONDS = 90.0
KUBESCRIBE = (sys.executable, "-m", "kubescribe.cli.main")
_POLL_SECONDS = 0.02

spawn = asyncio.create_subprocess_exec
"""How they are started; tests, which start hundreds, have a faster way (tests/nursery.py)."""


class DaemonFailed(Exception):
    """A daemon ended before it was ready, or was not ready in time; the message holds its last words."""


class Daemon:
    """
    One `kubescribe` process in *folder*.

    `ready` is the log event that says it runs; its fields are `said`. *command* comes before the role, *environ* is
    this process's own when it is None.
    """

    def __init__(
        self,
        role: str,
        folder: Path,
        options: Sequence[str],
        *,
        ready: str,
        command: Sequence[str] = KUBESCRIBE,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.role = role
        self.folder = folder
        self.options = list(options)
        self.said: dict[str, Any] = {}
        self.starts = 0
        self._ready = ready
        self._command = command
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None

    @property
    def output(self) -> Path:
        """The file with everything that the processes wrote."""
        return self.folder / f"{self.role}.log"

    @property
    def pid(self) -> int:
        """The process id. Raises DaemonFailed when it does not run."""
        if self._process is None:
            raise DaemonFailed(f"{self.role} was not started")
        return self._process.pid

    async def start(self) -> None:
        """Start, and return once it said that it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        offset = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as output:
            self._process = await spawn(
                *(*self._command, self.role, *self.options), stdout=output, stderr=output, env=self._environ
            )
        self.starts += 1
        try:
            async with asyncio.timeout(START_SECONDS):
                while not self._heard(offset):
                    if self._process.returncode is not None:
                        raise DaemonFailed(f"{self.role} ended: {self._tail()}")
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            await self.kill()
            raise DaemonFailed(f"{self.role} not ready in {START_SECONDS:g} s: {self._tail()}") from error

    async def kill(self) -> int:
        """Kill -9; return the exit code."""
        return await self._end(signal.SIGKILL)

    async def terminate(self) -> int:
        """Ask it to stop; return its exit code."""
        return await self._end(signal.SIGTERM)

    async def restart(self) -> None:
        """Kill -9, and start again."""
        await self.kill()
        await self.start()

    def suspend(self) -> None:
        """Stop it from running (SIGSTOP): it hangs, its connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def _heard(self, offset: int) -> bool:
        with self.output.open("rb") as output:
            output.seek(offset)
            for line in output:
                if self._ready.encode() in line and line.startswith(b"{") and line.endswith(b"}\n"):
                    self.said = json.loads(line)
                    return True
        return False

    def _tail(self) -> str:
        return self.output.read_text(errors="replace")[-1500:]

    async def _end(self, number: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(number)
        return await process.wait()


def port_of(url: str) -> str:
    """Return the port in *url*."""
    return url.rstrip("/").rpartition(":")[2]


def aggregator(folder: Path, *options: str) -> Daemon:
    """Return an aggregator with its journal in *folder*, not started, on free ports."""
    return Daemon(
        "aggregator",
        folder,
        [
            *("--data", str(folder / "data"), "--http", "127.0.0.1:0", "--ingest", "127.0.0.1:0"),
            *("--metrics", "127.0.0.1:0", *options),
        ],
        ready="aggregator.listening",
    )


def keep_ports(daemon: Daemon) -> None:
    """Let an aggregator that was started on free ports keep them from now on, as a Service would."""
    for option, field in (("--http", "http"), ("--ingest", "ingest"), ("--metrics", "metrics")):
        daemon.options[daemon.options.index(option) + 1] = f"127.0.0.1:{port_of(daemon.said[field])}"


def agent(folder: Path, *, kubeconfig: Path, ingest: str, options: Sequence[str] = ()) -> Daemon:
    """Return an agent with its spool in *folder*, not started."""
    return Daemon(
        "agent",
        folder,
        [
            *("--data", str(folder / "data"), "--kubeconfig", str(kubeconfig), "--aggregator", ingest),
            *("--metrics", "127.0.0.1:0", "--spool-free-floor", "0", *options),
        ],
        ready="agent.watching",
    )


@asynccontextmanager
async def running(*daemons: Daemon) -> AsyncIterator[None]:
    """End *daemons* with the block, however they were started and killed in it."""
    try:
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.resume()
            await daemon.terminate()

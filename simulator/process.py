"""A pretend cluster as a process of its own: started, killed and started again by tests and benches."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from simulator.control import Control
from simulator.errors import SimulatorError

START_SECONDS = 60.0
"""A Python start on a loaded machine takes seconds, and 4,000 pods take ten more."""

POLL_SECONDS = 0.02
spawn = asyncio.create_subprocess_exec
"""How it is started; tests, which start hundreds, have a faster way (tests/nursery.py)."""

TOKEN = "simulator-token"  # noqa: S105 - of a cluster that is not there


class SimulatorFailed(SimulatorError):
    """The process ended before it listened, or did not listen in time."""


class SimulatorProcess:
    """One pretend cluster in *folder* (its data, kubeconfig and output); the port stays the same over restarts."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.data = folder / "etcd"
        self.kubeconfig = folder / "kubeconfig"
        self.token = TOKEN
        self.url = ""
        self._options = options
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start, and return once it listens; SimulatorFailed with its last words if it does not."""
        await asyncio.to_thread(self._clear)
        with (self.folder / "output").open("ab") as output:
            self._process = await spawn(
                *(sys.executable, "-m", "simulator", "--die-with-parent"),
                *("--data", str(self.data), "--write-kubeconfig", str(self.kubeconfig), "--token", self.token),
                *("--port", self.url.rpartition(":")[2] or "0", *self._options),
                stdout=output,
                stderr=output,
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                while not self.kubeconfig.exists():
                    if self._process.returncode is not None:
                        raise SimulatorFailed(self.output[-1000:])
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            await self.kill()
            raise SimulatorFailed(f"did not listen within {START_SECONDS} s: {self.output[-1000:]}") from error
        self.url = yaml.safe_load(self.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]

    async def terminate(self) -> int:
        """Ask it to stop; return its exit code."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> int:
        """Kill -9."""
        return await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Kill -9, then start again with the same data on the same port."""
        await self.kill()
        await self.start()

    @property
    def pid(self) -> int:
        """The process id."""
        if self._process is None:
            raise SimulatorFailed("not started")
        return self._process.pid

    @property
    def output(self) -> str:
        """What it wrote to stdout and stderr so far."""
        return (self.folder / "output").read_text(errors="replace")

    @property
    def loki_url(self) -> str:
        """Where the stand-in for Loki listens; SimulatorFailed without --loki-port."""
        for line in reversed(self.output.splitlines()):
            if '"simulator.loki_started"' in line:
                return str(json.loads(line)["url"])
        raise SimulatorFailed("no stand-in for Loki: start it with --loki-port")

    def control(self) -> Control:
        """Return a client of its verbs, to be used with `async with`."""
        return Control(self.url, self.token)

    def _clear(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.kubeconfig.unlink(missing_ok=True)

    async def _end(self, number: int) -> int:
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(number)
        return await process.wait()


@asynccontextmanager
async def simulator_process(folder: Path, *options: str) -> AsyncIterator[SimulatorProcess]:
    """Run a pretend cluster for the length of a block; *options* are those of `python -m simulator`."""
    simulator = SimulatorProcess(folder, *options)
    await simulator.start()
    try:
        yield simulator
    finally:
        await simulator.terminate()

"""
Where the tests' processes of the product come from: forked from one that has imported everything, once a test process.

A start is half a second of imports otherwise, several hundred times a run. What is forked is a process as any other:
its own pid, descriptors and memory, to be stopped, killed and asked for its exit code. That the installed command and
`python -m` start, and end, as well is shown by tests/kubescribe/cli and tests/simulator/test_process.py.

Run as a module it is the process that forks; the rest of it is what tests use.
"""

import asyncio
import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).parents[1]
SIMULATOR = ("-m", "simulator")
COMMAND = ("-m", "kubescribe.cli.main")
_PRELOADED = (
    *(
        "agent.app",
        "aggregator.app",
        "simulator.app",
        "simulator.settings",
        "kubescribe.cli.roles",
        "kubescribe.cli.up",
    ),
    *("kubescribe.kube.kubeconfig", "kubescribe.gateway.gateway", "uvloop", "yaml"),
)
"""What the programs import, and not the programs, which run as `__main__`."""

_START_SECONDS = 60.0
_starting = threading.Lock()


class Child:
    """A process that was forked; to be used as a subprocess.Popen."""

    def __init__(self, pid: int, fate: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._fate = fate

    def poll(self) -> int | None:
        """Return the exit code, as Popen has it; None while it runs."""
        if self.returncode is None:
            with suppress(BlockingIOError):
                self._hear(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            try:
                self._hear(timeout)
            except TimeoutError as error:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0) from error
        assert self.returncode is not None
        return self.returncode

    def _hear(self, timeout: float | None) -> None:
        self._fate.settimeout(timeout)
        told = self._fate.recv(16)
        # Without a word: the process that forked is gone, and nobody else can tell.
        self.returncode = os.waitstatus_to_exitcode(int(told)) if told else -signal.SIGKILL
        self._fate.close()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class AsyncChild:
    """The same as an asyncio.subprocess.Process."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.pid = child.pid
        self.send_signal, self.terminate, self.kill = child.send_signal, child.terminate, child.kill

    @property
    def returncode(self) -> int | None:
        """The exit code; None while it runs."""
        return self._child.poll()

    async def wait(self) -> int:
        """Wait for its end."""
        while (code := self._child.poll()) is None:
            await asyncio.sleep(0.01)
        return code


def fork(
    words: Sequence[str | Path],
    *,
    output: IO[bytes],
    errors: IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
) -> Child:
    """
    Start what `python` with *words* would; any thread may.

    Its stdout goes to *output*, its stderr to *errors*, or there too; *env* is ours when it is None.
    """
    assert words[0] == "-m", words
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    order = {
        "words": [str(word) for word in words],
        "env": dict(os.environ if env is None else env),
        "cwd": str(Path.cwd()),
    }
    streams = [output.fileno(), (errors or output).fileno()]
    with theirs:
        with _starting:
            orders, _ = _nursery()
        socket.send_fds(orders, [json.dumps(order).encode()], [*streams, theirs.fileno()])
    pid = ours.recv(16)
    assert pid, "the process that forks is gone"
    return Child(int(pid), ours)


async def spawn(
    executable: str, *words: str | Path, stdout: IO[bytes], stderr: IO[bytes], env: Mapping[str, str] | None = None
) -> AsyncChild:
    """Do as asyncio.create_subprocess_exec does, for the product's own programs."""
    assert (executable, stdout) == (sys.executable, stderr)
    return AsyncChild(fork(words, output=stdout, env=env))


@cache
def _nursery() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the process that forks, once; it ends when this one does, which its end of the socket tells."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Their stream of errors is ours: what goes wrong before the fork is seen where pytest shows it.
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.nursery", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )
    theirs.close()
    ours.settimeout(_START_SECONDS)
    assert ours.recv(16) == b"ready"
    atexit.register(_end, ours, process)
    return ours, process


def _end(orders: socket.socket, process: subprocess.Popen[bytes]) -> None:
    orders.close()
    process.wait()


def _serve(orders: socket.socket) -> tuple[list[str], str] | None:
    """Fork for each order; return in the child its words and folder, and None in the end."""
    fates: dict[int, socket.socket] = {}
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    orders.send(b"ready")
    while True:
        ready, _, _ = select.select([orders, woken], [], [])
        if woken in ready:
            with suppress(BlockingIOError):
                os.read(woken, 4096)
            _tell_fates(fates)
        if orders not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(orders, 1 << 16, 3)
        if not message:
            return None
        *streams, fate = descriptors
        order = json.loads(message)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # Closed by number below; nothing may close these numbers again, when others have them.
            for held in (orders, *fates.values()):
                held.detach()
            _become(streams, order["env"])
            return order["words"], order["cwd"]
        for stream in streams:
            os.close(stream)
        fates[pid] = socket.socket(fileno=fate)
        fates[pid].send(str(pid).encode())


def _tell_fates(fates: dict[int, socket.socket]) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with fates.pop(pid) as fate, suppress(OSError):
                fate.send(str(status).encode())


def _become(streams: Sequence[int], env: Mapping[str, str]) -> None:
    """Make this process what a started one is: its own environment, and no descriptor but the three."""
    os.environ.clear()
    os.environ.update(env)
    for number, stream in enumerate((os.open(os.devnull, os.O_RDONLY), *streams)):
        os.dup2(stream, number)
    os.closerange(3, 4096)


def _main() -> NoReturn:
    for name in _PRELOADED:
        __import__(name)
    assert threading.active_count() == 1, "a thread would be missing in each child"
    # Each child collects garbage as it starts, and would walk, and so copy, all that was imported here.
    gc.collect()
    gc.freeze()
    orders = socket.socket(fileno=int(sys.argv[1]))
    served = _serve(orders)
    if served is None:
        raise SystemExit(0)
    words, folder = served
    os.chdir(folder)
    sys.argv = words[1:]
    runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    raise SystemExit(0)


if __name__ == "__main__":
    _main()

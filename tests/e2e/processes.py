"""
The command as processes on this machine, and what a stranger can ask of them: files, HTTP, signals.

No product code runs in the tests' own process but the wire codec, which the attackers of the link need.
"""

import ctypes
import json
import os
import re
import resource
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from simulator.control import Control
from tests import nursery
from tests.nursery import Child, fork

TOKEN = "simulator-token"
ANYWHERE = ("--http", "127.0.0.1:0", "--ingest", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
START_SECONDS = 60.0


def environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **more}


def eventually(condition: Callable[[], Any], tell: Callable[[], object] = lambda: "", seconds: float = 30.0) -> Any:
    """Wait until *condition* is true, and return what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {tell()}")
        time.sleep(0.03)
    return found


class Answer(NamedTuple):
    """What a listener answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """Return the answer, whatever its status; headers are given with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=body, method=method, headers=named)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


@dataclass
class Process:
    """One running command; `said` are the details of the log entry that told it was ready."""

    role: str
    popen: Child
    output: Path
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return self.output.read_text(errors="replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [line for line in self.log.splitlines() if f'"{name}"' in line and line.endswith("}")]
        return [entry for line in lines if (entry := json.loads(line))["event"] == name]

    def metric(self, name: str) -> float:
        """Return the sum of the samples that begin with *name*, a family or one with labels."""
        text = ask(self.said["metrics"] + "/metrics").body.decode()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{re.escape(name)}[ {{]", line)
        )

    def ready(self) -> dict[str, Any]:
        return ask(self.said["metrics"] + "/readyz").json()

    def send(self, number: int) -> None:
        self.popen.send_signal(number)

    def end(self, number: int = signal.SIGTERM, seconds: float = 25.0) -> int:
        with suppress(ProcessLookupError):
            self.popen.send_signal(signal.SIGCONT)
            self.popen.send_signal(number)
        return self.popen.wait(seconds)

    def limit_files(self, size: int) -> None:
        """Let no file of the process grow over *size* bytes: writes fail as they do on a full disk."""
        _, hard = resource.prlimit(self.popen.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.popen.pid, resource.RLIMIT_FSIZE, (size, hard))


def ended(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command until it ends by itself. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        popen = fork([*nursery.COMMAND, *words], output=out, errors=err, env=environment(**variables))
        try:
            code = popen.wait(START_SECONDS)
        finally:
            popen.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read().decode(), err.read().decode())


READY = {"aggregator": "aggregator.listening", "agent": "agent.watching", "up": "up.listening"}


@contextmanager
def running(role: str, folder: Path, *options: str, **variables: str) -> Iterator[Process]:
    """Run a role of the command, with JSON logs in *folder*, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / f"{role}.log"
    with output.open("ab") as log:
        popen = fork([*nursery.COMMAND, role, *options], output=log, env=environment(**variables))
    process = Process(role, popen, output)
    try:
        said = eventually(
            lambda: process.events(READY[role]) or popen.poll() is not None, lambda: process.log[-2000:], START_SECONDS
        )
        assert said is not True, f"{role} ended with {popen.returncode}: {process.log[-2000:]}"
        process.said = said[-1]
        yield process
    finally:
        if popen.poll() is None:
            try:
                process.end()
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()


@dataclass(frozen=True)
class Cluster:
    """A pretend cluster that runs."""

    url: str
    kubeconfig: Path

    def control(self) -> Control:
        return Control(self.url, TOKEN)


@contextmanager
def pretend_cluster(folder: Path, *options: str) -> Iterator[Cluster]:
    folder.mkdir(parents=True, exist_ok=True)
    kubeconfig = folder / "kubeconfig"
    arguments = [*nursery.SIMULATOR, "--port", "0", "--token", TOKEN, "--die-with-parent"]
    with (folder / "output").open("wb") as log:
        popen = fork(
            [*arguments, "--write-kubeconfig", str(kubeconfig), "--data", str(folder / "etcd"), *options],
            output=log,
            env=environment(),
        )
    try:
        eventually(kubeconfig.exists, (folder / "output").read_text, START_SECONDS)
        url = re.findall(r"server: (\S+)", kubeconfig.read_text())[0]
        yield Cluster(url, kubeconfig)
    finally:
        popen.terminate()
        popen.wait(20)


@dataclass
class Rig:
    """A cluster, an aggregator and an agent that reports to it."""

    cluster: Cluster
    aggregator: Process
    agent: Process
    folder: Path

    @property
    def journal(self) -> Path:
        return self.folder / "journal" / "journal.db"

    @property
    def spool(self) -> Path:
        return self.folder / "agent" / "spool"

    def get(self, path: str, **headers: str) -> Answer:
        return ask(self.aggregator.said["http"].rstrip("/") + path, **headers)

    def objects(self, query: str) -> list[dict[str, Any]]:
        return self.get(f"/api/v1/objects?{query}").json()["items"]

    def arrived(self, uid: str, resource_version: str) -> Any:
        """Wait until the journal has this version of an object; return its change."""

        def there() -> Any:
            answer = self.get(f"/api/v1/objects/{uid}/history")
            found = answer.json()["items"] if answer.status == 200 else []
            return [item for item in found if item["resourceVersion"] == resource_version]

        return eventually(there, lambda: (uid, resource_version, self.aggregator.log[-800:], self.agent.log[-800:]))[0]


@contextmanager
def rigged(
    folder: Path, *simulator: str, aggregator: tuple[str, ...] = (), agent: tuple[str, ...] = ()
) -> Iterator[Rig]:
    with (
        pretend_cluster(folder / "cluster", *simulator) as cluster,
        running("aggregator", folder, "--data", str(folder / "journal"), *ANYWHERE, *aggregator) as serving,
        running(
            "agent",
            folder,
            *("--data", str(folder / "agent"), "--kubeconfig", str(cluster.kubeconfig), "--metrics", "127.0.0.1:0"),
            *("--aggregator", serving.said["ingest"], "--spool-free-floor", "0%", *agent),
        ) as watching,
    ):
        rig = Rig(cluster, serving, watching, folder)
        eventually(
            lambda: (
                watching.metric('kubescribe_watch_streams{state="live"}') >= 30
                and rig.objects("kind=Namespace&limit=1")
            ),
            lambda: watching.log[-2000:],
        )
        yield rig


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a disk of that size on *folder*; skip where that is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount(folder, 0, f"size={size}")
    try:
        yield folder
    finally:
        ctypes.CDLL(None).umount2(os.fsencode(folder), 2)


def remount(folder: Path, how: Literal["ro", "rw"]) -> None:
    """Make a mounted disk read-only, or writable again."""
    _mount(folder, _MS_REMOUNT | (_MS_RDONLY if how == "ro" else 0), "")


_MS_RDONLY, _MS_REMOUNT = 1, 32


def _mount(folder: Path, flags: int, options: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options.encode()) != 0:
        pytest.skip(f"mounting is not permitted here: {os.strerror(ctypes.get_errno())}")

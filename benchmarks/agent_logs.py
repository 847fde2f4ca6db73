"""
`agent_logs`: how many lines of log files one core of the node agent brings to Loki.

They are found, read, parsed, named, counted, compressed, pushed, acknowledged, and their places kept on disk.

A million lines of some 220 bytes (JSON and plain, stdout and stderr) lie in ten files of ten pods; the tailer and the
sender of the agent run in a process of their own, and another one takes the pushes on loopback and answers 204. The
value is lines a CPU-second of the agent's process, user and system, threads included. The baseline is what a plain
shipper does in Python, measured beside it: a regular expression, strptime and JSON for each line, gzip for a push.
"""

import asyncio
import gzip
import json
import multiprocessing
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from agent.pods.book import PodBook
from agent.tail.naming import Naming
from agent.tail.settings import TailSettings
from agent.tail.tailer import Tailer
from benchmarks.memory import peak_bytes
from kubescribe.loki.client import open_client
from kubescribe.loki.config import LokiConfig
from kubescribe.loki.sending import LokiSender
from kubescribe.runtime.loops import run
from kubescribe.wire.records import Change, Gap
from kubescribe.wire.times import to_rfc3339

LINES = 1_000_000
FILES = 10
ROUNDS = 3
BASELINE_LINES = 40_000
PATIENCE_SECONDS = 100.0

_SECOND = 1_000_000_000
_BOUNDARY = b"\r\n\r\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def uid_of(number: int) -> str:
    """Return the uid of a pod."""
    return f"2f5a3c1e-8f7d-4b6a-9c0d-{number:012d}"


def name_of(number: int) -> str:
    """Return the name of a pod."""
    return f"checkout-7d9f8c6b5-x2x{number:02d}"


def write_files(folder: Path, lines: int) -> None:
    """Write *lines* to FILES files, each of a pod of its own, the last ones a moment ago."""
    draw = random.Random(4)
    now = time.time_ns()
    for number in range(FILES):
        count = lines // FILES
        path = folder / f"shop_{name_of(number)}_{uid_of(number)}" / "app" / "0.log"
        path.parent.mkdir(parents=True)
        at = now - 60 * _SECOND
        step = 60 * _SECOND // count
        with path.open("w") as file:
            for line in range(count):
                at += draw.randrange(1, step)
                stream = "stderr" if draw.random() < 0.1 else "stdout"
                file.write(f"{_stamp(at)} {stream} F {_text(draw, line, is_json=number % 2 == 0)}\n")


def _stamp(at: int) -> str:
    # As containerd does: no zeros at the end of the fraction.
    return to_rfc3339(at)[:-1].rstrip("0").rstrip(".") + "Z"


def _text(draw: random.Random, number: int, *, is_json: bool) -> str:
    level = draw.choice(("INFO", "INFO", "INFO", "INFO", "WARN", "ERROR", "DEBUG"))
    path = "/".join(draw.choice(("api", "cart", "user", "order", "item")) for _ in range(5))
    tail = f"{draw.getrandbits(256):064x}{'.' * draw.randrange(60)}"
    if is_json:
        fields = f'"logger":"shop","seq":{number},"path":"/{path}","ms":{number % 977},"id":"{tail}"'
        return f'{{"level":"{level.lower()}",{fields}}}'
    return f"{level} [shop] handled request {number} of /{path} in {number % 977} ms id={tail}"


def book() -> PodBook:
    """Return what is known of the pods."""
    book = PodBook(now_ns=time.time_ns)
    for number in range(FILES):
        meta = {
            "name": name_of(number),
            "namespace": "shop",
            "uid": uid_of(number),
            "labels": {"app": "checkout", "pod-template-hash": "7d9f8c6b5"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "checkout-7d9f8c6b5", "controller": True}],
        }
        spec = {"nodeName": "node-0", "containers": [{"name": "app", "image": "registry.example/shop/checkout:1.2.3"}]}
        body = json.dumps({"metadata": meta, "spec": spec}).encode()
        book.observe(
            Change(
                stream="pods",
                term=1,
                kind="Pod",
                name=name_of(number),
                namespace="shop",
                uid=uid_of(number),
                resource_version=1,
                observed_at=1,
                node="node-0",
                body=body,
            )
        )
    book.welcome({"node-0": "zone-a"})
    return book


async def tail(folder: Path, state: Path, url: str, lines: int) -> None:
    """Bring *lines* of *folder* to Loki at *url*, and print what that took."""

    async def report(gaps: Sequence[Gap]) -> None:
        raise RuntimeError(f"lines were lost: {gaps}")

    begun, started = time.process_time(), time.perf_counter()
    async with open_client(LokiConfig(url=url), version="bench") as client:
        sender = LokiSender(client)
        naming = Naming(pods=book(), cluster="bench", node="node-0")
        tailer = Tailer(TailSettings(folder=folder, state=state), naming, sender, report)
        running = [asyncio.create_task(sender.run()), asyncio.create_task(tailer.run())]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sender.numbers.sent_entries < lines:
                await asyncio.sleep(0.02)
                for task in running:
                    if task.done():
                        task.result()
        await tailer.stop()
        await running[1]
        seconds, elapsed = time.process_time() - begun, time.perf_counter() - started
        await sender.stop()
        await running[0]
    counted = tailer.counts.read_lines
    if not sender.numbers.sent_entries == counted == lines or tailer.counts.unlabelled_lines:
        raise RuntimeError(f"{lines} lines were written, {counted} counted, {sender.numbers.sent_entries} taken")
    print(
        json.dumps(
            {"cpu": seconds, "elapsed": elapsed, "peak": peak_bytes(os.getpid()), "sent": sender.numbers.sent_bytes}
        )
    )


async def _take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every push on a connection with 204."""
    try:
        while True:
            head = await reader.readuntil(_BOUNDARY)
            found = _LENGTH.search(head)
            await reader.readexactly(int(found[1]) if found else 0)
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _sink(ports: "multiprocessing.SimpleQueue[int]") -> None:
    async def serve() -> None:
        server = await asyncio.start_server(_take, "127.0.0.1", 0, limit=2**22)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


@contextmanager
def sink() -> Iterator[str]:
    """Yield the address of what stands for Loki, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ports: multiprocessing.SimpleQueue[int] = context.SimpleQueue()
    process = context.Process(target=_sink, args=(ports,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get()}"
    finally:
        process.kill()
        process.join()


_PLAIN = re.compile(r"^(\S+?)(\.\d+)?Z (stdout|stderr) ([FP]) (.*)$")


def plain_lines_per_second(folder: Path) -> float:
    """Return what a plain shipper does a CPU-second."""
    path = next(folder.glob("*/app/0.log"))
    begun = time.process_time()
    values = []
    with path.open() as file:
        for _, line in zip(range(BASELINE_LINES), file, strict=False):
            match = _PLAIN.match(line)
            if match is None:
                raise RuntimeError(line)
            at = datetime.strptime(match[1] + "+0000", "%Y-%m-%dT%H:%M:%S%z")
            stamp = f"{int(at.timestamp())}{(match[2] or '.')[1:]:0<9}"
            values.append([stamp, match[5], {"pod": name_of(0), "node": "node-0"}])
    push = {"streams": [{"stream": {"app": "checkout"}, "values": values}]}
    gzip.compress(json.dumps(push).encode(), 1)
    return len(values) / (time.process_time() - begun)


def main() -> None:
    """Print the result."""
    with tempfile.TemporaryDirectory() as name, sink() as url:
        folder = Path(name) / "pods"
        folder.mkdir()
        write_files(folder, LINES)
        rounds = []
        for number in range(ROUNDS):
            arguments = [sys.executable, "-m", "benchmarks.agent_logs", str(folder), f"{name}/state-{number}", url]
            rounds.append(json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout))
        baseline = plain_lines_per_second(folder)
    rounds.sort(key=lambda each: float(each["cpu"]))
    best, middle = rounds[0], rounds[ROUNDS // 2]
    print(
        f"agent_logs: {LINES} lines in {FILES} files: {middle['cpu']:.2f} CPU seconds ({best['cpu']:.2f} at best),"
        f" at most {max(each['peak'] for each in rounds) / 1e6:.0f} MB, {middle['sent'] / LINES:.0f} bytes a line sent",
        file=sys.stderr,
    )
    value = LINES / middle["cpu"]
    result = {"name": "agent_logs", "value": round(value), "unit": "lines/s", "baseline": round(baseline)}
    print(json.dumps({**result, "ratio": round(value / baseline, 2)}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(tail(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], LINES))
    else:
        main()

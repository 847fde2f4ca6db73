"""A node's log files as the kubelet lays them out, and questions about them."""

import gzip
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.lines.answering import LineReader
from kubescribe.lines.scrubbing import Scrubber
from kubescribe.wire.codec import decode_lines, encode_line_query
from kubescribe.wire.link import Line, LinePod, LineQuery, Lines
from kubescribe.wire.times import to_rfc3339

START = 1_767_323_045_000_000_000
SECOND = 10**9
UID = "2f5a3c1e-8f7d-4b6a-9c0d-1e2f3a4b5c6d"


def cri(at: int, text: str, *, stream: str = "stdout", tag: str = "F") -> bytes:
    return f"{to_rfc3339(at)} {stream} {tag} {text}\n".encode()


@dataclass
class Container:
    """The files of one container; `at` seconds are counted from START."""

    folder: Path
    restart: int = 0
    rotations: int = 0

    @property
    def live(self) -> Path:
        return self.folder / f"{self.restart}.log"

    def write(self, at: float, text: str, *, stream: str = "stdout", tag: str = "F") -> None:
        with self.live.open("ab") as file:
            file.write(cri(START + int(at * SECOND), text, stream=stream, tag=tag))

    def fill(self, first: int, count: int, text: str = "line") -> None:
        with self.live.open("ab") as file:
            file.write(b"".join(cri(START + n * SECOND, f"{text} {n}") for n in range(first, first + count)))

    def rotate(self, *, compress: bool = True) -> None:
        """Rotate as the kubelet does: what was rotated before is compressed now."""
        if compress:
            for path in self.folder.glob(f"{self.restart}.log.*[0-9]"):
                path.with_suffix(path.suffix + ".gz").write_bytes(gzip.compress(path.read_bytes()))
                path.unlink()
        self.rotations += 1
        self.live.rename(f"{self.live}.20260102-{self.rotations:06d}")

    def start_again(self) -> None:
        self.restart += 1


@dataclass
class Node:
    """A node's folder of logs, and a reader of it."""

    folder: Path
    reader: LineReader
    pods: list[LinePod] = field(default_factory=list)

    def container(self, pod: str = "checkout-1", name: str = "app", namespace: str = "shop") -> Container:
        folder = self.folder / f"{namespace}_{pod}_{UID}" / name
        folder.mkdir(parents=True)
        known = LinePod(namespace=namespace, name=pod, uid=UID)
        if known not in self.pods:
            self.pods.append(known)
        return Container(folder)

    def query(self, **asked: object) -> LineQuery:
        asked.setdefault("pods", tuple(self.pods))
        return LineQuery(**asked)  # type: ignore[arg-type]

    async def payloads(self, **asked: object) -> AsyncIterator[Lines]:
        answer = self.reader.handle(encode_line_query(self.query(**asked)))
        try:
            async for payload in answer:
                yield decode_lines(payload)
        finally:
            await answer.aclose()

    async def ask(self, **asked: object) -> tuple[list[Line], list[str]]:
        lines: list[Line] = []
        missing: list[str] = []
        async for payload in self.payloads(**asked):
            lines += payload.lines
            missing += payload.missing
        return lines, missing

    async def texts(self, **asked: object) -> list[str]:
        return [line.text for line in (await self.ask(**asked))[0]]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    before = len(list(Path("/proc/self/fd").iterdir()))
    node = Node(tmp_path / "pods", LineReader(tmp_path / "pods", Scrubber()))
    node.folder.mkdir()
    yield node
    node.reader.close()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before, "files were left open"

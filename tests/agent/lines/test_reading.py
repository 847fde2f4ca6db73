"""Reading backwards gives what reading forwards would, wherever the blocks and the generations end."""

import gzip
import tempfile
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.lines import reading
from agent.lines.joining import Entry, Joiner
from agent.lines.reading import BackwardReader
from agent.tail.generations import list_generations
from agent.tail.paths import Instance
from tests.agent.lines.conftest import SECOND, START, cri

INSTANCE = Instance("shop", "checkout", "2f5a3c1e-8f7d-4b6a-9c0d-1e2f3a4b5c6d", "app", 0)
LINE = st.tuples(st.sampled_from(("stdout", "stderr")), st.sampled_from("FFFP"), st.integers(0, 80))


def forward(data: bytes) -> list[Entry]:
    joiner = Joiner()
    return [*joiner.feed(data.split(b"\n")[:-1]), *joiner.rest()]


@settings(deadline=None, max_examples=60)
@given(
    lines=st.lists(LINE, min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 59), max_size=3),
    block=st.integers(60, 700),
    packed=st.booleans(),
)
def test_backwards_is_forwards(lines: list[tuple[str, str, int]], cuts: list[int], block: int, packed: bool) -> None:
    written = [
        cri(START + at * SECOND, f"{at} " + "x" * size, stream=stream, tag=tag)
        for at, (stream, tag, size) in enumerate(lines)
    ]
    places = [0, *sorted({cut for cut in cuts if cut < len(lines)}), len(lines)]
    with tempfile.TemporaryDirectory() as root, patch.object(reading, "BLOCK_BYTES", block):
        folder = Path(root) / INSTANCE.folder
        folder.mkdir(parents=True)
        for number, (start, end) in enumerate(pairwise(places)):
            data = b"".join(written[start:end])
            is_live = end == len(lines)
            name = "0.log" if is_live else f"0.log.20260102-{number:06d}"
            if packed and not is_live:
                (folder / f"{name}.gz").write_bytes(gzip.compress(data))
            else:
                (folder / name).write_bytes(data)
        reader = BackwardReader(list_generations(Path(root), INSTANCE), since=0, until=0, is_whole=False)
        found: list[Entry] = []
        bounds = []
        while reader.step(found.append):
            bounds.append(reader.bound)

    assert sorted(found) == sorted(forward(b"".join(written)))
    assert bounds == sorted(bounds, reverse=True)

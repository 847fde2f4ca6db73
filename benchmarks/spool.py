"""
How many records a second go through the spool: put, compressed, framed, on disk, read back and acknowledged.

Two thousand pods change in turn, so that few versions of one pod share a frame: the worst case for compression. The
baseline appends the same encoded records, uncompressed and unframed, to a plain file and reads them back. On stderr:
what a record takes on disk, and what 15 minutes without an aggregator take at 2,000 changes a second.
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

from agent.spool.marks import StreamMark
from agent.spool.spool import Spool
from benchmarks.pod_lives import another_life
from kubescribe.runtime.room import Room
from kubescribe.wire.codec import encode_record
from kubescribe.wire.records import Change

_RECORDS = 100_000
_LIVING = 2_000
_AWAY_RECORDS = 15 * 60 * 2_000
_STREAM = "pods"


def changes(amount: int) -> list[Change]:
    """Return *amount* versions of pods, each time of a random one of those that live."""
    rng = random.Random(7)
    versions = count(1_000_000)
    living = [another_life(rng) for _ in range(_LIVING)]
    at = [0] * _LIVING
    made: list[Change] = []
    while len(made) < amount:
        slot = rng.randrange(_LIVING)
        uid, name, life = living[slot]
        body = life[at[slot]]
        at[slot] += 1
        if at[slot] == len(life):
            living[slot], at[slot] = another_life(rng), 0
        version = next(versions)
        made.append(
            Change(
                stream=_STREAM,
                term=1,
                kind="Pod",
                namespace="shop",
                name=name,
                uid=uid,
                resource_version=version,
                observed_at=1_790_000_000_000_000_000 + version,
                body=body,
            )
        )
    return made


async def through_the_spool(folder: Path, records: list[Change]) -> tuple[float, int]:
    """Return the seconds that *records* take to be put, read back and acknowledged, and their bytes on disk."""
    async with await Spool.open(folder, agent="bench", room=lambda _: Room(1.0, 1.0)) as spool:
        started = time.perf_counter()
        for record in records:
            await spool.put([record], StreamMark(stream=_STREAM, resource_version=record.resource_version))
        await spool.flush()
        size = spool.stats().bytes
        after = read = 0
        while after < spool.last_n:
            frames = await spool.read_after(after)
            after = frames[-1].n
            read += sum(frame.count for frame in frames)
            await spool.acknowledge(after)
        seconds = time.perf_counter() - started
    if read != len(records):
        raise RuntimeError(f"{len(records)} records were put and {read} read")
    return seconds, size


def through_a_file(path: Path, records: list[Change]) -> float:
    """Return the seconds that the same records take to be appended to a plain file and read back."""
    started = time.perf_counter()
    with path.open("wb", buffering=2**20) as file:
        for record in records:
            file.write(encode_record(record))
    path.read_bytes()
    return time.perf_counter() - started


def main() -> None:
    """Print the result."""
    records = changes(_RECORDS)
    with tempfile.TemporaryDirectory() as name:
        seconds, size = asyncio.run(through_the_spool(Path(name) / "spool", records))
        baseline = _RECORDS / through_a_file(Path(name) / "plain", records)
    each = size / _RECORDS
    away = each * _AWAY_RECORDS / 2**20
    print(f"spool: {each:.0f} bytes a record on disk, {away:.0f} MiB for 15 minutes at 2,000/s", file=sys.stderr)
    value = _RECORDS / seconds
    result = {"name": "spool", "value": round(value), "unit": "records/s", "baseline": round(baseline)}
    print(json.dumps({**result, "ratio": round(value / baseline, 2)}))


if __name__ == "__main__":
    main()

"""The spool's folder after kill -9 at any moment: a writer process is killed again and again, and the rest checked."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.spool.disk import Disk
from agent.spool.folder import Folder
from agent.spool.frames import Frame, FrameHead
from agent.spool.intake import Intake
from agent.spool.ledger import Span
from agent.spool.limits import SpoolLimits
from agent.spool.marks import StreamMark
from agent.spool.segments import SegmentStore
from kubescribe.runtime.room import Room
from kubescribe.wire.codec import decode_records
from kubescribe.wire.records import Change, Gap

# Puts versions one after the other, says what is on disk, and acknowledges a part: so segments come and go.
WRITER = """
import asyncio, sys
from pathlib import Path
from agent.spool.limits import SpoolLimits
from kubescribe.runtime.room import Room
from agent.spool.marks import StreamMark
from agent.spool.spool import Spool
from kubescribe.wire.records import Change

async def main():
    limits = SpoolLimits(segment_bytes=4096, linger_seconds=0, idle_linger_seconds=0)
    options = {"limits": limits, "room": lambda _: Room(1, 1), "boot": "b"}
    async with await Spool.open(Path(sys.argv[1]), agent="a", **options) as spool:
        mark = spool.marks().get("nodes")
        version = mark.resource_version if mark else 0
        print("open", spool.last_n, version, flush=True)
        while True:
            version += 1
            change = Change(stream="nodes", term=1, kind="Node", name="n", uid="u", resource_version=version,
                            observed_at=version, body=b"x" * 300)
            await spool.put([change], StreamMark(stream="nodes", resource_version=version, seen_at=version))
            await spool.flush()
            print("put", spool.last_n, version, flush=True)
            if version % 20 == 0:
                acknowledged = spool.last_n - 5
                print("ack", acknowledged, version, flush=True)
                await spool.acknowledge(acknowledged)

asyncio.run(main())
"""


def run_and_kill(folder, seconds):
    """Run a writer, kill it, and return what it said."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        text=True,
    )
    lines = [process.stdout.readline()]
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    return [
        (what, int(n), int(version)) for what, n, version in (line.split() for line in lines if line.endswith("\n"))
    ]


def loaded(folder, limits=None):
    held = Folder.hold(folder)
    store = SegmentStore(held, limits or SpoolLimits(), clock=lambda: 1, room=lambda _: Room(1, 1))
    store.load()
    return held, store


def frames_of(store, after=0):
    found = []
    while frames := store.read(after, 2**20):
        found += frames
        after = frames[-1].n
    return found


def test_after_kill_9_at_any_moment_nothing_unacknowledged_is_lost_and_no_number_comes_twice(tmp_path):
    folder = tmp_path / "s"
    draw = random.Random(3)
    versions = {}
    acknowledged = 0
    for _ in range(4):
        said = run_and_kill(folder, draw.uniform(0.0, 0.12))
        written = [(n, version) for what, n, version in said if what == "put"]
        for n, version in written:
            assert versions.setdefault(n, version) == version, "a number was given out twice"
        acknowledged = max([acknowledged, *(n for what, n, _ in said if what == "ack")])
        held, store = loaded(folder)
        frames = frames_of(store, acknowledged)
        held.release()
        for frame in frames:
            [change] = decode_records(frame.batch)
            assert versions.setdefault(frame.n, change.resource_version) == change.resource_version
        last = max(versions)
        assert [frame.n for frame in frames] == list(range(acknowledged + 1, last + 1))
        assert store.marks["nodes"].resource_version == versions[last]
        assert not store.settling

    # Each version was written once: the mark and the data lie in one frame.
    assert [versions[n] for n in sorted(versions)] == list(range(1, len(versions) + 1))


def frame(n):
    mark = StreamMark(stream="nodes", resource_version=n)
    head = FrameHead(spans=(Span(stream="nodes", count=1, first_at=n, last_at=n, needs_snapshot=True),), marks=(mark,))
    return Frame(n=n, count=1, head=head, batch=b"b" * 100)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_folder_cut_or_damaged_anywhere_opens_and_tells_every_hole(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("spool")
    limits = SpoolLimits(segment_bytes=4096)
    held, store = loaded(folder, limits)
    for n in range(1, 61):
        store.append(frame(n))
    store.close()
    held.release()
    files = sorted(folder.glob("*.seg"))
    victim = data.draw(st.sampled_from(files))
    content = bytearray(victim.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[at:]
    victim.write_bytes(content)

    held, store = loaded(folder, limits)
    numbers = [one.n for one in frames_of(store)]
    store.append(frame(store.last_n + 1))
    held.release()

    missing = set(range(1, 61)) - set(numbers)
    assert numbers == sorted(set(numbers))
    if victim == files[-1]:
        assert numbers == list(range(1, len(numbers) + 1))
    else:
        assert store.settling == bool(missing)
    assert store.marks["nodes"].resource_version == store.last_n


def test_settling_that_dies_before_the_ledger_is_cleared_tells_the_same_gap_again(tmp_path):
    limits = SpoolLimits(segment_bytes=4096, max_bytes=12_000)

    def disk():
        return Disk.open(tmp_path / "s", limits, agent="a", clock=lambda: 1, room=lambda _: Room(1, 1), boot="boot-1")

    one = disk()
    for version in range(1, 60):
        intake = Intake()
        body = random.Random(version).randbytes(500)
        change = Change(
            stream="nodes", term=1, kind="Node", name="n", uid="u", resource_version=version, observed_at=9, body=body
        )
        intake.add([change], StreamMark(stream="nodes", resource_version=version))
        one.append(intake.take(2**20, 100))
    one.store.clear_ledger = lambda: None  # dies here
    first, relist = one.settle()
    one.close()
    again = disk()
    second, _ = again.settle()
    again.close()

    assert relist == ("nodes",)
    [told] = [record for one in first for record in decode_records(one.batch)]
    [repeated] = [record for one in second for record in decode_records(one.batch)]
    assert isinstance(told, Gap)
    assert told.id == repeated.id

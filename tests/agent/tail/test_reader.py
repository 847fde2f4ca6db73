"""One instance's files, read once each line: rotation, compression, restarts of the agent, cuts from within."""

import itertools
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.tail.joining import Place
from agent.tail.losing import Lost
from agent.tail.opening import open_files, open_live
from agent.tail.paths import Instance
from agent.tail.reader import Reader
from kubescribe.labels.enriching import Enrichment
from kubescribe.loki.encoding import encode_stream, spans_of
from kubescribe.wire.times import from_rfc3339
from simulator.logs.rotating import Rotation
from simulator.logs.writer import ContainerLog, LogOf
from simulator.loki.schema import PushRequest

NAMES = Enrichment(labels={"namespace": "shop", "workload": "web"}, metadata={"pod": "web-0"})
OF = LogOf(namespace="shop", pod="web-0", uid="2f5a3c1e-8f7d-4b6a-9c0d-1e2f3a4b5c6d", container="app")
INSTANCE = Instance("shop", "web-0", OF.uid, "app", 0)
BEGUN = from_rfc3339("2026-01-02T03:04:05Z")


class Bench:
    """A container that writes, and an agent that reads it; the agent can crash and go on from any place it had."""

    def __init__(self, root: Path, *, max_files: int = 50, since: int = 0, seconds_between_rotations: int = 0) -> None:
        self.root = root
        self.seconds = itertools.count()
        self.now = BEGUN
        self.log = ContainerLog(root, OF, rotation=Rotation(max_files=max_files), now_ns=self.tick)
        self.since = since
        self.seconds_between_rotations = seconds_between_rotations
        self.written: dict[str, int] = {}
        self.entries: dict[tuple[str, bytes], tuple[int, str]] = {}
        self.places: list[Place | None] = [None]
        self.lost: list[Lost] = []
        self.clock = 0.0
        self.reader = self.begin(None)

    def tick(self) -> int:
        self.now += 1_000_003
        return self.now

    def begin(self, resume: Place | None) -> Reader:
        reader = Reader(
            self.root, INSTANCE, resume=resume, since=self.since, now_ns=lambda: self.now, monotonic=lambda: self.clock
        )
        reader.name(NAMES, first_at=1)
        return reader

    def rotate(self, between: Callable[[], None] | None = None) -> None:
        if self.seconds_between_rotations and not self.log.size:
            # The kubelet rotates what is large.
            return
        self.now += self.seconds_between_rotations * 10**9
        self.log.rotate(between)

    def write(self, count: int, stream: str = "stdout", *, size: int = 20, ended: bool = True) -> None:
        lines = [f"n={len(self.written) + number} ".ljust(size, "x") for number in range(count)]
        before = self.now
        self.log.write(lines, stream, ended=ended)
        self.written |= dict.fromkeys(lines, before)

    def look(self) -> None:
        self.reader.look()
        if self.places == [None] and self.reader.begins is not None:
            self.places = [self.reader.begins]

    def read(self, times: int = 1_000) -> None:
        self.look()
        for _ in range(times):
            reading = self.reader.read()
            if reading is None:
                return
            self.lost += reading.lost
            self.places.append(reading.place)
            for push in reading.pushes:
                for start, end in spans_of(push.entries):
                    entry = push.entries[start:end]
                    (stream,) = PushRequest.FromString(encode_stream(push.labels, entry)).streams
                    stamp = stream.entries[0].timestamp
                    self.entries[push.labels, entry] = (
                        stamp.seconds * 10**9 + stamp.nanos,
                        stream.entries[0].line,
                    )

    def crash(self, at: int) -> None:
        self.reader.close()
        self.places = self.places[: at % len(self.places) + 1]
        self.reader = self.begin(self.places[-1])

    def end(self) -> None:
        self.reader.has_ended = True
        self.read()
        # Of what never had a file nobody ever asks.
        self.lost += self.reader.give_up() if self.written else []
        self.reader.close()
        self.log.close()

    @property
    def lines(self) -> list[str]:
        return [line for _, line in sorted(self.entries.values())]


@contextmanager
def no_more_files() -> Iterator[None]:
    """As it is when all descriptors are taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 5), st.sampled_from(["stdout", "stderr"])),
    st.tuples(st.just("long"), st.just(1), st.sampled_from(["stdout", "stderr"])),
    st.tuples(st.just("rotate"), st.just(0), st.just("")),
    st.tuples(st.just("between"), st.integers(1, 3), st.just("stdout")),
    st.tuples(st.just("read"), st.integers(1, 3), st.just("")),
    st.tuples(st.just("crash"), st.integers(0, 50), st.just("")),
    st.tuples(st.just("look"), st.just(0), st.just("")),
)


def live(bench: Bench, steps: list[tuple[str, int, str]], *, must_look: bool = False) -> None:
    actions: dict[str, Callable[[int, str], object]] = {
        "write": bench.write,
        "long": lambda count, stream: bench.write(count, stream, size=40_000),
        "rotate": lambda *_: bench.rotate(),
        "between": lambda count, stream: bench.rotate(lambda: bench.write(count, stream)),
        "read": lambda times, _: bench.read(times),
        "crash": lambda at, _: bench.crash(at),
        "look": lambda *_: bench.look(),
    }
    for name, number, stream in steps:
        actions[name](number, stream)
        if must_look:
            bench.look()
    bench.end()


# The inode of the file that is written was that of an older one, seen before.
@example([("long", 1, "stdout"), ("rotate", 0, ""), ("read", 1, ""), ("rotate", 0, ""), ("between", 1, "stdout")])
@settings(max_examples=60)
@given(st.lists(STEPS, max_size=25))
def test_every_line_is_read_once_through_rotations_and_crashes(steps: list[tuple[str, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))

        live(bench, steps)

    # Equal entries are one to Loki: what was read again after a crash was the same, byte for byte.
    assert sorted(bench.lines) == sorted(bench.written)
    assert bench.lost == []


@settings(max_examples=40)
@given(st.lists(STEPS, max_size=25))
def test_what_was_rotated_away_unread_lies_in_a_gap(steps: list[tuple[str, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), max_files=3)

        live(bench, steps, must_look=True)

    assert_missing_lines_lie_in_gaps(bench)


def assert_missing_lines_lie_in_gaps(bench: Bench) -> None:
    missing = set(bench.written) - set(bench.lines)
    assert len(bench.lines) == len(set(bench.lines))
    for line in missing:
        at = bench.written[line]
        # A line's time is a tick or more after `written`; a long one has three parts.
        assert any(lost.start <= at + 4_000_012 and at <= lost.end for lost in bench.lost), (line, at, bench.lost)


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=25))
@example([("rotate", 0, ""), ("write", 1, "stdout")] * 4)
def test_what_was_rotated_twice_between_two_looks_lies_in_a_gap(steps: list[tuple[str, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), max_files=3, seconds_between_rotations=4)
        bench.write(1)
        bench.look()

        live(bench, steps)

    assert_missing_lines_lie_in_gaps(bench)


def test_a_busy_container_that_was_rotated_as_often_as_it_has_files_has_lost_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_files=3)
    bench.write(1)
    bench.look()
    for _ in range(3):
        bench.now += 10 * 10**9
        bench.write(1)
        bench.log.rotate()
        bench.write(1)

    bench.end()

    assert (bench.lost, bench.lines) == ([], list(bench.written))


def test_a_file_that_cannot_be_opened_for_now_is_not_passed_over(bench: Bench) -> None:
    for _ in range(3):
        bench.write(1)
        bench.log.rotate()
    bench.write(1)
    with no_more_files():
        with pytest.raises(OSError, match="Too many open files"):
            bench.reader.look()
        assert bench.reader.begins is None
    bench.look()
    with no_more_files(), pytest.raises(OSError, match="Too many open files"):
        bench.read()

    bench.end()

    assert (bench.lost, bench.lines) == ([], list(bench.written))


def test_a_deleted_file_is_read_to_its_end(bench: Bench) -> None:
    bench.write(3)
    bench.reader.look()
    bench.log.remove()

    look = bench.reader.look()
    bench.end()

    assert look.is_gone
    assert look.held
    assert bench.lines == list(bench.written)
    assert bench.lost == []


def test_the_last_line_of_a_killed_process_goes_out_without_its_end(bench: Bench) -> None:
    bench.write(1)
    bench.write(1, ended=False)
    bench.read()
    assert len(bench.lines) == 1

    bench.clock += 31
    bench.read()

    assert bench.lines == list(bench.written)
    bench.end()


def test_a_place_never_lies_between_a_part_and_its_end(bench: Bench) -> None:
    bench.write(1)
    bench.write(1, ended=False)
    bench.read()
    place = bench.places[-1]
    assert place is not None
    bench.log.rotate()
    bench.log.write(["the end"])
    bench.read()
    bench.crash(bench.places.index(place))

    bench.end()

    assert [line.endswith("the end") for line in bench.lines] == [False, True]


def test_a_file_that_was_cut_from_within_is_read_from_its_beginning_and_told(bench: Bench) -> None:
    bench.write(2)
    bench.read()
    os.truncate(bench.log.path, 0)
    bench.write(1)

    bench.end()

    assert bench.lines == list(bench.written)
    assert [lost.cause for lost in bench.lost] == ["logTruncated"]


def test_lines_that_are_too_old_at_the_first_start_are_left_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(2)
    bench.log.rotate()
    bench.write(2)
    since = bench.now + 1
    bench.write(2)
    late = Bench(tmp_path, since=since)

    late.end()

    assert late.lines == list(bench.written)[4:]
    assert late.lost == []
    bench.end()


def test_a_file_in_no_known_format_ends_nothing(bench: Bench) -> None:
    bench.log.write_raw(b"".join(b"%08d" % number for number in range(375_000)) + b"\n")
    bench.write(1)

    bench.end()

    assert bench.lines[-1] == next(iter(bench.written))
    assert sum(map(len, bench.lines[:-1])) == 3_000_000


def test_a_damaged_compressed_file_is_told_and_passed_over(bench: Bench) -> None:
    bench.write(200, size=2000)
    bench.log.rotate()
    bench.log.rotate()
    bench.write(1)
    (packed,) = bench.log.path.parent.glob("*.gz")
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 0xFF
    packed.write_bytes(data)

    bench.end()

    assert bench.lines[-1] == list(bench.written)[-1]
    assert "logUnreadable" in [lost.cause for lost in bench.lost]


def test_what_an_agent_that_was_away_missed_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_files=2)
    bench.write(2)
    bench.read()
    bench.reader.close()
    for _ in range(3):
        bench.write(1)
        bench.log.rotate()
    bench.write(1)
    bench.reader = bench.begin(bench.places[-1])

    bench.end()

    (lost,) = bench.lost
    assert lost.cause == "logRotated"
    assert lost.size is None
    assert bench.lines[-1] == list(bench.written)[-1]


def test_an_instance_that_vanished_while_the_agent_was_away_is_told(bench: Bench) -> None:
    bench.write(2)
    bench.read()
    bench.crash(len(bench.places) - 1)
    bench.log.remove()

    assert bench.reader.look().is_gone
    bench.end()

    assert [lost.cause for lost in bench.lost] == ["logDeleted"]


HANDED = st.sampled_from(["write", "rotate", "rotate", "look", "read"])


@settings(max_examples=40)
@given(st.lists(HANDED, max_size=15))
def test_what_was_opened_when_it_was_found_is_read_or_told_whatever_becomes_of_its_name(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), max_files=2)
        place = bench.log.path.parent
        bench.write(1)
        for opened in open_files(place, {0}, 1024).opened:
            bench.reader.hold(opened)
        for step in steps:
            if step == "write":
                bench.write(2)
            elif step == "rotate":
                bench.log.rotate()
                for opened in open_live(place, {0}, 1024).opened:
                    bench.reader.hold(opened)
                bench.write(1)
            elif step == "look":
                bench.look()
            else:
                bench.read(1)
        bench.log.remove()
        while not bench.reader.look().is_gone:
            bench.read()
        bench.end()

    assert_missing_lines_lie_in_gaps(bench)
    if "look" not in steps and "read" not in steps:
        assert bench.lost == []
        assert sorted(bench.lines) == sorted(bench.written)


def test_a_file_without_a_line_is_lost_with_its_bytes_and_an_empty_one_is_not(tmp_path: Path) -> None:
    for number, text in enumerate([b"", b"2026-01-02T03:0"]):
        bench = Bench(tmp_path / str(number))
        bench.log.write_raw(text)
        for opened in open_files(bench.log.path.parent, {0}, 1024).opened:
            bench.reader.hold(opened)
        bench.log.remove()

        assert bench.reader.look().is_gone
        assert [lost.size for lost in bench.reader.give_up()] == ([len(text)] if text else [])
        bench.reader.close()


def test_a_deleted_file_that_is_held_too_long_is_let_go_and_told(bench: Bench) -> None:
    bench.write(3)
    for opened in open_files(bench.log.path.parent, {0}, 1024).opened:
        bench.reader.hold(opened)
    size = bench.log.size
    bench.log.remove()
    assert bench.reader.look().held >= size

    bench.reader.let_go()
    bench.end()

    assert [(lost.cause, lost.size) for lost in bench.lost] == [("logRotated", size)]
    assert bench.lines == []


def test_a_deleted_file_that_was_read_before_is_not_kept_on_disk(bench: Bench) -> None:
    bench.write(3)
    bench.log.rotate()
    bench.write(3)
    bench.read()
    bench.crash(len(bench.places) - 1)
    opened = open_files(bench.log.path.parent, {0}, 1024).opened
    for each in opened:
        bench.reader.hold(each)
    (rotated,) = bench.log.path.parent.glob("0.log.*")
    rotated.unlink()

    bench.look()
    bench.look()

    assert bench.reader.look().held == 0
    bench.end()
    assert (bench.lost, len(bench.lines)) == ([], 6)


def test_however_many_files_were_rotated_away_unread_they_are_one_loss(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_files=2)
    bench.write(1)
    bench.read()
    sizes = []
    for _ in range(150):
        bench.log.rotate()
        bench.write(1)
        bench.look()
        sizes.append(bench.log.size)
    assert len(bench.reader._chain._known) <= 64

    bench.end()

    (lost,) = bench.lost
    missing = [at for line, at in bench.written.items() if line not in bench.lines]
    assert (lost.cause, lost.size) == ("logRotated", sum(sizes[: len(missing)]))
    assert lost.start - 1_000_003 == missing[0]
    assert missing[-1] < lost.end


def test_a_file_that_was_cut_while_older_ones_are_there_is_read_from_its_beginning(bench: Bench) -> None:
    bench.write(1)
    bench.log.rotate()
    bench.write(1)
    bench.read()
    bench.read()
    assert len(bench.lines) == 2
    os.truncate(bench.log.path, 0)
    bench.read()
    bench.read()
    bench.write(1)

    bench.end()

    assert bench.lines == list(bench.written)
    assert [lost.cause for lost in bench.lost] == ["logTruncated"]

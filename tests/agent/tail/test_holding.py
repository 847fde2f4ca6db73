"""Deleted files that are still to be read are bounded in bytes and in number."""

import gc
import tracemalloc
from pathlib import Path
from typing import cast

from agent.tail.holding import beyond
from agent.tail.looks import Look
from agent.tail.opening import open_files
from agent.tail.paths import Instance
from agent.tail.reader import Reader
from agent.tail.tail import Tail
from kubescribe.labels.enriching import Enrichment
from simulator.logs.writer import ContainerLog, LogOf


def a_tail(seen: float, *, held: int = 10, unread: int = 1, is_gone: bool = True) -> Tail:
    look = Look(held=held, held_files=1, unread=unread, is_gone=is_gone)
    return Tail(instance=cast(Instance, None), reader=cast(Reader, None), first_seen=seen, look=look)


def test_nothing_is_let_go_within_the_bounds() -> None:
    assert beyond([a_tail(1), a_tail(2)], max_bytes=20, max_files=2) == []


def test_the_largest_go_when_they_take_too_much_disk() -> None:
    small, large = a_tail(1, held=10), a_tail(2, held=50)

    assert beyond([small, large], max_bytes=20, max_files=9) == [large]


def test_the_oldest_go_when_they_are_too_many() -> None:
    tails = [a_tail(seen) for seen in (3, 1, 2)]

    assert beyond(tails, max_bytes=1_000, max_files=2) == [tails[1]]


def test_what_is_read_already_goes_before_it_is_a_loss() -> None:
    unread, read = a_tail(1), a_tail(2, unread=0)

    assert beyond([unread, read], max_bytes=1_000, max_files=1) == [read]


def test_who_still_writes_is_not_counted_and_stays() -> None:
    living = [a_tail(0, is_gone=False) for _ in range(5)]

    assert beyond([*living, a_tail(1), a_tail(2)], max_bytes=1_000, max_files=2) == []


def test_what_went_for_its_size_is_not_counted_twice() -> None:
    large, old, young = a_tail(9, held=500), a_tail(1), a_tail(2)

    assert beyond([large, old, young], max_bytes=100, max_files=2) == [large]


def a_deleted_one(root: Path, number: int, names: Enrichment) -> Tail:
    """Return one whose files were found, looked at and named, and are gone, but for what is open."""
    instance = Instance("batch", f"report-{number}", f"4f9a8b7c-1234-4cde-8f00-{number:012d}", "app", 0)
    log = ContainerLog(root, LogOf(namespace="batch", pod=instance.pod, uid=instance.uid, container="app"))
    log.write(["a line"])
    reader = Reader(root, instance, resume=None, since=0, now_ns=lambda: 1, monotonic=lambda: 0.0)
    for opened in open_files(log.path.parent, {0}, 4096).opened:
        reader.hold(opened)
    tail = Tail(instance=instance, reader=reader, first_seen=0.0)
    tail.note_look(reader.look(), 0.0)
    reader.name(names, first_at=0)
    tail.is_named = True
    log.remove()
    tail.note_look(reader.look(), 1.0)
    assert tail.waits_to_be_read
    return tail


def test_what_waits_to_be_read_takes_three_kilobytes(tmp_path: Path) -> None:
    names = Enrichment(labels={"namespace": "batch", "workload": "report"}, metadata={"pod": "report-1"})
    waiting = [a_deleted_one(tmp_path, number, names) for number in range(40)]
    gc.collect()
    tracemalloc.start()
    try:
        waiting += [a_deleted_one(tmp_path, number, names) for number in range(40, 140)]
        gc.collect()
        each = tracemalloc.get_traced_memory()[0] / 100
    finally:
        tracemalloc.stop()

    assert each < 4000, each
    for tail in waiting:
        tail.reader.close()

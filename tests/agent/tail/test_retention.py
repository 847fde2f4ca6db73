"""How much the kubelet keeps is learned from what it rotates and deletes."""

import itertools
from pathlib import Path

import pytest

from agent.tail.chain import Chain
from agent.tail.looks import Look
from agent.tail.paths import Instance
from agent.tail.race import Race
from agent.tail.retention import DEFAULT_BYTES, DEFAULT_FILE_BYTES, Retention, Turnover
from simulator.logs.rotating import Rotation
from simulator.logs.writer import ContainerLog, LogOf

OF = LogOf(namespace="shop", pod="web-0", uid="2f5a3c1e-8f7d-4b6a-9c0d-1e2f3a4b5c6d", container="app")
INSTANCE = Instance("shop", "web-0", OF.uid, "app", 0)
MIB = 2**20


@pytest.mark.parametrize("max_files", [2, 3, 5, 9])
def test_a_node_whose_kubelet_was_told_otherwise_is_known_after_a_few_rotations(tmp_path: Path, max_files: int) -> None:
    seconds = itertools.count(1_700_000_000)
    log = ContainerLog(tmp_path, OF, rotation=Rotation(max_files=max_files), now_ns=lambda: next(seconds) * 10**9)
    chain = Chain(tmp_path, INSTANCE, Retention())
    size = 0
    for _ in range(max_files + 2):
        log.write(["x" * 5_000])
        size = log.size
        log.rotate()
        log.write(["x"])
        chain.look()

    assert chain.turnover.kept_bytes == max_files * size
    log.close()


def test_what_nobody_has_seen_is_the_default() -> None:
    assert Retention().kept_bytes({"": 1}) == DEFAULT_BYTES == Look().kept
    assert Turnover(Retention()).kept_bytes == DEFAULT_BYTES


def test_it_is_never_less_than_what_is_there() -> None:
    assert Retention().kept_bytes({"": 80 * MIB}) == 80 * MIB


def test_files_of_50_mib_of_one_container_tell_of_the_others() -> None:
    retention = Retention()
    Turnover(retention).note({"": 3, "20260102-030405": 52 * MIB, "20260102-020405": 51 * MIB})

    assert retention.kept_bytes({"": 5}) == 5 * 51 * MIB


def test_a_busy_containers_files_are_larger_than_the_setting() -> None:
    retention = Retention()
    Turnover(retention).note({"": 3, "20260102-030405": 11 * MIB})

    assert retention.kept_bytes({"": 5, "20260102-030405": 300 * MIB}) == 5 * 300 * MIB


def test_a_container_whose_files_are_deleted_teaches_nothing() -> None:
    retention = Retention()
    turnover = Turnover(retention)
    for names in (("1", "2", "3"), ("2", "3"), ("3",), ()):
        turnover.note(dict.fromkeys(names, DEFAULT_FILE_BYTES))

    assert retention.files == 5


def test_a_rotation_that_takes_several_looks_teaches_as_well() -> None:
    retention = Retention()
    turnover = Turnover(retention)
    for names in (("1", "2"), ("2",), ("2", "3")):
        turnover.note(dict.fromkeys(names, DEFAULT_FILE_BYTES))

    assert retention.files == 3


def test_with_50_mib_files_there_is_five_times_as_long() -> None:
    race = Race()
    for second in range(100):
        race.note(100_000 * second, 0, float(second))

    small, large = (race.seconds_to_loss(0, kept_bytes) for kept_bytes in (DEFAULT_BYTES, 5 * DEFAULT_BYTES))

    assert large == pytest.approx(5 * small)

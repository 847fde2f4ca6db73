"""A container's files come, are rotated and go as on a node."""

import gzip
import os
from datetime import UTC, datetime

import pytest

from simulator.logs.rotating import Rotation, content, generations, rotate
from simulator.logs.writer import ContainerLog, LogOf

OF = LogOf(namespace="shop", pod="web-0", uid="u-1", container="app")


@pytest.fixture
def log(tmp_path):
    log = ContainerLog(tmp_path, OF, rotation=Rotation(max_files=4))
    yield log
    log.close()


def lines(path):
    return [line.split(b" ", 3)[3].decode() for line in content(path).splitlines()]


def names(log):
    return sorted(path.name for path in log.path.parent.iterdir())


def test_the_file_lies_where_the_kubelet_puts_it(log, tmp_path):
    log.write(["one"])

    assert log.path == tmp_path / "shop_web-0_u-1" / "app" / "0.log"
    assert lines(log.path) == ["one"]


def test_the_last_generation_is_raw_the_older_ones_are_compressed_and_the_oldest_go(log):
    for number in range(6):
        log.write([str(number)])
        log.rotate()
    log.write(["6"])

    files = generations(log.path)
    assert [lines(path) for path in files] == [["3"], ["4"], ["5"], ["6"]]
    assert [path.suffix for path in files[:2]] == [".gz", ".gz"]
    assert files[2].suffix.removeprefix(".").count("-") == 1
    assert files[3] == log.path
    assert not list(log.path.parent.glob("*.tmp"))
    # As Go's: no name and no time in the header.
    assert files[0].read_bytes()[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
    assert gzip.decompress(files[0].read_bytes()) == content(files[0])


def test_the_writer_writes_into_the_renamed_file_until_it_reopens(log):
    log.write(["one"])

    rotated = log.rotate(between=lambda: log.write(["two"]))
    log.write(["three"])

    assert lines(rotated) == ["one", "two"]
    assert lines(log.path) == ["three"]


def test_two_rotations_in_a_second_overwrite_nothing(log):
    now = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    for number in range(3):
        log.write([str(number)])
        log.close()
        rotate(log.path, log.rotation, now=now, reopen=log.open)

    assert [path.name for path in generations(log.path)] == [
        "0.log.20261125-120000.gz",
        "0.log.20261125-120001.gz",
        "0.log.20261125-120002",
        "0.log",
    ]


def test_what_a_broken_rotation_left_is_cleaned_up(log):
    log.write(["one"])
    done = log.rotate()
    (done.parent / f"{done.name}.tmp").write_bytes(b"half")
    twin = done.parent / "0.log.20200101-000000"
    twin.write_bytes(b"raw")
    (done.parent / f"{twin.name}.gz").write_bytes(gzip.compress(b"raw"))

    log.rotate()

    assert f"{done.name}.tmp" not in names(log)
    assert twin.name not in names(log)
    assert f"{twin.name}.gz" in names(log)


def test_a_file_is_rotated_when_it_has_the_size(tmp_path):
    log = ContainerLog(tmp_path, OF, rotation=Rotation(max_bytes=100))
    log.write(["short"])
    assert not log.rotate_if_due()

    log.write(["x" * 100])

    assert log.rotate_if_due()
    assert log.size == 0
    log.close()


def test_of_the_dead_instances_the_last_is_kept_with_its_generations(log):
    log.write(["zero"])
    log.rotate()
    log.restart()
    log.write(["one"])
    log.rotate()
    log.restart()

    assert log.path.name == "2.log"
    assert {name.partition(".")[0] for name in names(log)} == {"1", "2"}
    assert len(names(log)) == 3


def test_a_log_that_is_there_goes_on(tmp_path):
    for number in range(2):
        log = ContainerLog(tmp_path, OF)
        log.write([str(number)])
        log.close()

    assert lines(tmp_path / "shop_web-0_u-1" / "app" / "0.log") == ["0", "1"]


def test_the_pods_folder_goes_and_an_open_file_stays_readable(log):
    log.write(["one"])
    file = os.open(log.path, os.O_RDONLY)

    log.remove()

    assert not log.path.parent.parent.exists()
    assert os.read(file, 100).endswith(b"one\n")
    os.close(file)

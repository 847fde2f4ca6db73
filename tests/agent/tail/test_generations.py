"""The files of one instance of a container, through rename, compression and deletion."""

import gzip
import os
from pathlib import Path

import pytest

from agent.tail.generations import Generation, identity_of, list_generations, open_generation
from agent.tail.parsing import parse_time
from agent.tail.paths import Instance

INSTANCE = Instance("shop", "checkout", "2f5a3c1e-8f7d-4b6a-9c0d-1e2f3a4b5c6d", "app", 0)


def line(second: int, text: str = "hello") -> bytes:
    return f"2026-01-02T03:04:{second:02d}.000000001Z stdout F {text}\n".encode()


def time_of(second: int) -> int | None:
    return parse_time(f"2026-01-02T03:04:{second:02d}.000000001Z".encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / INSTANCE.folder
    folder.mkdir(parents=True)
    return folder


def write(folder: Path, name: str, text: bytes) -> None:
    (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)


def texts(generations: list[Generation], offset: int = 0) -> list[bytes]:
    found = []
    for generation in generations:
        file = open_generation(generation, offset)
        try:
            pieces = []
            while piece := file.read(7):
                pieces.append(piece)
            found.append(b"".join(pieces))
        finally:
            file.close()
    return found


def test_the_files_of_an_instance_come_in_the_order_of_their_age(tmp_path: Path, folder: Path) -> None:
    write(folder, "0.log", line(3))
    write(folder, "0.log.20260102-030402", line(2))
    write(folder, "0.log.20260102-030401.gz", line(1))
    write(folder, "0.log.20260102-030400.gz.tmp", line(0))
    write(folder, "1.log", line(4))
    write(folder, "notes.txt", b"x")

    found = list_generations(tmp_path, INSTANCE)

    assert [generation.identity for generation in found] == [time_of(1), time_of(2), time_of(3)]
    assert [generation.size for generation in found] == [len(line(1))] * 3
    assert texts(found) == [line(1), line(2), line(3)]


def test_a_file_keeps_its_identity_when_it_is_renamed_and_compressed(tmp_path: Path, folder: Path) -> None:
    write(folder, "0.log", line(1) + line(2))
    (before,) = list_generations(tmp_path, INSTANCE)
    (folder / "0.log").unlink()
    write(folder, "0.log.20260102-030401.gz", line(1) + line(2))

    (after,) = list_generations(tmp_path, INSTANCE)

    assert (after.identity, after.size) == (before.identity, before.size)
    assert texts([after], len(line(1))) == [line(2)]


def test_the_plain_file_is_read_while_its_compressed_twin_is_there(tmp_path: Path, folder: Path) -> None:
    write(folder, "0.log.20260102-030401.gz", line(1))
    write(folder, "0.log.20260102-030401", line(1))

    (found,) = list_generations(tmp_path, INSTANCE)

    assert not found.is_gzip


def test_an_open_file_is_read_to_its_end_after_it_was_deleted(tmp_path: Path, folder: Path) -> None:
    write(folder, "0.log", line(1) + line(2))
    (generation,) = list_generations(tmp_path, INSTANCE)
    file = open_generation(generation, len(line(1)))
    (folder / "0.log").unlink()

    assert file.read(1000) == line(2)
    file.close()


def test_another_file_under_the_same_name_is_not_opened_for_it(tmp_path: Path, folder: Path) -> None:
    write(folder, "0.log", line(1))
    (generation,) = list_generations(tmp_path, INSTANCE)
    write(folder, "0.log", line(2))

    with pytest.raises(FileNotFoundError):
        open_generation(generation)


def test_a_file_that_is_still_empty_is_none_yet(tmp_path: Path, folder: Path) -> None:
    write(folder, "0.log", b"")

    assert list_generations(tmp_path, INSTANCE) == []


@pytest.mark.timeout(10)
def test_a_named_pipe_keeps_nobody_waiting(tmp_path: Path, folder: Path) -> None:
    os.mkfifo(folder / "0.log")

    assert list_generations(tmp_path, INSTANCE) == []


def test_a_symbolic_link_to_dockers_own_file_is_followed(tmp_path: Path, folder: Path) -> None:
    text = b'{"log":"' + b"x" * 5000 + b'\\n","stream":"stdout","time":"2026-01-02T03:04:01.000000001Z"}\n'
    (tmp_path / "json.log").write_bytes(text)
    (folder / "0.log").symlink_to(tmp_path / "json.log")

    (found,) = list_generations(tmp_path, INSTANCE)

    assert found.identity == time_of(1)
    assert texts([found]) == [text]


def test_a_file_in_no_known_format_has_an_identity_all_the_same() -> None:
    assert identity_of(b"no format\nx") == identity_of(b"no format\ny")
    assert identity_of(b"no format\n") != identity_of(b"No format\n")
    assert identity_of(b"cut in the mid") is None


def test_a_damaged_compressed_file_is_told(tmp_path: Path, folder: Path) -> None:
    packed = bytearray(gzip.compress(b"".join(line(second % 60, "x" * second) for second in range(2000))))
    packed[len(packed) // 2] ^= 0xFF
    (folder / "0.log.20260102-030401.gz").write_bytes(packed)
    (generation,) = list_generations(tmp_path, INSTANCE)
    file = open_generation(generation)

    with pytest.raises(ValueError, match="damaged"):
        list(iter(lambda: file.read(1 << 20), b""))
    file.close()


def test_a_torn_compressed_file_gives_what_it_holds(tmp_path: Path, folder: Path) -> None:
    text = b"".join(line(second % 60, "x" * second) for second in range(200))
    packed = gzip.compress(text)
    (folder / "0.log.20260102-030401.gz").write_bytes(packed[: len(packed) // 2])
    (generation,) = list_generations(tmp_path, INSTANCE)
    file = open_generation(generation)

    got = b"".join(iter(lambda: file.read(1 << 20), b""))

    assert got
    assert text.startswith(got)
    file.close()

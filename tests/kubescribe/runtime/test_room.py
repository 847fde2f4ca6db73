"""The room of a file system is a share, and one without inodes has enough of them."""

from pathlib import Path

from kubescribe.runtime.room import Room, room_of


def test_the_room_of_this_disk_is_a_share(tmp_path: Path) -> None:
    room = room_of(tmp_path)

    assert 0 <= room.bytes_free <= 1
    assert 0 <= room.inodes_free <= 1


def test_either_share_may_be_the_one_that_is_short() -> None:
    assert Room(0.1, 0.9).is_below(0.15)
    assert Room(0.9, 0.1).is_below(0.15)
    assert not Room(0.15, 0.15).is_below(0.15)

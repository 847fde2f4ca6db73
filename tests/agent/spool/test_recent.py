"""What was written last is read from memory, and never with a hole."""

from agent.spool.frames import Frame, FrameHead
from agent.spool.recent import Recent


def a_frame(n: int, size: int = 10) -> Frame:
    return Frame(n=n, count=1, head=FrameHead(), batch=b"x" * size)


def recent(*numbers: int, max_bytes: int = 1000) -> Recent:
    made = Recent(numbers[0] - 1, max_bytes)
    for n in numbers:
        made.add(a_frame(n))
    return made


def numbers(frames) -> list[int] | None:
    return None if frames is None else [frame.n for frame in frames]


def test_frames_behind_a_number_come_in_order_and_in_portions():
    made = recent(5, 6, 7, 8)

    assert numbers(made.behind(4, 1000)) == [5, 6, 7, 8]
    assert numbers(made.behind(5, 20)) == [6, 7]
    assert numbers(made.behind(8, 1000)) == []


def test_none_are_given_where_the_next_one_is_not_here():
    assert numbers(recent(5, 6).behind(3, 1000)) == []
    assert numbers(recent(5, 6).from_on(4)) is None
    assert numbers(Recent(4, 1000).from_on(5)) is None


def test_behind_a_hole_it_begins_anew():
    made = recent(5, 6, 9)

    assert numbers(made.behind(4, 1000)) == []
    assert numbers(made.from_on(9)) == [9]
    assert made.last_n == 9


def test_the_oldest_go_where_there_is_no_room_and_the_newest_number_is_kept():
    made = recent(1, 2, 3, max_bytes=20)
    assert numbers(made.from_on(2)) == [2, 3]
    assert numbers(made.from_on(1)) is None

    made.add(a_frame(4, size=21))

    assert numbers(made.behind(3, 1000)) == []
    assert made.last_n == 4


def test_what_is_acknowledged_whole_leaves_nothing():
    assert numbers(recent(1, 2).from_on(3)) == []

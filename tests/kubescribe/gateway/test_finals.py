"""What Loki has beyond the cursor is known after a start, or is sent again; never the other way round."""

import os
from array import array

from kubescribe.gateway.finals import Finals, read_finals
from kubescribe.gateway.store import SpoolLimits
from tests.kubescribe.gateway.house import NOW
from tests.kubescribe.gateway.test_store import body, held, opened, segments  # noqa: F401

SMALL = SpoolLimits(max_bytes=1 << 20)


def test_what_was_written_is_read_and_what_is_damaged_says_nothing(tmp_path):
    path = tmp_path / "final"
    Finals(9, array("Q", [2, 5])).write(path)

    found = read_finals(path)
    assert [n for n in range(12) if not found.has(n)] == [2, 5, 10, 11]
    assert found.open_between(3, 11) == 3

    path.write_bytes(path.read_bytes()[:-1])
    assert read_finals(path) == Finals()
    assert not read_finals(tmp_path / "none").has(1)


def test_a_segment_of_which_everything_is_final_is_given_back_before_the_older_ones(opened, tmp_path):  # noqa: F811
    store = opened()
    for number in range(60):
        store.append([body(b"%02d" % number + os.urandom(10_000), digest=b"%016d" % number)])
    before, last = len(segments(tmp_path)), store.last_n
    assert before > 4

    store.release(Finals(last, array("Q", [1])))

    assert len(segments(tmp_path)) == 2
    again = opened()
    assert (again.losses.frames, again.losses.bytes, again.last_n) == (0, 0, last)
    assert held(again)[0].startswith(b"00")


def test_a_number_that_was_final_is_not_given_to_another_frame(opened, tmp_path):  # noqa: F811
    Finals(7, array("Q")).write(tmp_path / "final")

    store = opened()
    store.append([body(b"new")])

    assert not store.finals.has(store.last_n)


def test_a_segment_of_which_little_is_open_is_written_anew_with_that_alone(opened, tmp_path):  # noqa: F811
    store = opened()
    for number in range(90):
        store.append([body(b"%02d" % number + os.urandom(10_000), digest=b"%016d" % number)])
    before = segments(tmp_path)
    (tmp_path / "begun.new").touch()
    waits = array("Q", range(1, 90, 5))

    for _ in before:
        store.release(Finals(store.last_n, waits))

    assert segments(tmp_path) == before
    assert sum(path.stat().st_size for path in before) == store.size <= SMALL.max_bytes // 2
    for each in (store, opened()):
        found, after = {}, 0
        while (frame := each.read(after)) is not None:
            found[frame.n] = int(frame.request[:2]) + 1
            after = frame.n
        assert set(waits) <= set(found)
        assert all(n == number for n, number in found.items())
        assert (each.losses.frames, each.losses.bytes) == (0, 0)
        assert each.repeats.knows(b"%016d" % 1, NOW + 1)
    assert not list(tmp_path.glob("*.new"))

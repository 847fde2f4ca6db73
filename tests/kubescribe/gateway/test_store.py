"""What the gateway's spool holds survives crashes, and what damage costs is counted."""

import os
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubescribe.gateway.cursor import Cursor
from kubescribe.gateway.errors import Busy, DiskFailed, TooLarge
from kubescribe.gateway.frames import Frozen, Head
from kubescribe.gateway.repeats import KEPT_NS, MAX_KEPT, Repeats, digest_of
from kubescribe.gateway.spool import FRESH_BYTES, open_spool
from kubescribe.gateway.store import Body, NewFrame, SpoolLimits, open_store
from kubescribe.runtime.errors import StartupError
from kubescribe.runtime.room import Room
from tests.kubescribe.gateway.house import ENOUGH, NOW

SMALL = SpoolLimits(max_bytes=1 << 20)


def body(*requests, at=NOW, digest=None, tenant=""):
    """Return a body of one frame for each of *requests*."""
    return Body(
        [
            NewFrame(
                head=Head(
                    at=at,
                    tenant=tenant,
                    digest=digest or requests[0][:16].ljust(16, b"."),
                    streams=(Frozen("{}", b"", 1, at, at),),
                    lines=1,
                    is_last=number == len(requests),
                ),
                request=request,
            )
            for number, request in enumerate(requests, 1)
        ]
    )


@pytest.fixture
def opened(tmp_path):
    stores = []

    def make(limits=SMALL, room=ENOUGH):
        for store in stores:
            store.close()
        stores.append(open_store(tmp_path, limits, room=room))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def held(store):
    """Return the requests that would be sent, in order."""
    found, after = [], store.cursor.n
    while (frame := store.read(after)) is not None:
        found.append(frame.request)
        after = frame.n
    return found


def segments(folder):
    return sorted(folder.glob("*.seg"))


def test_what_was_appended_is_there_after_a_start_and_what_loki_has_is_not(opened):
    store = opened()
    store.append([body(b"one"), body(b"two", b"more")])
    store.append([body(b"three")])
    store.acknowledge(1)

    again = opened()

    assert held(again) == [b"two", b"more", b"three"]
    again.append([body(b"four")])
    assert held(again)[-1] == b"four"
    assert opened().last_n == 5


def test_segments_that_loki_has_are_deleted_and_their_bodies_still_known(opened, tmp_path):
    store = opened()
    for number in range(30):
        store.append([body(b"%02d" % number + os.urandom(10_000), digest=b"%016d" % number, at=NOW)])
    assert len(segments(tmp_path)) > 2
    store.acknowledge(30)

    again = opened()

    assert (held(again), again.last_n, segments(tmp_path)) == ([], 30, [])
    assert all(again.repeats.knows(b"%016d" % number, NOW + 1) for number in range(30))
    assert not again.repeats.knows(b"0" * 16, NOW + KEPT_NS)


def test_a_torn_tail_is_cut_with_the_whole_body_that_it_belongs_to(opened, tmp_path):
    store = opened()
    store.append([body(b"one")])
    size = segments(tmp_path)[0].stat().st_size
    store.append([body(b"first half", b"second half")])
    os.truncate(segments(tmp_path)[0], segments(tmp_path)[0].stat().st_size - 1)

    again = opened()

    assert held(again) == [b"one"]
    assert segments(tmp_path)[0].stat().st_size == size
    assert (again.losses.frames, again.losses.bytes) == (0, 0)


def test_a_damaged_frame_is_passed_over_and_counted(opened, tmp_path):
    store = opened()
    store.append([body(b"one"), body(b"two-two-two"), body(b"three")])
    path = segments(tmp_path)[0]
    data = path.read_bytes()
    path.write_bytes(data.replace(b"two-two-two", b"two-two-xxx"))

    # Found while it runs, and at a start.
    assert held(store) == [b"one", b"three"]
    assert store.losses.frames == 1
    again = opened()
    assert held(again) == [b"one", b"three"]
    assert again.losses.frames == 1
    assert again.losses.bytes > 11


def test_a_segment_that_is_gone_is_counted(opened, tmp_path):
    store = opened()
    for number in range(30):
        store.append([body(b"%02d" % number + os.urandom(10_000))])
    lost = segments(tmp_path)[1]
    count = int(segments(tmp_path)[2].stem) - int(lost.stem)
    lost.unlink()

    assert opened().losses.frames == count


def test_a_full_spool_a_short_disk_and_a_body_beyond_both_are_told_apart(opened):
    store = opened()
    store.admit(1000)
    for _ in range(10):
        store.append([body(os.urandom(100_000))])

    with pytest.raises(Busy, match="full"):
        store.admit(100_000)
    with pytest.raises(TooLarge):
        store.admit(SMALL.max_bytes + 1)
    for room in (Room(0.14, 1.0), Room(1.0, 0.14)):
        with pytest.raises(DiskFailed, match="15%"):
            opened(room=lambda _, room=room: room).admit(0)


def test_a_write_that_failed_leaves_nothing_and_the_next_one_works(opened, tmp_path):
    store = opened()
    store.append([body(b"one")])
    descriptor = store._active
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, descriptor)
    os.close(full)

    with pytest.raises(DiskFailed, match="No space left"):
        store.append([body(b"two")])
    assert held(store) == [b"one"]

    store.append([body(b"three")])
    assert held(store) == [b"one", b"three"]
    assert held(opened()) == [b"one", b"three"]


def test_a_segment_whose_name_is_not_durable_takes_nothing_and_the_next_body_is_found(opened):
    store = opened(SpoolLimits(max_bytes=1 << 20))
    store.append([body(os.urandom(SMALL.segment_bytes))])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open("/dev/null", os.O_RDONLY)
    os.close(free)
    # The old segment's descriptor becomes the new one's, and there is none to sync the folder with.
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(DiskFailed, match="Too many open files"):
            store.append([body(b"refused")])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    store.append([body(b"acknowledged")])

    assert held(store)[1:] == [b"acknowledged"]
    assert held(opened())[1:] == [b"acknowledged"]


def test_a_disk_with_no_room_for_the_digests_still_gets_its_segments_back(opened, tmp_path):
    store = opened()
    for number in range(30):
        store.append([body(b"%02d" % number + os.urandom(10_000))])
    (tmp_path / "repeats.new").mkdir()  # what cannot be written, as on a full disk

    store.acknowledge(30)

    assert segments(tmp_path) == []
    assert held(opened()) == []


def test_what_was_refused_is_not_taken_for_what_came_after_it(opened, tmp_path):
    store = opened()
    store.append([body(b"one")])
    store.append([body(b"refused, and could not be cut off")])
    refused = segments(tmp_path)[0].read_bytes()
    store.segments[0].forget_from(1)
    store.segments[0].size = store.segments[0].starts[0] + len(refused) // 3
    store._close_active()
    store.append([body(b"acknowledged")])
    segments(tmp_path)[0].write_bytes(refused)

    assert held(opened()) == [b"one", b"acknowledged"]


def test_a_folder_has_one_holder(opened, tmp_path):
    opened()

    with pytest.raises(StartupError, match="another process uses this folder"):
        open_store(tmp_path, SMALL)


@given(st.lists(st.integers(1, 2**60), max_size=6).map(sorted), st.integers(0, 1), st.binary(min_size=1, max_size=20))
def test_a_torn_write_of_the_cursor_leaves_the_one_before(tmp_path_factory, numbers, place, junk):
    path = tmp_path_factory.mktemp("cursor") / "cursor"
    cursor = Cursor(path)
    for number in numbers:
        cursor.move(number)
    os.pwrite(cursor._file, junk, place * 4096)
    cursor.close()

    again = Cursor(path)

    assert again.n in ([0, *numbers][-2:] if numbers else [0])
    again.close()


def test_no_more_bodies_are_remembered_than_there_is_memory_for():
    repeats = Repeats()
    for number in range(MAX_KEPT + 10):
        repeats.add(b"%016d" % number, NOW + number)

    assert not repeats.knows(b"%016d" % 9, NOW)
    assert repeats.knows(b"%016d" % 10, NOW + MAX_KEPT)


def test_the_same_body_of_another_tenant_or_path_is_another():
    assert len({digest_of(tenant, path, b"x") for tenant in ("", "a") for path in ("loki", "otlp")}) == 4


def test_a_tenant_that_fills_the_spool_leaves_room_to_the_others_also_after_a_start(opened):
    store = opened()
    for number in range(39):
        store.admit(20_000, "a")
        store.append([body(b"%02d" % number + os.urandom(20_000), tenant="a")])

    again = opened()
    for each in (store, again):
        each.admit(20_000, "b")
        with pytest.raises(Busy, match="tenant's share"):
            each.admit(20_000, "a")
    again.acknowledge(again.last_n)
    again.admit(20_000, "a")


async def test_frames_that_are_sent_next_take_no_more_memory_than_is_meant_though_nothing_of_them_is_made(tmp_path):
    async with open_spool(tmp_path, SpoolLimits(), room=ENOUGH) as spool:
        for number in range(8):
            await spool.put(body(b"%d" % number + bytes(2**20)))

        assert sum(len(frame.request) for frame in spool._fresh.values()) <= FRESH_BYTES

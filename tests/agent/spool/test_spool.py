"""The spool's promises to its two sides: the watches that put, and the link that reads."""

import asyncio
import errno
import json
import os
from dataclasses import replace

import pytest

from agent.spool.errors import SpoolClosed, SpoolForeign, SpoolInUse, SpoolUnusable
from agent.spool.segments import SegmentStore
from kubescribe.runtime.room import Room
from kubescribe.wire.codec import decode_records
from kubescribe.wire.records import Change, Gap, Progress


def versions(records):
    return [record.resource_version for record in records if isinstance(record, Change)]


async def test_records_are_read_in_the_order_in_which_they_were_put(kit, tmp_path):
    async with await kit.open(tmp_path / "s") as spool:
        await kit.put(spool, range(1, 50))

        assert versions(await kit.records(spool)) == list(range(1, 50))


async def test_frames_are_numbered_from_one_without_a_hole(kit, tmp_path):
    async with await kit.open(tmp_path / "s") as spool:
        await kit.put(spool, range(1, 20))

        assert [frame.n for frame in await kit.frames(spool)] == list(range(1, 20))


async def test_records_that_come_together_share_a_frame(kit, tmp_path):
    async with await kit.open(tmp_path / "s") as spool:
        for version in range(1, 500):
            await spool.put([kit.change(version)], kit.mark(version))
        await spool.flush()

        assert spool.last_n < 50


async def test_a_reopened_spool_gives_the_same_bytes_and_marks(kit, tmp_path):
    async with await kit.open(tmp_path / "s") as spool:
        await kit.put(spool, range(1, 20))
        before = await kit.frames(spool)
        spool_id = spool.spool_id
    async with await kit.open(tmp_path / "s") as spool:
        assert await kit.frames(spool) == before
        assert spool.spool_id == spool_id
        assert spool.marks() == {"pods/node=a": kit.mark(19)}


async def test_a_put_too_large_for_a_frame_is_spread_and_its_mark_comes_last(kit, tmp_path):
    limits = replace(kit.limits, frame_bytes=1000, idle_frame_bytes=1000)
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        await spool.put([kit.change(version, size=400) for version in range(1, 11)], kit.mark(10))
        await spool.flush()
        frames = await kit.frames(spool)

    assert len(frames) > 3
    assert [len(frame.head.marks) for frame in frames] == [0] * (len(frames) - 1) + [1]


async def test_a_mark_without_records_is_kept(kit, tmp_path):
    async with await kit.open(tmp_path / "s") as spool:
        await spool.put([], kit.mark(7))
        await spool.flush()
    async with await kit.open(tmp_path / "s") as spool:
        assert spool.marks()["pods/node=a"].resource_version == 7


async def test_reading_waits_for_the_next_frame(kit, tmp_path):
    async with await kit.open(tmp_path / "s") as spool:
        reading = asyncio.create_task(spool.read_after(0))
        await asyncio.sleep(0.01)
        assert not reading.done()
        await kit.put(spool, [1])
        frames = await asyncio.wait_for(reading, 10)

    assert [frame.n for frame in frames] == [1]


async def test_acknowledged_segments_are_deleted_and_their_marks_and_numbers_are_not(kit, tmp_path):
    limits = replace(kit.limits, segment_bytes=4096)
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        await kit.put(spool, range(1, 31), size=1000)
        await kit.put(spool, [31], size=1000, stream="nodes")
        await spool.acknowledge(31)
        assert not list((tmp_path / "s").glob("*.seg"))
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        assert {name: mark.resource_version for name, mark in spool.marks().items()} == {"pods/node=a": 30, "nodes": 31}
        assert spool.last_n == 31
        await kit.put(spool, [32])
        assert [frame.n for frame in await kit.frames(spool, 31)] == [32]


async def test_put_waits_while_the_disk_does_not_take_what_was_put(kit, tmp_path, monkeypatch):
    def fails(self, frame):
        raise OSError(errno.EIO, "Input/output error")

    limits = replace(kit.limits, unwritten_bytes=20_000)
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        with monkeypatch.context() as patch:
            patch.setattr(SegmentStore, "append", fails)
            putting = asyncio.create_task(put_many(kit, spool, 200))
            await asyncio.sleep(0.05)
            assert not putting.done()
            assert "Input/output error" in spool.stats().trouble
            assert spool.stats().waiting_bytes < 30_000
            assert spool.stats().write_failures > 0
        await asyncio.wait_for(putting, 20)
        await spool.flush()

        assert spool.stats().trouble == ""
        assert versions(await kit.records(spool)) == list(range(1, 201))


async def put_many(kit, spool, count):
    for version in range(1, count + 1):
        await spool.put([kit.change(version, size=500)], kit.mark(version))


async def test_a_full_disk_takes_the_oldest_segment_and_goes_on(kit, tmp_path, monkeypatch):
    from agent.spool import segments

    limits = replace(kit.limits, segment_bytes=4096)
    capacity = 60_000
    write_all = segments._write_all

    def write(descriptor, data):
        if sum(path.stat().st_size for path in (tmp_path / "s").glob("*.seg")) + len(data) > capacity:
            os.write(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        write_all(descriptor, data)

    monkeypatch.setattr(segments, "_write_all", write)
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        await asyncio.wait_for(kit.put(spool, range(1, 101), size=1000), 20)
        kept = versions(await kit.records(spool))
        assert kept == list(range(kept[0], 101))
        assert spool.stats().dropped_records == kept[0] - 1 > 0
        relist = await spool.settle_drops()
        records = await kit.records(spool)

    assert relist == ("pods/node=a",)
    assert [record.count for record in records if isinstance(record, Gap)] == [kept[0] - 1]


async def test_at_its_limit_the_spool_drops_the_oldest_and_tells_it_as_a_gap(kit, tmp_path):
    limits = replace(kit.limits, max_bytes=50_000, segment_bytes=5_000)
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        await kit.put(spool, range(1, 101), size=1000)
        assert spool.stats().bytes <= 50_000
        relist = await spool.settle_drops()
        assert not spool.has_drops
        first_kept = versions(await kit.records(spool))[0]
        gaps = [record for record in await kit.records(spool) if isinstance(record, Gap)]

    assert relist == ("pods/node=a",)
    [gap] = gaps
    assert (gap.cause, gap.outcome, gap.stream) == ("spool_full", "lost", "pods/node=a")
    assert (gap.count, gap.start, gap.to) == (first_kept - 1, 1_001, 1_000 + first_kept - 1)


async def test_the_ledger_outlives_the_process_and_a_dropped_gap_is_told_again(kit, tmp_path):
    limits = replace(kit.limits, max_bytes=50_000, segment_bytes=5_000)
    dropped = Gap(id="expired/1", stream="nodes", cause="expired", start=5, to=9, outcome="lost")
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        await spool.put([dropped], None)
        await kit.put(spool, range(1, 101), size=1000)
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        assert spool.has_drops
        await spool.settle_drops()
        gaps = [record for record in await kit.records(spool) if isinstance(record, Gap)]
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        assert not spool.has_drops

    assert dropped in gaps
    assert len(gaps) == 2


async def test_after_a_drop_was_told_the_streams_own_mark_says_that_it_must_list(kit, tmp_path):
    limits = replace(kit.limits, max_bytes=50_000, segment_bytes=5_000)
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        await kit.put(spool, range(1, 101), size=1000)
        await spool.settle_drops()
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        assert spool.marks()["pods/node=a"].listing


async def test_what_was_acknowledged_is_dropped_without_a_gap(kit, tmp_path):
    limits = replace(kit.limits, max_bytes=50_000, segment_bytes=5_000)
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        for version in range(1, 101):
            await kit.put(spool, [version], size=1000)
            await spool.acknowledge(spool.last_n)

        assert not spool.has_drops
        assert spool.stats().dropped_records == 0


async def test_below_the_floor_of_free_disk_the_spool_does_not_grow(kit, tmp_path):
    room = Room(1.0, 1.0)
    limits = replace(kit.limits, segment_bytes=5_000, floor_bytes=10_000)
    async with await kit.open(tmp_path / "s", limits=limits, room=lambda _: room) as spool:
        await kit.put(spool, range(1, 51), size=1000)
        before = spool.stats().bytes
        room = Room(0.14, 1.0)
        await kit.put(spool, range(51, 101), size=1000)
        assert spool.stats().bytes <= before
        await spool.acknowledge(spool.last_n)
        await kit.put(spool, range(101, 151), size=1000)
        assert spool.stats().bytes <= limits.floor_bytes
        room = Room(1.0, 0.14)
        await kit.put(spool, range(151, 161), size=1000)
        assert spool.stats().bytes <= limits.floor_bytes
        assert versions(await kit.records(spool))[-1] == 160


async def test_a_bookmark_alone_is_not_worth_a_gap(kit, tmp_path):
    limits = replace(kit.limits, max_bytes=5_000, segment_bytes=4_096)
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        for version in range(200):
            progress = Progress(stream="nodes", term=1, resource_version=version, observed_at=version)
            await spool.put([progress], None)
            await spool.flush()

        assert await spool.settle_drops() == ()


async def test_a_record_that_cannot_cross_the_link_becomes_a_gap(kit, tmp_path):
    async with await kit.open(tmp_path / "s") as spool:
        await spool.put([kit.change(1), kit.change(2, size=9 * 2**20), kit.change(3)], kit.mark(3))
        await spool.flush()
        records = await kit.records(spool)

    assert versions(records) == [1, 3]
    [gap] = [record for record in records if isinstance(record, Gap)]
    assert (gap.cause, gap.stream, gap.count) == ("record_too_large", "pods/node=a", 1)


async def test_a_wiped_folder_is_a_new_spool(kit, tmp_path):
    async with await kit.open(tmp_path / "a") as one, await kit.open(tmp_path / "b") as other:
        assert one.spool_id != other.spool_id
        assert (one.marks(), one.last_n, one.redaction_key) == ({}, 0, None)


async def test_two_processes_cannot_use_one_folder(kit, tmp_path):
    async with await kit.open(tmp_path / "s"):
        with pytest.raises(SpoolInUse, match=r"another agent uses this folder; stop it or choose another"):
            await kit.open(tmp_path / "s")
    async with await kit.open(tmp_path / "s"):
        pass


async def test_a_folder_that_cannot_be_made_is_one_clear_line(kit, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(SpoolUnusable, match="choose a writable folder") as caught:
        await kit.open(tmp_path / "file" / "s")
    assert "\n" not in str(caught.value)


async def test_the_spool_of_another_cluster_is_refused(kit, tmp_path):
    async with await kit.open(tmp_path / "s") as spool:
        await spool.bind_cluster("one")
    async with await kit.open(tmp_path / "s") as spool:
        await spool.bind_cluster("one")
        with pytest.raises(SpoolForeign, match="cluster one, not of two"):
            await spool.bind_cluster("two")


async def test_the_redaction_key_is_readable_by_its_owner_alone(kit, tmp_path):
    async with await kit.open(tmp_path / "s") as spool:
        await spool.welcome("journal", b"\x00secret")
    async with await kit.open(tmp_path / "s") as spool:
        assert (spool.journal_id, spool.redaction_key) == ("journal", b"\x00secret")

    assert (tmp_path / "s" / "spool.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "s" / "spool.json").read_bytes())["journalId"] == "journal"


async def test_a_segment_that_vanished_is_told_as_a_gap(kit, tmp_path):
    limits = replace(kit.limits, segment_bytes=4096)
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        await kit.put(spool, range(1, 31), size=1000)
    second = sorted((tmp_path / "s").glob("*.seg"))[1]
    second.unlink()
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        assert await spool.settle_drops() == ("pods/node=a",)
        records = await kit.records(spool)

    [gap] = [record for record in records if isinstance(record, Gap)]
    assert (gap.cause, gap.outcome) == ("spool_damaged", "lost")
    missing = sorted(set(range(1, 31)) - set(versions(records)))
    assert gap.start <= 1_000 + missing[0]
    assert gap.to >= 1_000 + missing[-1]


async def test_a_frame_damaged_while_the_spool_runs_becomes_a_gap_and_reading_goes_on(kit, tmp_path):
    limits = replace(kit.limits, segment_bytes=4096, recent_bytes=0)
    async with await kit.open(tmp_path / "s", limits=limits) as spool:
        await kit.put(spool, range(1, 31), size=1000)
        first = min((tmp_path / "s").glob("*.seg"))
        data = bytearray(first.read_bytes())
        data[40] ^= 0xFF
        first.write_bytes(data)
        frames = await asyncio.wait_for(spool.read_after(0), 10)
        assert frames[0].n > 1
        assert await spool.settle_drops() == ("pods/node=a",)


async def test_after_the_machine_went_down_numbers_are_not_given_out_twice_under_one_id(kit, tmp_path):
    async with await kit.open(tmp_path / "s", boot="boot-1") as spool:
        await kit.put(spool, range(1, 5))
        before = spool.spool_id
    async with await kit.open(tmp_path / "s", boot="boot-2") as spool:
        assert spool.spool_id != before
        assert spool.former_spool_ids == (before,)
        assert [frame.n - spool.base for frame in await kit.frames(spool)] == [1, 2, 3, 4]


async def test_batches_that_this_folder_never_sent_make_a_new_id_and_nothing_new_is_taken_for_acknowledged(
    kit, tmp_path
):
    async with await kit.open(tmp_path / "s") as spool:
        await kit.put(spool, range(1, 5))
        before = spool.spool_id
    async with await kit.open(tmp_path / "s") as spool:
        await kit.put(spool, range(5, 12))
        assert await spool.resume_after(7) is None
        assert spool.spool_id != before
        after = await spool.resume_after(0)

        assert versions(await kit.records(spool, after)) == list(range(5, 12))


async def test_the_aggregators_older_word_is_believed_while_the_frames_are_here(kit, tmp_path):
    async with await kit.open(tmp_path / "s") as spool:
        await kit.put(spool, range(1, 10))
        spool.note_sent(9)
        await spool.acknowledge(8)

        assert await spool.resume_after(3) == 3
        assert versions(await kit.records(spool, 3)) == list(range(4, 10))


async def test_after_close_nothing_can_be_put(kit, tmp_path):
    spool = await kit.open(tmp_path / "s")
    await spool.put([kit.change(1)], kit.mark(1))
    await spool.close()
    await spool.close()

    with pytest.raises(SpoolClosed):
        await spool.put([kit.change(2)], None)
    async with await kit.open(tmp_path / "s") as reopened:
        assert versions(await kit.records(reopened)) == [1]


async def test_close_ends_a_put_and_a_read_that_wait(kit, tmp_path):
    spool = await kit.open(tmp_path / "s")
    reading = asyncio.create_task(spool.read_after(0))
    await asyncio.sleep(0.005)
    await spool.close()

    with pytest.raises(SpoolClosed):
        await asyncio.wait_for(reading, 10)


async def test_the_oldest_unsent_record_is_dated(kit, tmp_path):
    async with await kit.open(tmp_path / "s") as spool:
        assert spool.stats().oldest_unsent_at is None
        await kit.put(spool, [5, 6])
        assert (spool.stats().oldest_unsent_at, spool.stats().records) == (1_005, 2)
        await spool.acknowledge(1)
        assert (spool.stats().oldest_unsent_at, spool.stats().records) == (1_006, 1)
        await spool.acknowledge(2)
        assert (spool.stats().oldest_unsent_at, spool.stats().records) == (None, 0)


async def test_behind_a_backlog_the_oldest_unsent_record_is_dated_nearly(kit, tmp_path):
    async with await kit.open(tmp_path / "s") as spool:
        await kit.put(spool, range(1, 11))
    async with await kit.open(tmp_path / "s") as spool:
        assert (spool.stats().oldest_unsent_at, spool.stats().records) == (1_001, 10)
        await spool.acknowledge(5)
        assert 1_004 <= spool.stats().oldest_unsent_at <= 1_007
        assert spool.stats().records == 5
        await spool.acknowledge(10)
        assert (spool.stats().oldest_unsent_at, spool.stats().records) == (None, 0)


async def test_batches_decode_with_the_wire_codec(kit, tmp_path):
    async with await kit.open(tmp_path / "s") as spool:
        await kit.put(spool, [1])
        [frame] = await kit.frames(spool)

    assert decode_records(frame.batch) == [kit.change(1)]
    assert frame.count == 1

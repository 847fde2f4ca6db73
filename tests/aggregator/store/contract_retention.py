"""What retention promises, for every store: imported by the stores' own tests, which give `store`."""

import asyncio
import json
import random
from collections.abc import Iterable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace

from aggregator.records import CounterKey, ObjectKey, ObjectQuery, RecordQuery, Stretch, Version
from aggregator.store.base import Journal, Pruned
from tests.aggregator.store.story import Story, uid_of

ALL = RecordQuery(limit=1000, ascending=True)
FOR_EVER = 2**62


def seqs(items: Iterable[bytes]) -> list[int]:
    return [json.loads(item)["seq"] for item in items]


def seqs_of(stretch: Stretch) -> list[int]:
    return [seq for seq, _ in stretch.rows]


async def prune(store: Journal, before: int, *, step: int = 10, max_bytes: int = 0) -> list[Pruned]:
    found: list[Pruned] = []
    while not found or found[-1].more:
        found.append(
            await store.prune(before=before, max_bytes=max_bytes, step=step, forgetting=lambda _: nullcontext())
        )
        assert len(found) < 1000
    return found


async def commit(store: Journal, story: Story) -> int:
    """Commit what the story told; return the time that lies between this commit and the next."""
    await store.commit(story.take())
    return story.committed_at


async def rebuilt(store: Journal, story: Story) -> dict[int, object]:
    kept = seqs((await store.changes(ALL)).items)
    bodies = await store.bodies(kept)
    assert sorted(bodies) == kept
    for seq, body in bodies.items():
        assert json.loads(body) == json.loads(story.bodies[seq])
    return bodies


async def test_what_is_left_rebuilds_as_before_and_the_living_are_all_there(store):
    story, dice = Story(), random.Random(7)
    gone: set[str] = set()
    for number in range(240):
        name = f"web-{dice.randrange(9)}"
        if name in gone:
            continue
        late = dice.random() < 0.1
        story.pod(name, dice.randrange(1, 500) * 1000 + number if late else 1_000_000 + number, at=number)
        if dice.random() < 0.03:
            gone.add(name)
            story.pod(name, 2_000_000 + number, gone=True, at=number)
        if number % 20 == 19:
            before = await commit(store, story)
            living = await store.living("Pod", None)
            await prune(store, before - 3000, step=dice.randrange(1, 30))
            await rebuilt(store, story)
            assert await store.living("Pod", None) == living
            assert set(await store.bodies([head.seq for head in living])) == {head.seq for head in living}
    assert len(gone) > 2

    await prune(store, FOR_EVER)

    kept = await rebuilt(store, story)
    heads = await store.heads(list(story.heads))
    assert {head.name for head in heads.values()} == {head.name for head in story.heads.values()} - gone
    assert {head.seq for head in heads.values()} <= set(kept)
    assert len(kept) < 90
    facts = await store.facts()
    assert (facts["changes"], facts["objects"], facts["living"]) == (len(kept), len(heads), len(heads))


async def test_of_a_living_object_its_last_version_and_what_rebuilds_it_stay(store):
    story = Story()
    for rv in range(1, 15):  # the fifth, ninth and thirteenth are key versions
        story.pod("web-1", rv)
    middle = await commit(store, story)
    for rv in range(15, 19):
        story.pod("web-1", rv)
    await commit(store, story)

    await prune(store, middle)

    assert seqs((await store.changes(ALL)).items) == [13, 14, 15, 16, 17, 18]
    await rebuilt(store, story)


async def test_a_late_version_of_before_the_horizon_goes_with_its_time_and_one_of_after_stays(store):
    story = Story()
    for rv in (*range(10, 15), 3, 4, *range(15, 20)):
        story.pod("web-1", rv)
    middle = await commit(store, story)
    late = story.pod("web-1", 5).seq
    before = await commit(store, story)

    await prune(store, middle, step=1)

    # Seqs 5, 10 … are key versions; 12 is the last before the horizon.
    assert seqs((await store.changes(ALL)).items) == [11, 12, late]
    await rebuilt(store, story)
    await prune(store, before, step=1)
    assert seqs((await store.changes(ALL)).items) == [11, 12]


async def test_what_died_before_the_horizon_disappears_and_ingest_is_told_first(store):
    story = Story()
    story.pod("dead", 1)
    dead = story.pod("dead", 2, gone=True).object_id
    story.pod("alive", 1)
    key = next(iter(story.heads))
    middle = await commit(store, story)
    story.pod("dies-later", 1)
    story.pod("dies-later", 2, gone=True)
    await commit(store, story)
    told: list[ObjectKey] = []

    @asynccontextmanager
    async def forgetting(keys):
        assert key in await store.heads([key])
        told.extend(keys)
        yield

    done = await store.prune(before=middle, max_bytes=0, step=100, forgetting=forgetting)

    assert (done.records, done.horizon_seq, done.more, told) == (2, 3, False, [key])
    assert await store.heads([key]) == {}
    assert await store.object(key.uid) is None
    assert await store.known({(dead, Version(1, 1, False))}) == set()
    assert seqs((await store.changes(ALL)).items) == [3, 4, 5]
    assert len((await store.objects(ObjectQuery(include_deleted=True))).items) == 2


async def test_a_dead_object_with_a_late_version_after_the_horizon_stays_until_that_is_old(store):
    story = Story()
    story.pod("web-1", 5)
    story.pod("web-1", 9, gone=True)
    middle = await commit(store, story)
    story.pod("web-1", 7)
    end = await commit(store, story)

    await prune(store, middle)
    assert (await store.facts())["objects"] == 1
    await rebuilt(store, story)

    await prune(store, end)
    assert (await store.facts())["objects"] == 0
    assert seqs((await store.changes(ALL)).items) == []


async def test_the_state_after_the_horizon_is_what_it_was(store):
    story, dice = Story(), random.Random(3)
    for round_ in range(8):
        for _ in range(12):
            name, at = f"web-{dice.randrange(4)}", round_ * 100 + dice.randrange(100)
            rv = next(story.seqs)
            late = dice.random() < 0.2
            story.pod(name, rv if not late else rv * 1000 % 977 + 100_000 * round_, at=at)
        await commit(store, story)
        if round_ == 3:
            middle = story.committed_at

    async def states() -> list[object]:
        return [
            (await store.objects(ObjectQuery(at=at, include_body=True, include_deleted=True))).items
            for at in range(400, 800, 7)
        ]

    was = await states()
    await prune(store, middle)
    assert await states() == was


async def test_ingest_goes_on_from_the_heads(store):
    story = Story()
    for rv in range(1, 8):
        story.pod("web-1", rv)
    end = await commit(store, story)
    await prune(store, end)
    assert (await store.facts())["changes"] < 7

    for rv in range(8, 20):
        story.pod("web-1", rv)
    await commit(store, story)

    await rebuilt(store, story)
    (head,) = (await store.heads(list(story.heads))).values()
    assert (head.version.resource_version, head.seq) == (19, 19)
    assert json.loads(await store.object(head.key.uid))["firstSeenAt"] == "1970-01-01T00:00:00.000000010Z"


async def test_events_go_with_their_time(store):
    story = Story()
    row = story.event("e1", 5)
    story.event("e2", 6, about="web-2")
    middle = await commit(store, story)
    story.event("e1", 9, count=4)
    await commit(store, story)

    await prune(store, middle)

    assert seqs((await store.occurrences(ALL)).items) == [3]
    assert await store.occurrence_counts([row.occurrence.uid]) == {row.occurrence.uid: (1, 9, 4)}
    assert (await store.occurrences(replace(ALL, name="web-2"))).items == []
    story.event("e3", 7, about="web-2")
    await commit(store, story)
    assert seqs((await store.occurrences(replace(ALL, name="web-2"))).items) == [4]


async def test_open_gaps_and_agents_that_are_here_stay(store):
    story = Story()
    story.gap("open", 1, None)
    story.gap("closed", 1, None)
    story.gap("closed", 1, 2, "recovered")
    story.gap("closes later", 1, None)
    story.presence("here", "came")
    story.presence("away", "came")
    story.presence("away", "went")
    story.presence("leaves later", "came")
    middle = await commit(store, story)
    story.gap("closes later", 1, 2, "lost")
    story.presence("leaves later", "went")
    end = await commit(store, story)

    async def left() -> tuple[list[int], list[int]]:
        found = [seqs_of(await store.replay(topic, RecordQuery())) for topic in ("gaps", "presences")]
        return found[0], found[1]

    await prune(store, middle)
    assert await left() == ([1, 4, 9], [5, 8, 10])
    await prune(store, end)
    assert await left() == ([1], [5])
    await store.close()
    state = await store.open()
    assert (list(state.open_gaps), list(state.present)) == (["open"], ["here"])


async def test_numbers_and_counters_survive_and_the_horizon_too(store):
    story = Story()
    story.pod("web-1", 1)
    story.pod("web-1", 2, gone=True)
    story.plan.counters[CounterKey("changes_total", ("Pod", "added"))] = 1
    end = await commit(store, story)
    await prune(store, end)
    await store.close()

    state = await store.open()

    assert (state.last_seq, state.last_object_id, state.last_committed_at) == (2, 1, 1_000_000)
    assert state.counters == {CounterKey("changes_total", ("Pod", "added")): 1}
    facts = await store.facts()
    assert (facts["lastSeq"], facts["horizonSeq"], facts["oldestCommittedAt"]) == (2, 2, 1_000_000)


async def test_the_horizon_is_told_and_a_feed_from_before_begins_there(store):
    story = Story()
    times = []
    for rv in range(1, 5):
        times.append(story.committed_at)
        story.pod("web-1", rv, uid=uid_of(1))
        story.pod("web-2", rv)
        await commit(store, story)
    assert (await store.changes(ALL)).horizon == (0, 0)

    (*_, done) = await prune(store, times[2])

    facts = await store.facts()
    assert (done.horizon_seq, facts["horizonSeq"], facts["oldestCommittedAt"]) == (4, 4, times[2])
    assert [await store.seq_at(at) for at in (0, times[1], times[2], times[3], FOR_EVER)] == [4, 4, 4, 6, 8]
    history = await store.history(uid_of(1), ALL)
    pages = [await store.changes(ALL), await store.gaps(ALL), await store.objects(ObjectQuery()), history]
    assert [page.horizon for page in pages] == [(4, times[1])] * len(pages)
    assert history.since == 10, "a history begins when its object was first seen, whatever is left of it"
    below, above = [await store.replay("changes", RecordQuery(after=seq, limit=2)) for seq in (2, 4)]
    assert (seqs_of(below), below.last, below.horizon) == ([3, 4], 4, (4, times[1]))
    assert (seqs_of(above), above.last, above.horizon) == ([5, 6], 6, (4, times[1]))


async def test_a_step_is_small_and_says_whether_more_is_due(store):
    story = Story()
    for number in range(300):
        story.event(f"e{chr(97 + number % 26)}{number}", number + 1)
    end = await commit(store, story)

    done = await prune(store, end, step=20)

    assert sum(it.records for it in done) == 300
    assert max(it.records for it in done) < 40
    assert [it.more for it in done] == [True] * (len(done) - 1) + [False]
    assert [it.records for it in await prune(store, end)] == [0]


async def test_by_bytes_the_oldest_go_first_until_it_is_small_enough(store):
    story, dice = Story(), random.Random(1)
    for number in range(600):
        body = json.dumps({"spec": dice.randbytes(1000).hex()}).encode()
        story.pod(f"web-{number % 50}", number + 1, uid=uid_of(number % 50), body=body)
    await commit(store, story)
    await store.close()
    await store.open()
    bytes_before = (await store.facts())["bytes"]

    assert [it.records for it in await prune(store, 0, max_bytes=100 * bytes_before)] == [0]
    (*_, done) = await prune(store, 0, max_bytes=bytes_before // 2)

    assert 0 < done.horizon_seq < 590
    await rebuilt(store, story)
    assert len(await store.living("Pod", None)) == 50


async def test_commits_and_pruning_take_turns_and_neither_harms_the_other(store):
    story = Story()
    is_done = False
    horizon = 0

    async def retain() -> None:
        while not is_done:
            await prune(store, horizon, step=5)
            await asyncio.sleep(0)

    task = asyncio.create_task(retain())
    for round_ in range(30):
        for number in range(8):
            story.pod(f"web-{number}", round_ * 10 + 1)
        if round_ % 7 == 3:
            story.pod("web-3", round_ * 10 + 2, gone=True)
        horizon = await commit(store, story) - 2000
    is_done = True
    await task

    await prune(store, horizon)
    kept = await rebuilt(store, story)
    assert len(await store.living("Pod", None)) == 8
    assert list(kept)[-16:] == [*range(story_last(story) - 15, story_last(story) + 1)]


def story_last(story: Story) -> int:
    return max(story.bodies)

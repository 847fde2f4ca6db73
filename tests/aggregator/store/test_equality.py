"""SQLite answers every question as the plain store in memory does, whatever was written and in whatever order."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from aggregator.records import JournalState, ObjectKey, ObjectQuery, RecordQuery, Version
from aggregator.store.base import Journal
from aggregator.store.memory import MemoryJournal
from aggregator.store.sqlite.journal import SqliteJournal
from tests.aggregator.store.story import Story

NAMES = st.sampled_from(["a", "b", "c"])
TIMES = st.integers(1, 60)
POD = st.tuples(st.just("pod"), NAMES, st.integers(1, 2), st.integers(1, 6), st.booleans(), TIMES, st.none() | TIMES)
OTHER = st.tuples(st.sampled_from(["event", "gap", "presence"]), NAMES, st.integers(1, 9))
WORDS = st.sampled_from(["", "", "shop", "else", "Pod", "a", "b", "never"])
QUERIES = st.builds(
    RecordQuery,
    start=st.none() | TIMES,
    to=st.none() | TIMES,
    after=st.none() | st.integers(0, 20),
    namespace=WORDS,
    kind=WORDS,
    name=WORDS,
    q=st.sampled_from(["", "", "A", "rv"]),
    limit=st.integers(1, 5),
    ascending=st.booleans(),
)
OBJECT_QUERIES = st.builds(
    ObjectQuery,
    at=st.none() | TIMES,
    namespace=WORDS,
    name=WORDS,
    include_deleted=st.booleans(),
    include_body=st.booleans(),
    after=st.integers(0, 2),
    limit=st.integers(1, 3),
)


def tell(story: Story, event: tuple) -> None:
    what, name, *rest = event
    if what == "pod":
        epoch, rv, gone, at, after = rest
        versions = story.versions.get(next((head.id for head in story.heads.values() if head.name == name), 0), {})
        if Version(epoch, rv, gone) in versions or (gone and not any(it < Version(epoch, rv, gone) for it in versions)):
            return
        story.pod(name, rv, epoch=epoch, gone=gone, at=at, after=after if gone else None, namespace="shop")
    elif what == "event":
        states = {(row.occurrence.uid, row.occurrence.resource_version) for row in story.occurrences}
        row = story.event(name, rest[0])
        if (row.occurrence.uid, rest[0]) in states:
            story.plan.occurrences.pop()
        else:
            story.occurrences.append(row)
    elif what == "gap":
        story.gap(name, rest[0], rest[0] + 5, ("open", "lost", "recovered")[rest[0] % 3])
    else:
        story.presence(name, ("came", "went")[rest[0] % 2])


async def answers(store: Journal, story: Story, queries: list[RecordQuery], about: list[ObjectQuery]) -> list[object]:
    found: list[object] = [await store.heads(list(story.heads)), await store.living("Pod", None)]
    for query in queries:
        found += [await store.changes(query), await store.occurrences(query), await store.gaps(query)]
        found += [await store.replay(topic, query) for topic in ("changes", "occurrences", "gaps", "presences")]
        found += [await store.history(key.uid, query) for key in story.heads]
    for at in about:
        found.append(await store.objects(at))
        found += [await store.object(key.uid, at.at) for key in story.heads]
    found += [await store.seq_at(at) for at in (0, 1_000_001, 1_002_500)]
    facts = await store.facts()
    return [*found, facts | {"bytes": 0}]


async def prune(store: Journal, story: Story, age: int, step: int) -> set[ObjectKey]:
    """Prune all that is older than the last *age* commits; every version that stays must rebuild as it was written."""
    forgotten: set[ObjectKey] = set()

    @asynccontextmanager
    async def forgetting(keys: Collection[ObjectKey]) -> AsyncIterator[None]:
        forgotten.update(keys)
        yield

    before = story.committed_at - 1000 * age
    while (await store.prune(before=before, max_bytes=0, step=step, forgetting=forgetting)).more:
        pass
    kept = [json.loads(item)["seq"] for item in (await store.changes(RecordQuery(limit=1000))).items]
    bodies = {seq: json.loads(body) for seq, body in (await store.bodies(kept)).items()}
    assert bodies == {seq: json.loads(story.bodies[seq]) for seq in kept}
    return forgotten


def comparable(state: JournalState) -> JournalState:
    return replace(state, journal_id="", redaction_key=b"")


@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    st.lists(st.tuples(st.lists(POD | OTHER, max_size=6), st.none() | st.integers(0, 3)), max_size=5),
    st.integers(1, 9),
    st.lists(QUERIES, min_size=1, max_size=4),
    st.lists(OBJECT_QUERIES, min_size=1, max_size=3),
)
def test_both_stores_answer_alike(transactions, step, queries, about):
    async def both(path: Path) -> None:
        async with AsyncExitStack() as stack:
            memory, sqlite = MemoryJournal(), SqliteJournal(path)
            for store in (memory, sqlite):
                await store.open()
                stack.push_async_callback(store.close)
            story = Story()
            story.occurrences = []
            for events, age in transactions:
                for event in events:
                    tell(story, event)
                plan = story.take()
                await memory.commit(plan)
                await sqlite.commit(plan)
                if age is not None:
                    forgotten = await prune(sqlite, story, age, step)
                    assert await prune(memory, story, age, 1000) == forgotten
                    for key in forgotten:
                        del story.versions[story.heads.pop(key).id]
                assert await answers(sqlite, story, queries, about) == await answers(memory, story, queries, about)
            await sqlite.close()
            assert comparable(await sqlite.open()) == comparable(await memory.open())

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(both(Path(folder) / "journal.db"))

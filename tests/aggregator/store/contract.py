"""The promises of a journal, for every store: imported by test_sqlite.py and test_memory.py, which give `store`."""

import asyncio
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import pytest
from msgspec import structs

from aggregator.errors import BadQuery, StoreClosed, StoreError
from aggregator.records import (
    CounterKey,
    DoubtRow,
    ObjectKey,
    ObjectQuery,
    Plan,
    RecordQuery,
    SnapshotStage,
    StreamRow,
    Version,
)
from aggregator.store.base import Journal
from tests.aggregator.store.story import Story, uid_of

ALL = RecordQuery(limit=1000, ascending=True)


def seqs(page) -> list[int]:
    return [json.loads(item)["seq"] for item in page.items]


async def commit(store: Journal, story: Story) -> None:
    await store.commit(story.take())


async def test_what_was_appended_is_read_back_in_order(store):
    story = Story()
    for rv in range(1, 12):
        story.pod("web-1", rv)
        story.pod("web-2", 100 + rv)
    await commit(store, story)

    items = [json.loads(item) for item in (await store.changes(ALL)).items]

    assert [item["seq"] for item in items] == list(range(1, 23))
    assert items[2]["diff"] == [{"path": ["spec", "rv"], "old": 1, "new": 2}]
    assert items[0] | {"diff": None} == items[0]
    assert (items[0]["name"], items[0]["verb"], items[0]["actor"]) == ("web-1", "added", {"manager": "kubelet"})


async def test_bodies_are_rebuilt_along_their_chains(store):
    story = Story()
    for rv in (*range(10, 30), 5, 7, 6):
        story.pod("web-1", rv)
    await commit(store, story)

    bodies = await store.bodies([*story.bodies, 999])

    assert {seq: json.loads(body) for seq, body in bodies.items()} == {
        seq: json.loads(body) for seq, body in story.bodies.items()
    }


async def test_heads_are_the_highest_versions(store):
    story = Story()
    story.pod("web-1", 5)
    await commit(store, story)
    story.pod("web-1", 9)
    story.pod("web-1", 7)
    story.pod("web-2", 8, node="")
    await commit(store, story)

    assert await store.heads([*story.heads, ObjectKey("Pod", "nobody")]) == story.heads
    assert await store.heads([ObjectKey("Nothing", uid_of(1))]) == {}


async def test_living_are_those_of_the_kind_and_node_that_are_not_gone(store):
    story = Story()
    for name, node in (("a", "n1"), ("b", "n2"), ("c", ""), ("d", "n1")):
        story.pod(name, 10, node=node)
    story.pod("e", 10, kind="Node", node="n1")
    story.pod("d", 11, node="n1", gone=True)
    await commit(store, story)

    async def names(kind: str, node: str | None) -> list[str]:
        return sorted(head.name for head in await store.living(kind, node))

    assert await names("Pod", None) == ["a", "b", "c"]
    assert await names("Pod", "n1") == ["a"]
    assert await names("Pod", "") == ["c"]
    assert await names("Pod", "never") == []
    assert await names("Job", None) == []


async def test_living_leaves_out_what_the_asker_has_seen_and_looks_at_all_the_rest(store, monkeypatch):
    monkeypatch.setattr("aggregator.store.sqlite.journal._HEADS", 2)  # several runs, of which some find nothing
    story = Story()
    rows = [story.pod(f"web-{number}", 10) for number in range(7)]
    uids = {head.id: key.uid for key, head in story.heads.items()}
    await commit(store, story)

    async def names(*seen: int) -> list[str]:
        but = frozenset(uids[rows[number].object_id] for number in seen)
        return [head.name for head in await store.living("Pod", None, but=but)]

    assert await names(0, 1, 2, 3, 5, 6) == ["web-4"]
    assert await names(0, 1, 2, 3, 4, 5, 6) == []
    assert await names(4, 5) == ["web-0", "web-1", "web-2", "web-3", "web-6"]


async def test_known_and_below_tell_versions_apart(store):
    story = Story()
    row = story.pod("web-1", 5)
    high = story.pod("web-1", 9)
    story.pod("web-1", 9, gone=True)
    await commit(store, story)
    one = row.object_id

    assert await store.known(
        {(one, Version(1, 5, False)), (one, Version(1, 6, False)), (one, Version(2, 5, False))}
    ) == {(one, Version(1, 5, False))}
    assert await store.below(one, Version(1, 9, True)) == high.seq
    assert await store.below(one, Version(1, 7, False)) == row.seq
    assert await store.below(one, Version(2, 1, False)) == high.seq + 1
    assert await store.below(one, Version(1, 5, False)) is None
    assert await store.below(99, Version(1, 5, False)) is None


async def test_a_version_is_stored_once_and_a_failed_commit_leaves_nothing(store):
    story = Story()
    story.pod("web-1", 5)
    first = story.take()
    await store.commit(first)
    row = first.changes[0]
    story.pod("web-2", 6)
    plan = story.take()
    plan.changes.append(structs.replace(row, seq=77))
    plan.spools["s"] = 4

    with pytest.raises(StoreError):
        await store.commit(plan)

    assert seqs(await store.changes(ALL)) == [1]
    assert (await store.facts())["lastSeq"] == 1
    assert await store.heads([ObjectKey("Pod", row_key.uid) for row_key in story.heads]) == {
        first.heads[1].key: first.heads[1]
    }
    plan.changes.pop()
    await store.commit(plan)
    assert seqs(await store.changes(ALL)) == [1, 2]


async def test_reads_during_writes_see_whole_transactions(store):
    story = Story()
    done = False

    async def read() -> None:
        while not done:
            found = seqs(await store.changes(ALL))
            assert len(found) % 20 == 0
            assert (await store.facts())["changes"] >= len(found)
            await asyncio.sleep(0)

    readers = [asyncio.create_task(read()) for _ in range(2)]
    for rv in range(1, 11):
        for number in range(20):
            story.pod(f"web-{number}", rv * 100 + number)
        await commit(store, story)
        await asyncio.sleep(0)
    done = True
    await asyncio.gather(*readers)

    assert len(seqs(await store.changes(ALL))) == 200


async def test_pages_follow_each_other_without_a_hole_or_a_repeat(store):
    story = Story()
    for rv in range(1, 24):
        story.pod(f"web-{rv % 3}", rv)
    await commit(store, story)

    for query in (RecordQuery(limit=4), RecordQuery(limit=4, ascending=True), RecordQuery(limit=2, name="web-1")):
        found: list[int] = []
        after: int | None = None
        while True:
            page = await store.changes(replace(query, after=after))
            found += seqs(page)
            after = page.last
            if after is None:
                break
        expected = [seq for seq in range(1, 24) if not query.name or seq % 3 == 1]
        assert found == (expected if query.ascending else expected[::-1])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (RecordQuery(namespace="shop"), [1, 2, 4]),
        (RecordQuery(namespace="nowhere"), []),
        (RecordQuery(namespace="nowhere,shop"), [1, 2, 4]),
        (RecordQuery(kind="Node"), [3]),
        (RecordQuery(name="web-1"), [1, 2]),
        (RecordQuery(name="web-1", kind="Node"), []),
        (RecordQuery(uid=uid_of(7)), [4]),
        (RecordQuery(uid="n-1"), [3]),
        (RecordQuery(manager="kubectl"), [2]),
        (RecordQuery(q="KUBECTL"), [2]),
        (RecordQuery(q="WEB-"), [1, 2, 4]),
        (RecordQuery(q="nothing like it"), []),
        (RecordQuery(start=50), [2, 3, 4]),
        (RecordQuery(to=50), [1]),
        (RecordQuery(start=50, to=70), [2, 3]),
        (RecordQuery(start=50, to=60, name="web-1"), [2]),
        (RecordQuery(start=500), []),
        (RecordQuery(after=2), [3, 4]),
        (RecordQuery(after=99), []),
    ],
)
async def test_a_filter_means_what_it_says(store, query, expected):
    story = Story()
    story.pod("web-1", 5)
    story.pod("web-1", 6, manager="kubectl")
    story.pod("node-1", 7, kind="Node", namespace="", uid="n-1")
    story.pod("web-2", 8, uid=uid_of(7), manager="")
    await commit(store, story)

    assert seqs(await store.changes(replace(query, ascending=True))) == expected


async def test_history_is_ordered_by_epoch_version_and_gone(store):
    story = Story()
    for rv, epoch, gone in ((9, 1, False), (5, 1, False), (9, 1, True), (3, 2, False), (7, 1, False)):
        story.pod("web-1", rv, epoch=epoch, gone=gone)
    await commit(store, story)
    uid = next(iter(story.heads)).uid
    expected = [(1, "5"), (1, "7"), (1, "9"), (1, "9"), (2, "3")]

    def order(page) -> list[tuple[int, str]]:
        items = [json.loads(item) for item in page.items]
        return [(item["epoch"], item["resourceVersion"]) for item in items]

    assert order(await store.history(uid, ALL)) == expected
    assert order(await store.history(uid, RecordQuery())) == expected[::-1]
    first = await store.history(uid, RecordQuery(limit=3, ascending=True))
    rest = await store.history(uid, RecordQuery(limit=3, ascending=True, after=first.last))
    assert (order(first) + order(rest), rest.last) == (expected, None)
    assert await store.history(uid_of(404), ALL) is None


async def test_the_state_at_a_moment_is_the_highest_version_observed_by_then(store):
    story = Story()
    story.pod("web-1", 5, at=100)
    story.pod("web-1", 6, at=200)
    story.pod("web-1", 9, at=400)
    story.pod("web-1", 7, at=500)
    story.pod("web-1", 9, at=600, gone=True)
    await commit(store, story)

    async def state(at: int | None, *, deleted: bool = False) -> list[str]:
        page = await store.objects(ObjectQuery(at=at, include_deleted=deleted))
        return [json.loads(item)["resourceVersion"] for item in page.items]

    assert [await state(at) for at in (99, 100, 300, 450, 550, 600, None)] == [[], ["5"], ["6"], ["9"], ["9"], [], []]
    assert await state(600, deleted=True) == ["9"]
    assert await state(None, deleted=True) == ["9"]


async def test_inside_an_inferred_interval_an_object_is_alive_and_uncertain(store):
    story = Story()
    story.pod("web-1", 5, at=100)
    story.pod("web-1", 5, at=300, gone=True, after=200)
    await commit(store, story)
    uid = next(iter(story.heads)).uid

    async def state(at: int) -> tuple[bool, bool]:
        item = json.loads(await store.object(uid, at))
        return item["gone"], item["uncertain"]

    assert [await state(at) for at in (150, 200, 250, 300)] == [
        (False, False),
        (False, False),
        (False, True),
        (True, False),
    ]
    page = await store.objects(ObjectQuery(at=250))
    assert json.loads(page.items[0])["uncertain"] is True
    assert json.loads(await store.object(uid))["interval"] == {
        "after": "1970-01-01T00:00:00.000000200Z",
        "before": "1970-01-01T00:00:00.000000300Z",
    }


async def test_an_object_is_served_with_what_its_record_carries_beside_the_body(store):
    story = Story()
    for rv in range(1, 9):
        story.pod("web-1", rv)
    await commit(store, story)
    uid = next(iter(story.heads)).uid

    now, then = json.loads(await store.object(uid)), json.loads(await store.object(uid, 55))

    assert now["body"] == {
        "kind": "Pod",
        "metadata": {"name": "web-1", "resourceVersion": "8", "generation": 2},
        "spec": {"rv": 8, "epoch": 1},
    }
    assert (then["resourceVersion"], then["body"]["spec"]["rv"], then["verb"]) == ("5", 5, "modified")
    assert now["firstSeenAt"] == "1970-01-01T00:00:00.000000010Z"
    assert await store.object(uid, 9) is None
    assert await store.object("nobody") is None


async def test_objects_are_paged_by_their_ids(store):
    story = Story()
    for number in range(11):
        story.pod(f"web-{number}", 10 + number, namespace="shop" if number % 2 else "else")
    story.pod("web-3", 99, gone=True)
    await commit(store, story)
    names: list[str] = []
    after: int | None = 0
    while after is not None:
        page = await store.objects(ObjectQuery(after=after, limit=2, include_body=True, namespace="shop"))
        names += [json.loads(item)["body"]["metadata"]["name"] for item in page.items]
        after = page.last

    assert names == ["web-1", "web-5", "web-7", "web-9"]
    assert len((await store.objects(ObjectQuery(q="WEB-1"))).items) == 2


async def test_occurrences_are_kept_by_their_states(store):
    story = Story()
    row = story.event("e1", 5, count=1)
    story.event("e1", 9, count=4)
    story.event("e2", 6, about="web-2", reason="BackOff")
    await commit(store, story)
    uid = row.occurrence.uid

    assert await store.occurrence_counts([uid, "nobody"]) == {uid: (1, 9, 4)}
    assert await store.known_occurrences([(uid, 1, 5), (uid, 1, 6)]) == {(uid, 1, 5)}
    assert seqs(await store.occurrences(ALL)) == [1, 2, 3]
    for query, expected in (
        (RecordQuery(name="web-2"), [3]),
        (RecordQuery(reason="Killing"), [2, 1]),
        (RecordQuery(reason="Killing", name="web-1", limit=1), [2]),
        (RecordQuery(reason="Never"), []),
        (RecordQuery(uid=row.occurrence.regarding.uid), [2, 1]),
        (RecordQuery(kind="Pod", start=50, to=60), [3]),
        (RecordQuery(q="backoff WEB"), [3]),
        (RecordQuery(namespace="else"), []),
    ):
        assert seqs(await store.occurrences(query)) == expected


async def test_a_gap_is_what_its_latest_row_says(store):
    story = Story()
    story.gap("g1", 100, None)
    story.gap("g2", 300, 400, "lost")
    story.gap("g1", 100, 200, "recovered")
    story.gap("g3", 500, None)
    await commit(store, story)

    assert seqs(await store.gaps(ALL)) == [2, 3, 4]
    assert seqs(await store.gaps(ALL, open_or_lost_only=True)) == [2, 4]
    assert seqs(await store.gaps(replace(ALL, start=250, to=350))) == [2]
    assert seqs(await store.gaps(replace(ALL, start=150, to=160))) == [3]
    assert seqs(await store.gaps(RecordQuery(start=600, limit=1))) == [4]


async def test_gaps_of_lines_are_left_out_where_they_say_nothing(store):
    story = Story()
    story.gap("g1", 100, 200, "lost")
    story.gap("g2", 100, 200, "lost", stream="logs/shop/web-0/app")
    await commit(store, story)

    assert seqs(await store.gaps(ALL, open_or_lost_only=True)) == [1, 2]
    assert seqs(await store.gaps(replace(ALL, without_lines=True), open_or_lost_only=True)) == [1]


async def test_a_replay_gives_what_lies_above_until_the_limit(store):
    story = Story()
    story.pod("web-1", 1)
    story.event("e1", 5)
    story.gap("g1", 1, None)
    story.presence("agent", "came")
    story.pod("web-1", 2)
    story.pod("web-2", 3)
    await commit(store, story)

    async def replayed(topic: str, **parameters: object) -> list[int]:
        return [seq for seq, _ in (await store.replay(topic, RecordQuery(**parameters))).rows]

    assert await replayed("changes") == [1, 5, 6]
    assert await replayed("changes", after=1, limit=1) == [5]
    assert await replayed("changes", name="web-2") == [6]
    assert await replayed("occurrences", after=1) == [2]
    assert await replayed("gaps") == [3]
    assert await replayed("presences") == [4]
    with pytest.raises(BadQuery):
        await store.replay("weather", RecordQuery())


async def test_seq_at_is_the_last_seq_committed_before(store):
    story = Story()
    assert await store.seq_at(10**18) == 0
    for rv in range(1, 4):
        story.pod("web-1", rv * 2)
        story.gap(f"g{rv}", 1, None)
        await commit(store, story)

    times = [1_000_000, 1_000_001, 1_001_001, 1_002_001]
    assert [await store.seq_at(at) for at in times] == [0, 2, 4, 6]


async def test_the_state_of_ingest_is_there_when_it_is_opened_again(store):
    story = Story()
    story.gap("open", 1, None)
    story.gap("closed", 1, None)
    story.gap("closed", 1, 2, "lost")
    story.presence("a", "came")
    story.presence("b", "came")
    story.presence("b", "went")
    plan = story.take()
    plan.streams["pods"] = StreamRow(
        name="pods", kind="Pod", resource_version=7, epoch=1, complete_at=5, holder="s", held_since=1, term=3
    )
    plan.terms["pods", 3] = 1
    plan.spools["s"] = 9
    plan.counters[CounterKey("changes_total", ("Pod", "added"))] = 2
    stage = SnapshotStage(stream="pods", id="x", resource_version=4, consistent=True)
    plan.stages["pods"] = stage
    plan.staged.append(("pods", ("u1", "u2")))
    await store.commit(plan)
    await store.commit(
        Plan(counters={CounterKey("changes_total", ("Pod", "added")): 3}, staged=[("pods", ("u3",))], epoch=2)
    )
    await store.commit(Plan(epochs_since={2: 77}))
    await store.commit(Plan(spools={"t": 1, "u": 1}))
    await store.commit(Plan(spools={"u": 2}, forgotten_spools=["t", "u"]))
    gone, anew = CounterKey("changes_total", ("Pod", "gone")), CounterKey("changes_total", ("Node", "added"))
    await store.commit(Plan(counters={gone: 7, anew: 8}))
    await store.commit(Plan(counters={anew: 1}, forgotten_counters=[gone, anew]))
    await store.close()

    state = await store.open()

    assert (state.last_seq, state.epoch, state.cluster, state.cluster_uid) == (6, 2, "test", "c1")
    assert (state.streams, state.terms, state.spools) == (plan.streams, plan.terms, {"s": 9, "u": 2})
    assert state.counters == {CounterKey("changes_total", ("Pod", "added")): 5, anew: 1}
    assert state.stages == {"pods": replace(stage, uids=frozenset({"u1", "u2", "u3"}))}
    assert (list(state.open_gaps), list(state.present), list(state.went)) == (["open"], ["a"], ["b"])
    assert len(state.redaction_key) == 32
    assert state.epochs_since == {2: 77}


async def test_a_stage_ends_with_its_uids_and_another_takes_its_place(store):
    def stage(number: str) -> SnapshotStage:
        return SnapshotStage(stream="pods", id=number, resource_version=4, consistent=True)

    await store.commit(Plan(stages={"pods": stage("x")}, staged=[("pods", ("u1",))]))
    await store.commit(Plan(stages={"pods": stage("y")}, staged=[("pods", ("u2",))]))
    await store.close()
    assert (await store.open()).stages == {"pods": replace(stage("y"), uids=frozenset({"u2"}))}
    await store.commit(Plan(stages={"pods": None}, staged=[("pods", ("u3",))]))
    await store.close()
    assert (await store.open()).stages == {}
    await store.commit(Plan(stages={"pods": stage("z")}))
    await store.close()
    assert (await store.open()).stages == {"pods": stage("z")}


async def test_a_doubt_stays_until_it_is_settled(store):
    def doubt(uid: str, since: int) -> DoubtRow:
        return DoubtRow(
            key=ObjectKey("Pod", uid),
            namespace="shop",
            name=f"web-{uid}",
            resource_version=7,
            after=5,
            settled_by=Version(2, 7, True),
            since=since,
        )

    await store.commit(Plan(doubts={it.key: it for it in (doubt("a", 1), doubt("b", 2), doubt("c", 3))}))
    again = doubt("c", 4)
    await store.commit(Plan(doubts={ObjectKey("Pod", "a"): None, ObjectKey("Pod", "never"): None, again.key: again}))
    await store.close()

    assert (await store.open()).doubts == {it.key: it for it in (doubt("b", 2), again)}


async def test_a_retired_stream_is_forgotten_with_its_terms_and_stages(store):
    def stream(name: str) -> StreamRow:
        return StreamRow(
            name=name, kind="Pod", resource_version=7, epoch=1, complete_at=5, holder="s", held_since=1, term=3
        )

    stage = SnapshotStage(stream="pods/node=a", id="x", resource_version=4, consistent=True)
    await store.commit(
        Plan(
            streams={name: stream(name) for name in ("pods/node=a", "pods/node=b")},
            terms={("pods/node=a", 1): 1, ("pods/node=b", 1): 1},
            stages={"pods/node=a": stage},
            staged=[("pods/node=a", ("u1",))],
        )
    )
    await store.commit(Plan(retired={"pods/node=a", "pods/node=never"}))
    await store.close()
    state = await store.open()
    assert (state.streams, state.terms) == ({"pods/node=b": stream("pods/node=b")}, {("pods/node=b", 1): 1})
    assert state.stages == {}

    # A node that comes again under the name begins without the uids of before.
    await store.commit(Plan(streams={"pods/node=a": stream("pods/node=a")}, stages={"pods/node=a": stage}))
    await store.close()
    assert (await store.open()).stages == {"pods/node=a": stage}


async def test_facts_tell_what_is_there(store):
    story = Story()
    assert (await store.facts())["lastSeq"] == 0
    story.pod("web-1", 1)
    story.pod("web-2", 2)
    story.pod("web-1", 3, gone=True)
    story.gap("g", 1, None)
    await commit(store, story)

    facts = await store.facts()

    assert facts.pop("bytes") > 0
    assert facts == {
        "lastSeq": 4,
        "oldestCommittedAt": 1_000_000,
        "horizonSeq": 0,
        "changes": 3,
        "objects": 2,
        "living": 1,
    }


async def test_close_is_idempotent_and_then_every_call_says_so(store):
    await store.close()
    await store.close()

    calls: list[Callable[[], object]] = [
        lambda: store.commit(Plan()),
        lambda: store.heads([ObjectKey("Pod", "u")]),
        lambda: store.bodies([1]),
        lambda: store.known([(1, Version(1, 1, False))]),
        lambda: store.below(1, Version(1, 1, False)),
        lambda: store.living("Pod", None),
        lambda: store.occurrence_counts(["u"]),
        lambda: store.known_occurrences([("u", 1, 1)]),
        lambda: store.prune(before=1, max_bytes=0, step=10, forgetting=lambda _: nullcontext()),
        lambda: store.changes(ALL),
        lambda: store.occurrences(ALL),
        lambda: store.gaps(ALL),
        lambda: store.objects(ObjectQuery()),
        lambda: store.object("u"),
        lambda: store.history("u", ALL),
        lambda: store.replay("changes", ALL),
        lambda: store.seq_at(1),
        store.facts,
    ]
    for call in calls:
        with pytest.raises(StoreClosed):
            await call()

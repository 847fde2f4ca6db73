"""Events, terminations and changes reach Loki once each, under the names of the lines they explain."""

import asyncio
import time
from contextlib import nullcontext
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from aggregator.outlets.loki import reading
from aggregator.store.sqlite.journal import SqliteJournal
from simulator.loki.app import running_loki
from simulator.loki.faults import Cut
from tests.aggregator.outlets.loki.house import (
    POD,
    POD_UID,
    SECOND,
    ShopStory,
    ended,
    open_memory,
    outlet_of,
    second,
    status,
    until,
)

LINES = {
    "cluster": "prod",
    "namespace": "shop",
    "service_name": "web",
    "application": "storefront",
    "workload_kind": "Deployment",
    "workload": "web",
}
"""What the lines of the pod carry in Loki, but for container and stream."""


def labels_of(loki, query):
    return [dict(stream.labels) for stream in loki.streams(query)]


@pytest.fixture
def story():
    return ShopStory(time.time_ns() - 5 * SECOND)


async def test_what_happens_to_a_pod_is_found_beside_its_lines(story):
    story.web_pod(containers=[status()])
    story.web_pod(containers=[status(state=ended(story.now, code=137, reason="OOMKilled"))])
    story.happened(
        "BackOff", message="Back-off restarting failed container", count=3, field_path="spec.containers{app}"
    )
    story.deployment(replicas=2)
    story.deployment(replicas=3)
    journal = await open_memory(story)
    async with running_loki() as loki, outlet_of(journal, loki.url, now_ns=time.time_ns, last_seq=lambda: 5):
        await until(lambda: len(loki.entries('{cluster="prod"}')) == 4)

        (event,) = loki.entries('{stream="event"}')
        (end,) = loki.entries('{stream="termination"}')
        added, changed = loki.entries('{stream="change"}')
        assert labels_of(loki, '{stream="event"}') == [{**LINES, "container": "app", "stream": "event"}]
        assert labels_of(loki, '{stream="termination"}') == [{**LINES, "container": "app", "stream": "termination"}]
        assert labels_of(loki, '{stream="change"}') == [{**LINES, "stream": "change"}]
        assert event.line.startswith("level=warn reason=BackOff type=Warning kind=Pod name=web-")
        assert " container=app count=3 since=" in event.line
        assert 'msg="Back-off restarting failed container"' in event.line
        assert event.at == story.now
        assert "reason=OOMKilled exit_code=137 signal=9" in end.line
        assert end.at == second(story.now)
        assert "verb=added" in added.line
        assert 'changed="spec.replicas 2 ' in changed.line
        metadata = dict(end.metadata)
        assert (metadata["pod"], metadata["pod_uid"], metadata["node"]) == (POD, POD_UID, "n1")
        assert (metadata["revision"], metadata["reason"], metadata["restart"]) == ("6d4cf56db6", "OOMKilled", "0")


async def test_what_happens_on_a_node_carries_its_zone_also_when_the_node_is_gone(story):
    story.node("n1", "z-1")
    story.node("n1", "z-1", gone=True)
    story.node("n2", "z-2")
    story.web_pod(containers=[status()])
    story.web_pod(containers=[status(state=ended(story.now))])
    story.happened("BackOff")
    story.happened("NodeNotReady", kind="Node", name="n2", uid="n2", namespace="")
    story.happened("NodeNotReady", kind="Node", name="n3", uid="n3", namespace="")
    journal = await open_memory(story)
    async with running_loki() as loki, outlet_of(journal, loki.url, now_ns=time.time_ns, last_seq=lambda: 8):
        await until(lambda: len(loki.entries('{cluster="prod"}')) == 4)

        found = [dict(entry.metadata) for entry in loki.entries('{cluster="prod"}')]
        assert sorted((it["node"], it.get("zone")) for it in found if it["node"] != "n3") == [
            ("n1", "z-1"),
            ("n1", "z-1"),
            ("n2", "z-2"),
        ]
        assert ["zone" in it for it in found if it["node"] == "n3"] == [False]


async def test_an_event_of_a_pod_that_nobody_saw_is_named_from_its_name(story):
    story.committed_at -= 60 * SECOND
    story.happened("Killing", name="api-6d4cf56db6-zzzzz", uid="gone")
    journal = await open_memory(story)
    async with running_loki() as loki, outlet_of(journal, loki.url, now_ns=time.time_ns, last_seq=lambda: 1):
        await until(lambda: loki.entries('{stream="event"}'))

        ((labels),) = labels_of(loki, '{stream="event"}')
        assert (labels["workload_kind"], labels["workload"]) == ("Deployment", "api")
        assert dict(loki.entries('{stream="event"}')[0].metadata)["meta"] == "partial"


async def test_an_event_waits_for_the_pod_that_another_watch_brings(story):
    story.committed_at = time.time_ns()
    story.happened("Scheduled", type="Normal")
    journal = await open_memory(story)
    last = 1
    async with running_loki() as loki, outlet_of(journal, loki.url, now_ns=time.time_ns, last_seq=lambda: last):
        await asyncio.sleep(0)
        story.web_pod()
        await journal.commit(story.take())
        last = 2
        await until(lambda: loki.entries('{stream="event"}'))

        assert labels_of(loki, '{stream="event"}') == [{**LINES, "stream": "event"}]


async def test_an_event_about_a_node_makes_no_stream_for_each_node(story):
    for name in ("n1", "n2"):
        story.happened("NodeNotReady", kind="Node", name=name, uid=name, namespace="")
    journal = await open_memory(story)
    async with running_loki() as loki, outlet_of(journal, loki.url, now_ns=time.time_ns, last_seq=lambda: 2):
        await until(lambda: len(loki.entries('{stream="event"}')) == 2)

        assert labels_of(loki, '{stream="event"}') == [
            {"cluster": "prod", "service_name": "node", "workload_kind": "Node", "stream": "event"}
        ]
        assert [dict(entry.metadata)["node"] for entry in loki.entries('{stream="event"}')] == ["n1", "n2"]


async def test_nothing_is_lost_or_doubled_when_it_is_stopped_and_started_again_and_answers_are_cut(tmp_path, story):
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    story.web_pod(containers=[status()])
    for n in range(30):
        story.web_pod(containers=[status(restarts=n, state=ended(story.now - n * SECOND, container_id=f"c://{n}"))])
        story.happened("BackOff", count=n + 1, at=story.now + n)
        await journal.commit(story.take())
    async with running_loki() as loki:
        for _ in range(4):
            loki.faults.cut(Cut.AFTER, 1)
            loki.faults.answer(500, 1)
            seen = len(loki.arrived('{cluster="prod"}'))
            async with outlet_of(journal, loki.url, now_ns=time.time_ns, last_seq=lambda: 61):
                await until(lambda: len(loki.arrived('{cluster="prod"}')) > seen or seen >= 60)  # noqa: B023
        async with outlet_of(journal, loki.url, now_ns=time.time_ns, last_seq=lambda: 61) as outlet:
            await until(lambda: outlet.readers[0].position >= 60 and outlet.readers[1].position >= 60)
            await until(lambda: not any(reader.lag_seconds() for reader in outlet.readers))

        assert len(loki.entries('{stream="event"}')) == 30
        assert len(loki.entries('{stream="termination"}')) == 30
    assert await journal.cursor("loki/occurrences") >= 60
    await journal.close()


async def test_a_cursor_does_not_move_before_loki_has_it_and_the_lag_shows(story):
    story.committed_at = story.now = time.time_ns() - 30 * SECOND
    story.web_pod()
    story.happened("Killing")
    journal = await open_memory(story)
    async with running_loki() as loki:
        loki.faults.answer(503, 1_000_000)
        async with outlet_of(journal, loki.url, now_ns=time.time_ns, last_seq=lambda: 2) as outlet:
            await until(lambda: len(loki.requests) > 3)

            assert await journal.cursor("loki/occurrences") is None
            assert outlet.readers[0].lag_seconds() >= 30
            text = _exposed(outlet)
            assert 'kubescribe_loki_outlet_lag_seconds{topic="occurrences"} 3' in text
            loki.faults.clear()
            await until(lambda: outlet.readers[0].position == 2)
        assert await journal.cursor("loki/occurrences") == 2
        assert len(loki.entries('{stream="event"}')) == 1


async def test_while_loki_is_away_a_reader_holds_a_few_stretches_and_the_rest_stays_in_the_journal(story, monkeypatch):
    monkeypatch.setattr(reading, "ROWS", 5)
    for n in range(200):
        story.happened("Killing", name=f"pod-{n}", uid="", at=story.now + n)
    journal = await open_memory(story)
    reads = []
    replay = journal.replay

    async def counted(topic, query):
        reads.append(topic)
        return await replay(topic, query)

    journal.replay = counted
    async with running_loki() as loki:
        loki.faults.answer(503, 1_000_000)
        async with outlet_of(journal, loki.url, now_ns=time.time_ns, last_seq=lambda: 200) as outlet:
            await until(lambda: len(loki.requests) > 20)
            assert reads.count("occurrences") <= reading.WINDOW + 3

            loki.faults.clear()
            await until(lambda: outlet.readers[0].position == 200, 20)

        assert len(loki.entries('{stream="event"}')) == 200


async def test_what_retention_deletes_first_is_told_and_counted(story):
    story.committed_at = story.now - 3600 * SECOND
    for _ in range(3):
        story.happened("Killing", name="a", uid="")
    journal = await open_memory(story)
    await journal.move_cursor("loki/occurrences", 1)
    story.committed_at = story.now
    story.happened("Started", name="a", uid="")
    await journal.commit(story.take())
    await journal.prune(before=story.now - SECOND, max_bytes=0, step=100, forgetting=lambda _: nullcontext())
    async with running_loki() as loki, outlet_of(journal, loki.url, now_ns=time.time_ns, last_seq=lambda: 4) as outlet:
        await until(lambda: outlet.readers[0].position == 4)

        assert outlet.readers[0].overtaken == 1
        assert [entry.line.split()[1] for entry in loki.entries('{stream="event"}')] == ["reason=Started"]


async def test_retention_overtakes_nobody_whose_topic_is_quiet(story):
    story.committed_at = story.now - 3600 * SECOND
    for _ in range(3):
        story.web_pod()
    journal = await open_memory(story)
    await journal.move_cursor("loki/occurrences", 0)
    last = 3
    async with (
        running_loki() as loki,
        outlet_of(journal, loki.url, now_ns=time.time_ns, last_seq=lambda: last) as outlet,
    ):
        await until(lambda: outlet.readers[0].position == 3)
        await journal.prune(before=story.now - SECOND, max_bytes=0, step=100, forgetting=lambda _: nullcontext())
        story.committed_at = story.now
        story.happened("Started", name="a", uid="")
        await journal.commit(story.take())
        last = 4
        await until(lambda: loki.entries('{stream="event"}'))

        assert outlet.readers[0].overtaken == 0


async def test_a_reader_that_never_read_begins_an_hour_ago(story):
    story.committed_at = story.now - 3 * 3600 * SECOND
    story.happened("Killing", name="old", uid="")
    old = story.take()
    story.committed_at = story.now
    story.happened("Killing", name="new", uid="")
    journal = await open_memory(story)
    await journal.commit(replace(old, cluster="test"))
    async with running_loki() as loki, outlet_of(journal, loki.url, now_ns=time.time_ns, last_seq=lambda: 2) as outlet:
        await until(lambda: outlet.readers[0].position == 2)

        assert ["name=new" in entry.line for entry in loki.entries('{stream="event"}')] == [True]


def _exposed(outlet):
    registry = CollectorRegistry()
    registry.register(outlet)
    return generate_latest(registry).decode()

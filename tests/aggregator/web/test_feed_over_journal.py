"""The feed over real journals: what is heard live is what is replayed, listed and filtered."""

import asyncio
import contextlib
import itertools
import json

import pytest
from aiohttp import ClientSession
from openapi_schema_validator import OAS31Validator
from prometheus_client import CollectorRegistry

from aggregator.ingest.pipeline import Pipeline
from aggregator.metrics import FeedMetrics
from aggregator.outlets.hub import FeedLimits, Hub
from aggregator.store.opening import open_journal
from aggregator.web.app import public_app
from aggregator.web.guarding import Guard
from aggregator.web.parts import WebParts
from kubescribe.wire.link import Claim, StreamClaim
from kubescribe.wire.records import Actor, Change, Gap, ObjectReference, Occurrence
from tests.aggregator.web.conftest import Recording, line_parts

SECOND = 10**9


@pytest.fixture(params=["memory", "sqlite"])
async def recorded(request, tmp_path, serve):
    """Give a journal with its pipeline, hub and public listener."""
    journal = open_journal("memory:" if request.param == "memory" else str(tmp_path / "journal.db"))
    state = await journal.open()
    ticks = itertools.count(1000 * SECOND, SECOND)
    hub = Hub(
        journal_id=state.journal_id,
        last_seq=state.last_seq,
        metrics=FeedMetrics(CollectorRegistry()),
        now_ns=lambda: next(ticks),
        limits=FeedLimits(batch_seconds=0.001, ring_items=10),
    )
    pipeline = Pipeline(
        journal, state, now_ns=lambda: next(ticks), on_committed=lambda done: hub.publish(done.published)
    )
    parts = WebParts(
        **line_parts(journal),
        journal=journal,
        hub=hub,
        recorder=Recording(),
        guard=Guard(None),
        version="0",
        now_ns=lambda: next(ticks),
    )
    url, _ = await serve(public_app(parts))
    tasks = [asyncio.create_task(pipeline.run()), asyncio.create_task(hub.run())]
    term = (await pipeline.claim("spool", Claim(streams=(StreamClaim(name="pods", kind="Pod"),)))).streams[0].term
    numbers = itertools.count(1)

    async def write(*records):
        await (await pipeline.submit("spool", next(numbers), list(records)))

    yield url, term, write
    tasks[1].cancel()
    await pipeline.stop()
    await asyncio.wait(tasks)
    await journal.close()


def story(term, first, count):
    """Return *count* records about three pods, their events, and a gap."""
    for number in range(first, first + count):
        pod = f"pod-{number % 3}"
        at = (1000 + number) * SECOND
        body = {"metadata": {"name": pod}, "spec": {"image": f"Registry/{number}"}}
        yield Change(
            stream="pods",
            term=term,
            kind="Pod",
            namespace="shop" if number % 3 else "other",
            name=pod,
            uid=f"00000000-0000-0000-0000-00000000000{number % 3}",
            resource_version=number,
            observed_at=at,
            actor=Actor(manager="kubelet" if number % 2 else "helm", operation="Update"),
            body=json.dumps(body).encode(),
        )
        if number % 4 == 0:
            yield Occurrence(
                stream="events",
                term=0,
                uid=f"e-{number}",
                name=f"{pod}.{number}",
                resource_version=number,
                observed_at=at,
                namespace="shop",
                reason="BackOff" if number % 8 else "Pulled",
                event_type="Warning",
                message=f"restarting {pod}",
                regarding=ObjectReference(kind="Pod", namespace="shop", name=pod, uid=f"u-{number}"),
                reporter="kubelet",
            )
        if number % 10 == 0:
            yield Gap(id=f"g{number}", stream="pods", cause="expired", start=at, to=at + 1, outcome="lost")


QUESTIONS = [
    ("changes", {}),
    ("changes", {"namespace": "shop"}),
    ("changes", {"namespace": "nowhere,other"}),
    ("changes", {"name": "pod-1", "manager": "helm"}),
    ("changes", {"q": "registry/1"}),
    ("changes", {"q": "HELM", "from": "1970-01-01T00:16:50Z", "to": "1970-01-01T00:17:00Z"}),
    ("changes", {"kind": "Deployment"}),
    ("occurrences", {}),
    ("occurrences", {"reason": "BackOff"}),
    ("occurrences", {"name": "pod-1", "q": "RESTARTING"}),
    ("gaps", {}),
    ("presence", {}),
]


async def hear(session, url, *, begun, write_rest):
    """Subscribe to every question from 0, before or after the rest is written; return what was heard of each."""
    heard = {f"s{n}": [] for n in range(len(QUESTIONS))}
    prev = dict.fromkeys(heard, 0)
    async with session.ws_connect(url + "/api/v1/feed") as socket:
        for number, (topic, wanted) in enumerate(QUESTIONS):
            message = {"type": "subscribe", "id": f"s{number}", "topic": topic, "filter": wanted, "from": 0}
            await socket.send_json(message)
        begun.set()
        await write_rest
        # The first question asks for all of it; what the others ask for comes with it, or within a moment.
        with contextlib.suppress(TimeoutError):
            while True:
                message = await socket.receive_json(timeout=0.4 if len(heard["s0"]) >= 80 else 20)
                assert message["type"] in {"bookmark", "delta"}, message
                if message["type"] == "delta":
                    assert message["prev"] == prev[message["id"]]
                    prev[message["id"]] = message["seq"]
                    heard[message["id"]] += message["items"]
    return heard


async def test_live_replay_and_lists_agree_whatever_the_filter(recorded):
    url, term, write = recorded

    async def write_rest():
        for first in range(41, 81, 5):
            await write(*story(term, first, 5))

    async def nothing():
        return

    async with ClientSession() as session:
        await write(*story(term, 1, 40))
        live = await hear(session, url, begun=asyncio.Event(), write_rest=write_rest())
        replayed = await hear(session, url, begun=asyncio.Event(), write_rest=nothing())
        listed = {}
        for number, (topic, wanted) in enumerate(QUESTIONS):
            if topic != "presence":
                query = wanted | {"order": "asc", "limit": "1000"}
                async with session.get(f"{url}/api/v1/{topic}", params=query) as response:
                    assert response.status == 200, await response.text()
                    listed[f"s{number}"] = (await response.json())["items"]

    assert len(live["s0"]) == 80
    assert live == replayed
    assert {name: live[name] for name in listed} == listed
    assert [len(live[f"s{n}"]) > 0 for n in range(len(QUESTIONS))] == [n not in {6, 11} for n in range(len(QUESTIONS))]


async def test_objects_snapshot_is_the_state_that_objects_lists(recorded):
    url, term, write = recorded
    await write(*story(term, 1, 30))
    async with ClientSession() as session:
        async with session.ws_connect(url + "/api/v1/feed") as socket:
            await socket.send_json({"type": "subscribe", "id": "o", "topic": "objects", "snapshot": True})
            messages = []
            while not messages or messages[-1]["type"] != "snapshotEnd":
                messages.append(await socket.receive_json())
            await write(*story(term, 31, 1))
            delta = await socket.receive_json()
        async with session.get(url + "/api/v1/objects") as response:
            listed = (await response.json())["items"]

    states = [item for message in messages if message["type"] == "snapshot" for item in message["items"]]
    changed = delta["items"][0]
    assert len(states) == 3
    assert changed["resourceVersion"] == "31"
    (now,) = (item for item in listed if item["uid"] == changed["uid"])
    assert {name: now[name] for name in now if name in changed} == {
        name: changed[name] for name in changed if name in now
    }


async def test_what_is_served_fits_the_schemas_of_the_description(recorded):
    url, term, write = recorded
    await write(*story(term, 1, 30))
    paths = {
        "Change": "changes?limit=1000",
        "Occurrence": "occurrences",
        "Gap": "gaps",
        "Object": "objects?includeBody=true",
        "ObjectDetail": "objects/00000000-0000-0000-0000-000000000001",
        "Status": "status",
        "Agent": "agents",
    }
    async with ClientSession() as session:
        async with session.get(url + "/api/v1/openapi.json") as response:
            document = await response.json()
        for name, path in paths.items():
            async with session.get(f"{url}/api/v1/{path}") as response:
                answer = await response.json()
            schema = document["components"] | {"$ref": f"#/schemas/{name}"}
            validator = OAS31Validator(json.loads(json.dumps(schema).replace("#/components/", "#/")))
            items = answer.get("items", [answer]) if name not in {"Status", "ObjectDetail"} else [answer]
            assert items
            for item in items:
                validator.validate(item)
                assert set(item) <= set(document["components"]["schemas"][name]["properties"])

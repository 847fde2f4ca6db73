"""Lines over HTTP and over the feed."""

import asyncio
import json

import pytest

from agent.lines import answering
from aggregator.logs import following, sinks
from tests.aggregator.logs.house import Fleet, PodJournal

POD = "checkout-5d8f7c9b6-aaaaa"
ASKED = "namespace=shop&workload=checkout"
FILTER = {"namespace": "shop", "workload": "checkout"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(answering, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(following, "HOLD_SECONDS", 0.02)
    monkeypatch.setattr(following, "TICK_SECONDS", 0.01)


@pytest.fixture
async def shop(site_of, tmp_path):
    """A site whose journal knows one pod, on one node with files."""
    fleet = Fleet(tmp_path)
    site = await site_of(agents=fleet, base_path="/cluster-info")
    site.parts.lines.journal = PodJournal()
    site.parts.lines.journal.pod(POD, "a")
    site.node = fleet.node("a")
    site.node.write(POD, 0, "INFO started")
    site.node.write(POD, 1, "ERROR password=hunter2")
    yield site
    await site.parts.tails.close()
    fleet.close()


async def test_lines_are_a_list_that_says_whether_it_is_whole(shop):
    body = await shop.json(f"/api/v1/logs?{ASKED}")

    assert body["items"][1] == {
        "type": "line",
        "at": "2026-01-02T03:04:06.000000000Z",
        "namespace": "shop",
        "workloadKind": "Deployment",
        "workload": "checkout",
        "pod": POD,
        "uid": f"uid-{POD}",
        "node": "a",
        "container": "app",
        "restart": 0,
        "stream": "stdout",
        "level": "error",
        "text": "ERROR password=[scrubbed secret]",
        "source": "node",
    }
    assert (body["next"], body["complete"], body["gaps"], body["missing"]) == (None, True, [], [])


async def test_next_leads_to_the_lines_before(shop):
    body = await shop.json(f"/api/v1/logs?{ASKED}&limit=1")
    before = await shop.json(body["next"].removeprefix("/cluster-info"))

    assert [item["text"] for item in before["items"]] == ["INFO started"]
    assert before["next"] is None


async def test_a_duration_is_how_long_ago(shop):
    assert (await shop.json(f"/api/v1/logs?{ASKED}&since=15m"))["items"] != []
    assert (await shop.json(f"/api/v1/logs?{ASKED}&until=15m"))["items"] == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "workload"),
        ("namespace=shop", "workload"),
        ("workload=checkout", "namespace"),
        ("namespace=shop&pod=a&workload=b", "workload"),
        (f"{ASKED}&grep=(", "grep"),
        (f"{ASKED}&level=loud", "level"),
        (f"{ASKED}&limit=1001", "limit"),
        (f"{ASKED}&since=yesterday", "since"),
        (f"{ASKED}&follow=true&previous=true", "follow"),
        ("namespace=shop&pod=a&workloadKind=Job", "workloadKind"),
    ],
)
async def test_a_question_that_cannot_be_is_a_problem_that_names_the_parameter(shop, query, parameter):
    problem = await shop.json(f"/api/v1/logs?{query}", status=400)

    assert problem["parameter"] == parameter


async def test_a_pod_that_nobody_knows_is_not_found(shop):
    problem = await shop.json("/api/v1/logs?namespace=shop&pod=nobody", status=404)

    assert "no pod of the name 'nobody'" in problem["detail"]


async def test_lines_are_followed_until_the_client_goes(shop):
    async with asyncio.timeout(20), shop.session.get(f"{shop.url}/api/v1/logs?{ASKED}&follow=true&limit=1") as answer:
        assert answer.content_type == "application/x-ndjson"
        said = []
        async for line in answer.content:
            said.append(json.loads(line))
            if said[-1].get("text") == "ERROR password=[scrubbed secret]":
                shop.node.write(POD, 2, "new")
            if said[-1].get("text") == "new":
                break
    async with asyncio.timeout(10):
        while shop.node.under_way:
            await asyncio.sleep(0.01)

    assert [it["type"] for it in said] == ["bookmark", "line", "line"]
    assert len(shop.parts.tails) == 0


async def test_the_feed_tells_lines_as_they_come_and_ends_with_unsubscribe(shop, told):
    async with shop.feed() as socket:
        await socket.send_json({"type": "hello"})
        await socket.send_json({"type": "subscribe", "id": "tail", "topic": "logs", "filter": FILTER})
        first = (await told(socket, "delta"))[-1]
        shop.node.write(POD, 2, "new")
        second = (await told(socket, "delta"))[-1]
        await socket.send_json({"type": "update", "id": "tail", "filter": {**FILTER, "grep": "start"}})
        third = (await told(socket, "delta"))[-1]
        await socket.send_json({"type": "unsubscribe", "id": "tail"})
        async with asyncio.timeout(10):
            while shop.node.under_way:
                await asyncio.sleep(0.01)

    assert [it["text"] for it in first["items"]] == ["INFO started", "ERROR password=[scrubbed secret]"]
    assert (first["prev"], first["seq"], second["prev"], second["seq"]) == (0, 2, 2, 3)
    assert [it["text"] for it in second["items"]] == ["new"]
    assert [it["text"] for it in third["items"]] == ["INFO started"]


async def test_the_feed_s_close_ends_the_requests_to_the_agents(shop, told):
    async with shop.feed() as socket:
        await socket.send_json({"type": "hello"})
        await socket.send_json({"type": "subscribe", "id": "tail", "topic": "logs", "filter": FILTER})
        await told(socket, "delta")
        assert shop.node.under_way == 1
    async with asyncio.timeout(10):
        while shop.node.under_way:
            await asyncio.sleep(0.01)


async def test_server_sent_events_tell_lines_too(shop):
    path = f"{shop.url}/api/v1/feed/sse?topic=logs&{ASKED}&level=error"
    async with asyncio.timeout(10), shop.session.get(path) as answer:
        said = b""
        while b"ERROR" not in said:
            said += await answer.content.readany()

    assert b'id: 1\ndata: {"type":"delta","id":"sse","prev":0,"seq":1,"items":[{"type":"line"' in said
    await shop.json("/api/v1/feed/sse?topic=logs&namespace=shop", status=400)


async def test_a_filter_that_is_about_nobody_is_refused(shop, told):
    async with shop.feed() as socket:
        await socket.send_json({"type": "hello"})
        await socket.send_json({"type": "subscribe", "id": "tail", "topic": "logs", "filter": {"kind": "Pod"}})
        error = (await told(socket, "error"))[-1]

    assert (error["code"], error["id"]) == ("badFilter", "tail")


async def test_a_client_that_is_slow_is_told_what_it_lost(shop, told, monkeypatch):
    monkeypatch.setattr(sinks, "MAX_SINK_LINES", 10)
    for second in range(2, 40):
        shop.node.write(POD, second, f"line {second}")
    async with shop.feed() as socket:
        await socket.send_json({"type": "hello"})
        await socket.send_json({"type": "subscribe", "id": "tail", "topic": "logs", "filter": FILTER})
        messages = await told(socket, "delta")

    gap = next(it for it in messages if it["type"] == "gap")
    assert (gap["cause"], gap["count"], gap["fromSeq"], gap["toSeq"]) == ("slowClient", 30, 0, 30)
    assert (messages[-1]["prev"], len(messages[-1]["items"])) == (30, 10)
    assert messages[-1]["items"][-1]["at"].startswith("2026-01-02T03:04:44")

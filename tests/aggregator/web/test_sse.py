"""The feed as server-sent events."""

import asyncio
import json


async def events_of(response, count):
    found = []
    async with asyncio.timeout(10):
        while len(found) < count:
            block = (await response.content.readuntil(b"\n\n")).decode()
            fields = dict(line.split(": ", 1) for line in block.strip().splitlines() if not line.startswith(":"))
            if "data" in fields:
                found.append((fields.get("id"), json.loads(fields["data"])))
    return found


async def test_events_carry_the_feeds_messages_and_the_resume_point_as_id(site):
    site.bench.publish(2)
    async with site.session.get(site.url + "/api/v1/feed/sse?topic=changes&from=1") as response:
        assert response.content_type == "text/event-stream"
        (first_id, bookmark), (second_id, delta) = await events_of(response, 2)
        site.bench.publish(1)
        ((third_id, live),) = await events_of(response, 1)

    assert (first_id, bookmark["type"], bookmark["seq"]) == ("1", "bookmark", 1)
    assert (second_id, delta["prev"], delta["seq"]) == ("2", 1, 2)
    assert (third_id, live["prev"], live["items"][0]["seq"]) == ("3", 2, 3)


async def test_last_event_id_resumes_and_goes_before_from(site):
    site.bench.publish(5)
    headers = {"Last-Event-ID": "3"}
    async with site.session.get(site.url + "/api/v1/feed/sse?from=now", headers=headers) as response:
        _, (_, delta) = await events_of(response, 2)

    assert [item["seq"] for item in delta["items"]] == [4, 5]


async def test_the_filter_is_that_of_the_lists(site):
    async with site.session.get(site.url + "/api/v1/feed/sse?namespace=mine") as response:
        await events_of(response, 1)
        site.bench.publish(1, namespace="other")
        site.bench.publish(1, namespace="mine")
        ((_, delta),) = await events_of(response, 1)

    assert delta["seq"] == 2


async def test_heartbeats_are_comments(site_of):
    site = await site_of(heartbeat_seconds=0.05)
    async with site.session.get(site.url + "/api/v1/feed/sse") as response:
        async with asyncio.timeout(10):
            while not (await response.content.readline()).startswith(b": heartbeat"):
                pass


async def test_a_bad_last_event_id_is_400(site):
    problem = await site.json("/api/v1/feed/sse", status=400, headers={"Last-Event-ID": "x"})

    assert problem["parameter"] == "Last-Event-ID"


async def test_a_client_that_goes_is_forgotten(site, until):
    async with site.session.get(site.url + "/api/v1/feed/sse") as response:
        await events_of(response, 1)
        assert site.bench.hub.client_count == 1
        response.close()
    await until(lambda: site.bench.hub.client_count == 0)


async def test_a_stopping_aggregator_ends_the_stream_with_bye(site):
    async with site.session.get(site.url + "/api/v1/feed/sse") as response:
        await events_of(response, 1)
        stopping = asyncio.create_task(site.runner.cleanup())
        ((_, bye),) = await events_of(response, 1)
        rest = await response.content.read()
        await stopping

    assert bye["type"] == "bye"
    assert rest == b""

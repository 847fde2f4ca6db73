"""Questions are answered in Loki's shape."""

import asyncio
import json

import pytest

SECOND = 1_000_000_000


@pytest.fixture
async def filled(client, now):
    client.now = now
    await client.push(
        ('{app="web", env="prod"}', [(now, "GET / 200", {"pod": "web-0"}), (now + SECOND, "GET /x 500")]),
        ('{app="api", env="prod"}', [(now + 1, 'level=error msg="boom"', {"pod": "api-0"})]),
    )
    return client


async def ask(client, query, **more):
    return await client.get(
        "/loki/api/v1/query_range",
        query=query,
        start=str(client.now - SECOND),
        end=str(client.now + 10 * SECOND),
        **more,
    )


def lines(answer):
    return sorted(line for stream in answer["data"]["result"] for _, line, *_ in stream["values"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('{env="prod"}', 3),
        ('{app=~"w.*"}', 2),
        ('{env="prod", app!="web"}', 1),
        ('{env="prod"} |= "GET" != "500"', 1),
        ('{env="prod"} |~ "5\\\\d\\\\d$"', 1),
        ('{env="prod"} !~ `GET|boom`', 0),
        ('{env="prod"} | pod="api-0"', 1),
        ('{env="prod"} | pod=~"web-.*" |= "GET"', 1),
        ('{env="prod"} | detected_level="error"', 1),
        ('{env="prod"} | logfmt | msg="boom"', 1),
        ('{env="prod"} | json | msg="boom"', 0),
    ],
)
async def test_a_query_finds_what_it_selects(filled, query, expected):
    answer = await ask(filled, query)

    assert answer["status"] == "success"
    assert answer["data"]["resultType"] == "streams"
    assert len(lines(answer)) == expected


async def test_direction_and_limit_choose_which_entries_come(filled):
    newest = await ask(filled, '{env="prod"}', limit="1")
    oldest = await ask(filled, '{env="prod"}', limit="1", direction="forward")

    assert (lines(newest), lines(oldest)) == (["GET /x 500"], ["GET / 200"])
    assert oldest["data"]["result"][0] == {
        "stream": {"app": "web", "detected_level": "unknown", "env": "prod", "pod": "web-0", "service_name": "web"},
        "values": [[str(filled.now), "GET / 200"]],
    }


async def test_the_end_is_not_included(filled):
    answer = await filled.get(
        "/loki/api/v1/query_range", query='{app="web"}', start=str(filled.now), end=str(filled.now + SECOND)
    )

    assert lines(answer) == ["GET / 200"]


@pytest.mark.parametrize("query", ["{}", '{app=~".*"}', "app", '{app="x"', '{app="x"} | unpack', '{app=~"("}'])
async def test_a_query_that_loki_refuses_is_refused(filled, query):
    status, text = await ask(filled, query)

    assert status == 400
    assert text.startswith("parse error")


async def test_more_than_the_limit_cannot_be_asked_for(filled):
    assert await ask(filled, '{app="web"}', limit="5001") == (
        400,
        "max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)\n",
    )


async def test_labels_and_series_are_listed(filled):
    assert (await filled.get("/loki/api/v1/labels"))["data"] == ["app", "env", "service_name"]
    assert (await filled.get("/loki/api/v1/label/app/values"))["data"] == ["api", "web"]
    assert (await filled.get("/loki/api/v1/series", **{"match[]": '{app="api"}'}))["data"] == [
        {"app": "api", "env": "prod", "service_name": "api"}
    ]


async def test_it_says_that_it_is_ready_and_what_it_discarded(start, now):
    client = await start(max_line_bytes=1)
    await client.push(('{app="x"}', [(now, "long")]))

    async with client.session.get(f"{client.loki.url}/ready") as response:
        assert await response.text() == "ready\n"
    async with client.session.get(f"{client.loki.url}/metrics") as response:
        assert 'loki_discarded_samples_total{reason="line_too_long",tenant="fake"} 1' in await response.text()


async def test_a_tail_carries_what_was_asked_for_and_then_what_comes(filled):
    query = {"query": '{env="prod"} |= "GET"', "start": str(filled.now - SECOND)}
    async with filled.session.ws_connect(f"{filled.loki.url}/loki/api/v1/tail", params=query) as socket:
        async with asyncio.timeout(10):
            first = json.loads(await socket.receive_str())
        await filled.push(('{app="web", env="prod"}', [(filled.now + 2 * SECOND, "GET /new"), (filled.now, "POST")]))
        async with asyncio.timeout(10):
            second = json.loads(await socket.receive_str())

    assert [value[1] for stream in first["streams"] for value in stream["values"]] == ["GET / 200"]
    assert second["streams"][0]["values"] == [[str(filled.now + 2 * SECOND), "GET /new"]]


async def test_a_tail_too_many_is_closed_with_the_reason(start):
    client = await start(max_tails=0)

    async with client.session.ws_connect(f"{client.loki.url}/loki/api/v1/tail", params={"query": '{a="b"}'}) as socket:
        async with asyncio.timeout(10):
            message = await socket.receive()

    assert message.data == 1011
    assert message.extra == "max concurrent tail requests limit exceeded, count > limit (1 > 0)"

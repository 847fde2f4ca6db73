"""The conversation of the feed."""

import asyncio
import base64
import json

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError


async def test_hello_is_answered_by_welcome_with_what_a_client_must_know(site, told):
    async with site.feed() as socket:
        await socket.send_json({"type": "hello", "client": "test"})
        (welcome,) = await told(socket, "welcome")

    assert socket.protocol == "kubescribe.feed.v1"
    assert welcome["journalId"] == "j1"
    assert welcome["heartbeatSeconds"] == 20
    assert welcome["limits"]["subscriptions"] == 32
    assert welcome["serverTime"].endswith("Z")


async def test_subscribe_may_precede_welcome_and_is_answered_by_a_bookmark(site, told):
    site.bench.publish(3)
    async with site.feed() as socket:
        await socket.send_json({"type": "subscribe", "id": "a", "topic": "changes", "from": "now"})
        (bookmark,) = await told(socket, "bookmark")
        site.bench.publish(1)
        (delta,) = await told(socket, "delta")

    assert (bookmark["id"], bookmark["seq"]) == ("a", 3)
    assert (delta["id"], delta["prev"], delta["seq"]) == ("a", 3, 4)
    assert delta["items"][0]["seq"] == 4


@pytest.mark.parametrize("origin", [1, "1"])
async def test_from_a_seq_replays_and_goes_over_into_live(site, told, origin):
    site.bench.publish(3)
    async with site.feed() as socket:
        await socket.send_json({"type": "subscribe", "id": "a", "topic": "changes", "from": origin})
        seen = []
        while len(seen) < 4:
            message = (await told(socket, "delta"))[-1]
            seen += [item["seq"] for item in message["items"]]
            if len(seen) == 2:
                site.bench.publish(2)

    assert seen == [2, 3, 4, 5]


async def test_a_client_resumes_where_it_was(site, told):
    site.bench.publish(5)
    async with site.feed() as socket:
        await socket.send_json({"type": "hello", "resume": {"journalId": "j1", "subs": {"a": 3}}})
        await socket.send_json({"type": "subscribe", "id": "a", "topic": "changes"})
        (welcome,) = await told(socket, "welcome")
        delta = (await told(socket, "delta"))[-1]

    assert welcome["resumed"] is True
    assert [item["seq"] for item in delta["items"]] == [4, 5]
    assert delta["prev"] == 3


async def test_a_client_of_another_journal_is_told_by_a_gap(site, told):
    site.bench.publish(5)
    async with site.feed() as socket:
        await socket.send_json({"type": "hello", "resume": {"journalId": "other", "subs": {"a": 3}}})
        await socket.send_json({"type": "subscribe", "id": "a", "topic": "changes"})
        messages = await told(socket, "bookmark")

    assert [m["type"] for m in messages] == ["welcome", "gap", "bookmark"]
    assert messages[0]["resumed"] is False
    assert messages[1]["cause"] == "journalChanged"
    assert messages[2]["seq"] == 5


async def test_an_updated_filter_goes_on_from_where_the_subscription_is(site, told):
    async with site.feed() as socket:
        await socket.send_json({"type": "subscribe", "id": "a", "topic": "changes", "filter": {"namespace": "one"}})
        await told(socket, "bookmark")
        site.bench.publish(1, namespace="one")
        first = (await told(socket, "delta"))[-1]
        await socket.send_json({"type": "update", "id": "a", "filter": {"namespace": "two"}})
        bookmark = (await told(socket, "bookmark"))[-1]
        site.bench.publish(1, namespace="one")
        site.bench.publish(1, namespace="two")
        second = (await told(socket, "delta"))[-1]

    assert first["seq"] == 1
    assert bookmark["seq"] == 1
    assert (second["prev"], second["seq"]) == (1, 3)


async def test_after_unsubscribe_nothing_more_comes(site, told):
    async with site.feed() as socket:
        await socket.send_json({"type": "subscribe", "id": "a", "topic": "changes"})
        await told(socket, "bookmark")
        await socket.send_json({"type": "unsubscribe", "id": "a"})
        await socket.send_json({"type": "subscribe", "id": "b", "topic": "changes"})
        await told(socket, "bookmark")
        site.bench.publish(1)
        deltas = await told(socket, "delta")

    assert [m["id"] for m in deltas] == ["b"]


async def test_a_ping_is_answered_with_its_own_t(site, told):
    async with site.feed() as socket:
        await socket.send_json({"type": "ping", "t": {"any": [1, "é"]}})
        (pong,) = await told(socket, "pong")

    assert pong["t"] == {"any": [1, "é"]}


async def test_a_protocol_ping_is_answered_too(site):
    async with site.feed(autoping=False) as socket:
        await socket.ping(b"x")
        message = await socket.receive()

    assert (message.type, message.data) == (WSMsgType.PONG, b"x")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not json", "badMessage"),
        ("[1]", "badMessage"),
        ('"hello"', "badMessage"),
        ("{}", "badMessage"),
        ('{"type":"dance"}', "badMessage"),
        ('{"type":"subscribe","id":1,"topic":"changes"}', "badMessage"),
        ('{"type":"subscribe","id":"","topic":"changes"}', "badMessage"),
        ('{"type":"subscribe","id":"a","topic":"secrets"}', "unknownTopic"),
        ('{"type":"subscribe","id":"a","topic":"changes","filter":{"colour":"red"}}', "badFilter"),
        ('{"type":"subscribe","id":"a","topic":"changes","filter":{"kind":["Pod"]}}', "badFilter"),
        ('{"type":"subscribe","id":"a","topic":"changes","from":"yesterday"}', "badFrom"),
        ('{"type":"subscribe","id":"a","topic":"changes","from":-1}', "badFrom"),
        ('{"type":"subscribe","id":"a","topic":"changes","from":99999999999999999999}', "badMessage"),
        ('{"type":"unsubscribe","id":"nobody"}', "unknownId"),
        ('{"type":"update","id":"nobody"}', "unknownId"),
        ("[" * 10_000, "badMessage"),
    ],
)
async def test_a_bad_message_is_answered_with_its_code_and_the_conversation_goes_on(site, told, text, code):
    async with site.feed() as socket:
        await socket.send_str(text)
        (error,) = await told(socket, "error")
        await socket.send_json({"type": "ping", "t": 1})
        await told(socket, "pong")

    assert error["code"] in {code, "badFrom"} if code == "badMessage" else error["code"] == code
    assert error["message"]
    assert error["retryable"] is False


async def test_too_many_bad_messages_end_the_conversation(site, told):
    async with site.feed() as socket:
        for _ in range(30):
            await socket.send_str("nonsense")
        await told(socket, "bye")
        message = await socket.receive()

    assert (message.type, message.data) == (WSMsgType.CLOSE, 4400)


async def test_a_message_over_the_limit_closes_that_connection_alone(site, told):
    async with site.feed() as other, site.feed() as socket:
        await socket.send_str("x" * 70_000)
        message = await socket.receive()
        await other.send_json({"type": "ping"})
        await told(other, "pong")

    assert (message.type, message.data) == (WSMsgType.CLOSE, 1009)


async def test_subscriptions_of_one_connection_are_limited(site_of, told):
    site = await site_of(max_subscriptions=2)
    async with site.feed() as socket:
        for name in ("a", "b", "c"):
            await socket.send_json({"type": "subscribe", "id": name, "topic": "changes"})
        error = (await told(socket, "error"))[-1]

    assert (error["code"], error["id"]) == ("tooManySubscriptions", "c")


async def test_an_id_is_used_once(site, told):
    async with site.feed() as socket:
        for _ in range(2):
            await socket.send_json({"type": "subscribe", "id": "a", "topic": "changes"})
        error = (await told(socket, "error"))[-1]

    assert error["code"] == "idInUse"


async def test_clients_above_the_limit_are_told_to_come_later(site_of, told):
    site = await site_of(max_clients=1)
    async with site.feed() as socket:
        await socket.send_json({"type": "ping"})
        await told(socket, "pong")
        with pytest.raises(WSServerHandshakeError) as refused:
            await site.feed()

    assert refused.value.status == 503


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://127.0.0.1:1", "http://[bad"])
async def test_a_foreign_origin_is_refused(site, origin):
    with pytest.raises(WSServerHandshakeError) as refused:
        await site.feed(headers={"Origin": origin})

    assert refused.value.status == 403


async def test_the_own_origin_and_a_missing_one_are_accepted(site, told):
    for headers in ({"Origin": site.url}, {}):
        async with site.feed(headers=headers) as socket:
            await socket.send_json({"type": "ping"})
            await told(socket, "pong")


async def test_a_plain_request_is_told_what_this_is(site):
    problem = await site.json("/api/v1/feed", status=426)

    assert "websocket" in problem["detail"]


async def test_a_stopping_aggregator_says_bye(site, told):
    async with site.feed() as socket:
        await socket.send_json({"type": "subscribe", "id": "a", "topic": "changes"})
        await told(socket, "bookmark")
        stopping = asyncio.create_task(site.runner.cleanup())
        bye = (await told(socket, "bye"))[-1]
        message = await socket.receive()
        await socket.close()
        await stopping

    assert bye["reason"] == "stopping"
    assert (message.type, message.data) == (WSMsgType.CLOSE, 1012)


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "tokens"
    path.write_text("alice:s3cret:with-colon\nplain-token\n")
    return path


async def test_a_token_opens_the_feed_by_header_subprotocol_or_hello(site_of, told, token_file):
    site = await site_of(token_file=token_file)
    encoded = base64.urlsafe_b64encode(b"s3cret:with-colon").decode().rstrip("=")
    ways = [
        ({"headers": {"Authorization": "Bearer plain-token"}}, None),
        ({"protocols": ("kubescribe.feed.v1", f"kubescribe.bearer.{encoded}")}, None),
        ({}, "plain-token"),
    ]
    for options, token in ways:
        async with site.feed(**options) as socket:
            await socket.send_json({"type": "hello", "token": token})
            await told(socket, "welcome")
            assert socket.protocol == "kubescribe.feed.v1"


async def test_without_a_token_the_feed_says_nothing(site_of, told, token_file):
    site = await site_of(token_file=token_file)
    async with site.feed() as socket:
        await socket.send_json({"type": "subscribe", "id": "a", "topic": "changes"})
        error = (await told(socket, "error"))[-1]
        await socket.send_json({"type": "hello", "token": "wrong"})
        messages = await told(socket, "bye")
        message = await socket.receive()

    assert error["code"] == "unauthorized"
    assert [m["type"] for m in messages] == ["error", "bye"]
    assert message.data == 4401


async def test_a_wrong_token_in_the_header_is_refused_at_once(site_of, token_file):
    site = await site_of(token_file=token_file)
    with pytest.raises(WSServerHandshakeError) as refused:
        await site.feed(headers={"Authorization": "Bearer wrong"})

    assert refused.value.status == 401


async def test_a_journal_that_does_not_answer_ends_the_subscription_not_the_connection(site, told):
    from aggregator.errors import StoreUnavailable

    async def fail():
        raise StoreUnavailable("disk I/O error")

    site.bench.publish(1)
    site.bench.hub.ring.floor = 1
    site.bench.journal.pause = fail
    async with site.feed() as socket:
        await socket.send_json({"type": "subscribe", "id": "a", "topic": "changes", "from": 0})
        error = (await told(socket, "error"))[-1]
        site.bench.journal.pause = None
        await socket.send_json({"type": "subscribe", "id": "a", "topic": "changes", "from": 0})
        delta = (await told(socket, "delta"))[-1]

    assert (error["code"], error["retryable"], error["id"]) == ("unavailable", True, "a")
    assert json.dumps(delta["items"][0]["seq"]) == "1"

"""Faults on demand: a sender sees what a Loki in trouble shows it."""

import asyncio

import aiohttp
import pytest

from simulator.loki.control import LokiControl, LokiVerbRefused

STREAM = '{app="x"}'


async def test_a_number_of_pushes_is_answered_with_an_error_and_stored_not(client, now):
    client.loki.faults.answer(503, 2, text="no healthy ingester", retry_after="3")

    async with client.session.post(f"{client.loki.url}/loki/api/v1/push", data=b"x") as response:
        assert response.headers["Retry-After"] == "3"
    assert await client.push((STREAM, [(now, "one")])) == (503, "no healthy ingester\n")
    assert await client.push((STREAM, [(now, "two")])) == (204, "")
    assert [entry.line for entry in client.loki.entries()] == ["two"]
    assert [seen.status for seen in client.loki.requests] == [503, 503, 204]


@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("halfway", 0), ("after", 1)])
async def test_a_connection_is_cut(client, now, when, stored):
    client.loki.faults.cut(when)

    with pytest.raises(aiohttp.ClientError):
        await client.push((STREAM, [(now, "one" * 1000)]))

    assert len(client.loki.entries()) == stored
    assert client.loki.requests[0].status == 0
    assert (await client.push((STREAM, [(now, "one" * 1000)])))[0] == 204
    assert len(client.loki.entries()) == 1


async def test_it_can_be_down_and_come_back_with_what_it_had(client, now):
    await client.push((STREAM, [(now, "one")]))

    await client.loki.down()
    with pytest.raises(aiohttp.ClientError):
        await client.push((STREAM, [(now, "two")]))
    await client.loki.up()

    assert (await client.push((STREAM, [(now, "three")])))[0] == 204
    assert [entry.line for entry in client.loki.entries()] == ["one", "three"]


async def test_the_verbs_do_the_same_over_http(client, now):
    async with LokiControl(client.loki.url) as control:
        await control.answer(500)
        assert (await client.push((STREAM, [(now, "one")])))[0] == 500
        await control.cut("before")
        with pytest.raises(aiohttp.ClientError):
            await client.push((STREAM, [(now, "one")]))
        await client.push((STREAM, [(now, "two", {"pod": "p"})]))
        await control.answer(500, 7)
        await control.mend()

        assert await control.arrived() == [('{app="x", service_name="x"}', now, "two", {"pod": "p"})]
        state = await control.state()
        assert (state["requests"], state["entries"], state["streams"], state["faults"]) == (3, 1, 1, 0)
        with pytest.raises(LokiVerbRefused, match="known are"):
            await control.verb("fault", {"colour": "red"})
        await control.clear()
        assert await control.arrived() == []


async def test_it_goes_down_for_a_while_when_told_over_http(client, now):
    async def push():
        try:
            return (await client.push((STREAM, [(now, "one")])))[0]
        except aiohttp.ClientError:
            return 0

    async with LokiControl(client.loki.url) as control:
        await control.down(0.05)

    async with asyncio.timeout(20):
        while await push() == 204:
            pass
        while await push() != 204:
            pass


async def test_a_delayed_answer_comes_and_is_stored(client, now):
    client.loki.faults.delay(0.01)

    assert (await client.push((STREAM, [(now, "one")])))[0] == 204

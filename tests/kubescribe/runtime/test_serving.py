"""Listening inside the block, one line when that is not possible."""

import asyncio
import socket
import time

import aiohttp
import pytest
from aiohttp import web

from kubescribe.runtime.errors import ListenFailed, PortInUse
from kubescribe.runtime.serving import Listener, serving
from kubescribe.runtime.values import HostPort

ANY = HostPort("127.0.0.1", 0)


async def hello(_request: web.Request) -> web.Response:
    return web.Response(text="hello")


def application() -> web.Application:
    app = web.Application()
    app.router.add_get("/", hello)
    return app


async def test_it_listens_inside_the_block_on_the_port_it_names() -> None:
    async with serving(application(), ANY, option="--http") as listener, aiohttp.ClientSession() as session:
        assert listener.port > 0
        async with session.get(listener.url) as answer:
            assert await answer.text() == "hello"

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", listener.port)


async def test_a_port_in_use_is_one_line_that_names_the_option() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(PortInUse) as caught:
            async with serving(application(), HostPort("127.0.0.1", port), option="--http"):
                pytest.fail("it listens")

    assert str(caught.value).startswith(f"--http 127.0.0.1:{port}: the port is in use;")
    assert "\n" not in str(caught.value)


async def test_an_address_of_another_machine_is_one_line() -> None:
    with pytest.raises(ListenFailed, match=r"--http 192\.0\.2\.1:0: cannot listen there"):
        async with serving(application(), HostPort("192.0.2.1", 0), option="--http"):
            pytest.fail("it listens")


async def test_a_handler_that_does_not_end_is_cut_off() -> None:
    entered = asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        entered.set()
        await asyncio.sleep(3600)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", slow)
    async with aiohttp.ClientSession() as session:
        async with serving(app, ANY, option="--http", shutdown_seconds=0.05) as listener:
            asking = asyncio.create_task(session.get(listener.url))
            async with asyncio.timeout(5):
                await entered.wait()
            began = time.monotonic()
        assert time.monotonic() - began < 5
        with pytest.raises(aiohttp.ClientError):
            await asking


@pytest.mark.parametrize(
    ("listener", "url"),
    [
        (Listener("127.0.0.1", 8080), "http://127.0.0.1:8080"),
        (Listener("", 8080), "http://127.0.0.1:8080"),
        (Listener("::", 8080), "http://[::1]:8080"),
        (Listener("fd00::1", 8080), "http://[fd00::1]:8080"),
        (Listener("localhost", 8080), "http://localhost:8080"),
    ],
)
def test_the_url_is_one_that_this_machine_reaches(listener: Listener, url: str) -> None:
    assert listener.url == url

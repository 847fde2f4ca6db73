"""The HTTP session: what an answer means, what start-up says, how silence is noticed."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from agent.errors import NoAnswer, ServerSaid
from agent.kube.session import keepalive_socket, open_session
from kubescribe.kube.access import Access, NoCredentials
from kubescribe.kube.errors import AccessForbidden, ApiUnreachable, CredentialsRejected


class Renewable:
    """Credentials that are good only after their renewal."""

    def __init__(self):
        self.token = "old"

    async def headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    async def renew(self):
        self.token = "new"


@asynccontextmanager
async def api(handler, credentials=None):
    app = web.Application()
    app.router.add_get("/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        access = Access(base_url=url, credentials=credentials or NoCredentials())
        async with open_session(access, version="1.2") as session:
            yield session
    finally:
        await runner.cleanup()


def answering(status, body, **headers):
    async def handler(_request):
        return web.Response(status=status, text=body, headers=headers)

    return handler


async def test_requests_name_us_and_are_counted():
    seen = []

    async def handler(request):
        seen.append(request.headers["User-Agent"])
        return web.json_response({"metadata": {"uid": "u"}})

    async with api(handler) as session:
        assert await session.cluster_uid() == "u"
        assert dict(session.requests) == {"get namespaces": 1}
    assert seen == ["kubescribe/1.2"]


async def test_the_minor_version_of_eks_is_a_number():
    async with api(answering(200, '{"major":"1","minor":"31+"}')) as session:
        assert await session.server_minor() == 31


async def test_a_status_is_told_in_its_parts():
    details = '"details":{"retryAfterSeconds":3}'
    body = '{"kind":"Status","code":429,"reason":"TooManyRequests","message":"slow down",' + details + "}"
    async with api(answering(429, body)) as session:
        with pytest.raises(ServerSaid) as caught:
            await session.get("/api/v1/pods", verb="list", resource="pods")

    assert (caught.value.code, caught.value.reason, caught.value.retry_after_seconds) == (429, "TooManyRequests", 3)


async def test_a_page_that_is_no_status_is_cut_and_quoted():
    async with api(answering(502, "<html>" + "x" * 9000)) as session:
        with pytest.raises(ServerSaid) as caught:
            await session.get("/api/v1/pods", verb="list", resource="pods")

    assert caught.value.code == 502
    assert len(str(caught.value)) < 300


async def test_start_up_says_in_one_line_that_the_credentials_are_rejected():
    async with api(answering(401, '{"kind":"Status","code":401}')) as session:
        with pytest.raises(CredentialsRejected, match="401 Unauthorized"):
            await session.check()


async def test_start_up_tries_renewed_credentials_once():
    async def handler(request):
        if request.headers["Authorization"] != "Bearer new":
            return web.Response(status=401)
        return web.json_response({"metadata": {"uid": "u"}})

    async with api(handler, Renewable()) as session:
        assert await session.check() == "u"


async def test_start_up_says_which_permission_is_missing():
    async with api(answering(403, '{"kind":"Status","code":403,"message":"no"}')) as session:
        with pytest.raises(AccessForbidden, match="kube-system"):
            await session.check()


async def test_start_up_says_that_nobody_answers():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        access = Access(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}", credentials=NoCredentials())
        async with open_session(access, version="1") as session:
            with pytest.raises(ApiUnreachable, match="does not answer") as caught:
                await session.check()

    assert "\n" not in str(caught.value)


async def test_silence_is_told_from_a_cut():
    over = asyncio.Event()

    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one")
        await over.wait()
        return response

    async with api(handler) as session:
        with pytest.raises(NoAnswer) as caught:
            async with session.open("/x", verb="watch", resource="pods", silence_seconds=0.1) as response:
                await response.content.read()
        over.set()

    assert caught.value.is_silence


def test_sockets_notice_a_peer_that_went_away():
    with keepalive_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))) as connection:
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 10
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3

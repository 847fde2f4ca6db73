"""One request: who we are, what comes back, how much of it is read."""

import base64
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from kubescribe.loki.client import ERROR_BYTES, open_client
from kubescribe.loki.config import LokiConfig
from kubescribe.loki.errors import CredentialsUnusable, LokiError, LokiRefused, LokiUnreachable
from kubescribe.loki.query import query_range


@asynccontextmanager
async def served(handler, **config):
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/base/"
        async with open_client(LokiConfig(url=url, **config), version="1.2") as client:
            yield client
    finally:
        await runner.cleanup()


def saying(status, body=b"", **headers):
    async def handler(request):
        await request.read()
        handler.seen.append((request.path, dict(request.headers)))
        return web.Response(status=status, body=body, headers=headers)

    handler.seen = []
    return handler


async def test_the_password_is_read_anew_when_it_changes(tmp_path):
    password = tmp_path / "password"
    password.write_text("one\n")
    handler = saying(204)
    async with served(handler, username="me", password_file=password, tenant="shop") as client:
        await client.push(b"x")
        password.write_text("another")
        await client.push(b"x", tenant="own")

    sent = [base64.b64decode(headers["Authorization"].removeprefix("Basic ")) for _, headers in handler.seen]
    assert sent == [b"me:one", b"me:another"]
    assert [headers["X-Scope-OrgID"] for _, headers in handler.seen] == ["shop", "own"]
    assert handler.seen[0][0] == "/base/loki/api/v1/push"


async def test_a_credential_that_cannot_be_read_is_told_by_its_file(tmp_path):
    for content in (None, "", "two\nlines"):
        token = tmp_path / "token"
        token.unlink(missing_ok=True)
        if content is not None:
            token.write_text(content)
        async with served(saying(204), bearer_token_file=token) as client:
            with pytest.raises(CredentialsUnusable, match="token"):
                await client.push(b"x")


async def test_of_a_refusal_only_so_much_is_read_and_the_pause_that_it_asks_for_is_told():
    async with served(saying(503, b"x" * (ERROR_BYTES * 4), **{"Retry-After": "12"})) as client:
        answer = await client.push(b"x")

    assert answer == (503, "x" * ERROR_BYTES, 12.0)


async def test_a_pause_may_be_told_as_a_date_and_is_never_longer_than_ten_minutes():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    for text, low, high in ((later, 50, 60), ("86400", 600, 600), ("soon", 0, 0), ("-5", 0, 0)):
        async with served(saying(429, b"", **{"Retry-After": text})) as client:
            assert low <= (await client.push(b"x")).retry_after_seconds <= high, text


async def test_a_redirect_is_not_followed():
    async with served(saying(307, b"", Location="http://127.0.0.1:1/")) as client:
        assert (await client.push(b"x")).status == 307


async def test_no_connection_is_no_answer():
    async with open_client(LokiConfig(url="http://127.0.0.1:9"), version="1") as client:
        with pytest.raises(LokiUnreachable):
            await client.push(b"x")


async def test_a_ca_file_that_is_none_is_refused_at_the_start(tmp_path):
    (tmp_path / "ca").write_text("no certificate")
    with pytest.raises(LokiError, match="ca"):
        async with open_client(LokiConfig(url="https://x", ca_file=tmp_path / "ca"), version="1"):
            pass


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b"parse error", LokiRefused),
        (200, b"{}", LokiRefused),
        (200, b'{"data":{"resultType":"matrix","result":[]}}', LokiRefused),
        (200, b'{"data":{"resultType":"streams","result":[{"stream":{},"values":[["1"]]}]}}', LokiRefused),
        (200, b"x" * 2000, LokiUnreachable),
    ],
)
async def test_an_answer_that_is_no_list_of_lines_is_an_error(status, body, error):
    async with served(saying(status, body)) as client:
        with pytest.raises(error):
            await query_range(client, "{}", start_ns=0, end_ns=1, max_bytes=1000)

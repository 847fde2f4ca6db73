"""Credentials, Host, Origin, headers."""

import json

import pytest

from aggregator.web.credentials import is_loopback
from kubescribe.runtime.tokens import TokenFileUnusable, Tokens


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "tokens"
    path.write_text("# people\nalice:one\n\ntwo\n")
    return path


async def test_the_api_asks_for_a_token_and_healthz_and_the_page_do_not(site_of, token_file):
    site = await site_of(token_file=token_file, base_path="/k")

    refused = await site.get("/api/v1/status")
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    await site.json("/api/v1/status", headers={"Authorization": "Bearer one"})
    await site.json("/api/v1/status", headers={"Authorization": "bearer two"})
    for wrong in ("Bearer three", "Bearer alice:one", "Bearer ", "Basic b25l"):
        await site.json("/api/v1/status", status=401, headers={"Authorization": wrong})
    for path in ("/healthz", "/", "/app.js"):
        assert (await site.get(path)).status == 200
    async with site.session.get(site.root + "/healthz") as health:
        assert health.status == 200


async def test_a_token_file_that_changed_is_read_again_and_a_broken_one_is_not(site_of, token_file):
    site = await site_of(token_file=token_file)
    token_file.write_text("three-is-new\n")
    await site.json("/api/v1/status", headers={"Authorization": "Bearer one"})

    site.clock[0] += 2
    await site.json("/api/v1/status", status=401, headers={"Authorization": "Bearer one"})
    await site.json("/api/v1/status", headers={"Authorization": "Bearer three-is-new"})
    token_file.unlink()
    site.clock[0] += 2
    await site.json("/api/v1/status", headers={"Authorization": "Bearer three-is-new"})


@pytest.mark.parametrize("text", ["", "# nothing\n\n"])
def test_a_token_file_without_a_token_is_refused(tmp_path, text):
    path = tmp_path / "tokens"
    path.write_text(text)

    with pytest.raises(TokenFileUnusable, match="holds no token"):
        Tokens(path, clock=lambda: 0.0)


def test_a_missing_token_file_is_refused_by_name(tmp_path):
    with pytest.raises(TokenFileUnusable, match="nowhere"):
        Tokens(tmp_path / "nowhere", clock=lambda: 0.0)


async def test_without_tokens_a_name_that_points_here_is_not_served(site):
    for host in ("evil.example", "evil.example:8080", "localhost.evil.example"):
        problem = await site.json("/api/v1/status", status=421, headers={"Host": host})
        assert "localhost" in problem["detail"]
    for host in ("localhost:1", "127.0.0.1", "[::1]:80", "10.0.0.1"):
        await site.json("/api/v1/status", headers={"Host": host})


async def test_with_tokens_any_host_is_served(site_of, token_file):
    site = await site_of(token_file=token_file)

    await site.json("/api/v1/status", headers={"Host": "www.example.com", "Authorization": "Bearer one"})


async def test_a_foreign_origin_is_refused_everywhere_and_an_allowed_one_is_not(site_of):
    site = await site_of(origins=("https://front.example",))

    await site.json("/api/v1/status", status=403, headers={"Origin": "https://other.example"})
    await site.json("/api/v1/status", headers={"Origin": "https://front.example"})


async def test_every_answer_is_hardened_and_has_an_id(site):
    for path in ("/", "/api/v1/status", "/nothing", "/healthz", "/api/v1/changes?x=1"):
        response = await site.get(path, headers={"X-Request-Id": "given-1"})
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Request-Id"] == "given-1"
    strange = await site.get("/healthz", headers={"X-Request-Id": "a b"})
    assert strange.headers["X-Request-Id"] != "a b"


async def test_a_large_header_or_body_is_refused(site):
    async with site.session.get(site.url + "/healthz", headers={"X-Long": "x" * 20_000}) as response:
        assert response.status == 400


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("::", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host, expected):
    assert is_loopback(host) is expected


async def test_machines_are_guarded_too(serve, session, machines, token_file):
    from aiohttp import web

    from aggregator.web.guarding import Guard

    async def handler(_):
        return web.Response(text="in")

    guard = Guard(Tokens(token_file, clock=lambda: 0.0))
    url, _ = await serve(machines(guard, [("POST", "/x", handler)]))
    async with session.post(url + "/x") as response:
        assert response.status == 401
        assert json.loads(await response.read())["status"] == 401
    async with session.post(url + "/x", headers={"Authorization": "Bearer two"}) as response:
        assert await response.text() == "in"

"""The API against whoever does not know it, or means no good: a problem that names what is wrong, never a 500."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from openapi_spec_validator import validate

from tests.e2e.processes import ANYWHERE, Answer, Process, Rig, ask, running

LISTS = ("changes", "objects", "occurrences", "gaps", "agents", "status", "feed/sse", "objects/nobody/history")


def is_problem(answer: Answer, status: int) -> dict[str, object]:
    assert answer.status == status, answer
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["status"] == status
    assert problem["requestId"] == answer.headers["X-Request-Id"]
    return problem


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=1e3", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=", "limit"),
        ("limit=5&limit=6", "limit"),
        ("after=-1", "after"),
        ("after=99999999999999999999", "after"),
        ("after=abc", "after"),
        ("from=yesterday", "from"),
        ("from=2026-13-01T00:00:00Z", "from"),
        ("from=2026-01-01", "from"),
        ("to=1", "to"),
        ("order=up", "order"),
        ("namespace=", "namespace"),
        ("name=" + "x" * 257, "name"),
        ("q=%00", "q"),
        ("colour=red", "colour"),
        ("<script>=1", "<script>"),
    ],
)
def test_a_wrong_parameter_is_named(rig: Rig, query: str, parameter: str) -> None:
    problem = is_problem(rig.get(f"/api/v1/changes?{quote(query, safe='=&%')}"), 400)

    assert problem["parameter"] == parameter
    assert str(problem["expected"])


def test_every_list_refuses_what_it_does_not_know(rig: Rig) -> None:
    for path in LISTS:
        assert is_problem(rig.get(f"/api/v1/{path}?colour=red"), 400)["parameter"] == "colour", path


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59%2B14:00", "2026-02-31T00:00:00Z"],
)
def test_any_time_of_any_calendar_is_answered(rig: Rig, moment: str) -> None:
    both = f"from={moment}&to={moment}"
    for path in (f"changes?{both}", f"occurrences?{both}", f"gaps?{both}", f"status?{both}"):
        assert rig.get(f"/api/v1/{path}").status in {200, 400}, path
    for path in (f"changes?from={moment}", f"gaps?to={moment}", f"objects?at={moment}", f"objects/nobody?at={moment}"):
        assert rig.get(f"/api/v1/{path}").status in {200, 400, 404}, path


def test_what_is_not_there(rig: Rig) -> None:
    is_problem(rig.get("/api/v1/nothing"), 404)
    is_problem(rig.get("/nothing"), 404)
    is_problem(rig.get("/api/v2/changes"), 404)
    is_problem(rig.get("/api/v1/objects/nobody"), 404)
    is_problem(rig.get("/api/v1/objects/nobody/history"), 404)
    is_problem(rig.get("/..%2f..%2fetc/passwd"), 404)
    is_problem(rig.get("/static/../../../../etc/passwd"), 404)


def test_methods(rig: Rig) -> None:
    base = rig.aggregator.said["http"].rstrip("/") + "/api/v1/"
    for path in LISTS:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            problem = ask(base + path, method=method, body=b"{}" if method != "OPTIONS" else None)
            assert is_problem(problem, 405), (path, method)
            assert "GET" in problem.headers["Allow"]
    head = ask(base + "changes", method="HEAD")
    assert (head.status, head.body) == (200, b"")


def test_huge_requests(rig: Rig) -> None:
    """A whole header too large is cut off by the HTTP server, as 400."""
    assert rig.get("/api/v1/changes?q=" + "x" * 7_000).status == 400
    assert rig.get("/api/v1/changes?q=" + "x" * 100_000).status in {400, 414}
    assert rig.get("/api/v1/changes?" + "&".join(f"p{at}=1" for at in range(1_000))).status == 400
    assert rig.get("/api/v1/status", Cookie="x" * 100_000).status in {400, 431}
    assert rig.get("/api/v1/status").status == 200


def test_bytes_that_are_no_http(rig: Rig) -> None:
    port = int(rig.aggregator.said["http"].rstrip("/").rpartition(":")[2])
    for data in (b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"\x00" * 4096, b"GET / HTTP/9.9\r\n\r\n", b"G" * 70_000):
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.settimeout(5)
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass

    assert rig.get("/healthz").status == 200
    assert "Traceback" not in rig.aggregator.log


def test_pages_of_other_origins_and_names(rig: Rig) -> None:
    is_problem(rig.get("/api/v1/changes", Origin="https://evil.example"), 403)
    is_problem(rig.get("/api/v1/changes", Origin="null"), 403)
    is_problem(rig.get("/api/v1/changes", Host="evil.example"), 421)
    is_problem(rig.get("/api/v1/feed", Host="evil.example"), 421)
    assert rig.get("/", Host="evil.example").status in {200, 421}


async def test_garbage_on_the_feed(rig: Rig) -> None:
    url = rig.aggregator.said["http"].rstrip("/") + "/api/v1/feed"
    garbage = [
        "nothing",
        "{}",
        "[]",
        '{"type":"subscribe"}',
        '{"type":"hello","protocol":99}',
        "[" * 60_000,
        "\ud83d\ude00" * 10,
    ]
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as answer:
            assert answer.status == 426
        for frame in [*garbage, b"\xff\x00", b"x" * (2 * 2**20)]:
            async with session.ws_connect(url, protocols=["kubescribe.feed.v1"], max_msg_size=0) as feed:
                if isinstance(frame, str):
                    await feed.send_str(frame.encode("utf-16", "surrogatepass").decode("utf-16"))
                else:
                    await feed.send_bytes(frame)
                async with asyncio.timeout(10):
                    message = await feed.receive()
                if message.type is aiohttp.WSMsgType.TEXT:
                    assert json.loads(message.data)["type"] in {"error", "bye", "welcome"}, (frame[:40], message.data)
                else:
                    assert message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url, protocols=["kubescribe.feed.v1"], origin="https://evil.example")
    assert refused.value.status == 403
    assert "Traceback" not in rig.aggregator.log


def test_the_description_is_valid_and_whole(rig: Rig) -> None:
    document = rig.get("/api/v1/openapi.json").json()

    validate(document)
    assert {f"/api/v1/{path}" for path in ("changes", "objects", "gaps", "feed", "feed/sse")} <= {
        path if path.startswith("/api") else f"/api/v1{path}" for path in document["paths"]
    }


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder: Path = tmp_path_factory.mktemp("locked")
    (folder / "tokens").write_text("# ours\nalice:opensesame\n")
    with running(
        "aggregator", folder, "--data", str(folder), *ANYWHERE, "--token-file", str(folder / "tokens")
    ) as process:
        yield process


def test_a_wrong_or_missing_token(locked: Process) -> None:
    base = locked.said["http"].rstrip("/") + "/api/v1/"
    for path in (*LISTS, "openapi.json"):
        for said in ("", "Bearer wrong", "opensesame", "Basic b3BlbnNlc2FtZTo=", "Bearer opensesame extra"):
            problem = ask(base + path, **({"Authorization": said} if said else {}))
            is_problem(problem, 401)
            assert problem.headers["WWW-Authenticate"].startswith("Bearer")
    assert ask(base + "status", Authorization="Bearer opensesame").status == 200
    assert ask(locked.said["ingest"].rstrip("/") + "/ingest/v1").status == 401
    assert "opensesame" not in locked.log

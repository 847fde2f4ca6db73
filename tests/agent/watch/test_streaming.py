"""What a broken server or proxy may send in the middle of a watch ends it; nothing makes it wait for ever."""

import asyncio
import contextlib
from contextlib import asynccontextmanager

import pytest

from agent.errors import NoAnswer
from agent.kube import session as session_module
from agent.kube.session import open_session
from agent.watch.counters import WatchCounters
from agent.watch.kinds import PODS
from agent.watch.streaming import open_watch
from kubescribe.kube.access import Access, NoCredentials

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
LINE = b'{"type":"BOOKMARK"}\n'
CHUNK = b"%x\r\n%b\r\n" % (len(LINE), LINE)


@asynccontextmanager
async def answering(*parts: bytes, stays_open: bool = True):
    """Serve one answer of *parts*; yield the URL."""
    ended, answered = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.1)  # so that each part is a read of its own
            if stays_open:
                await ended.wait()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            answered.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        ended.set()
        await answered.wait()
        server.close()
        await server.wait_closed()


async def lines_until_the_end(url: str) -> tuple[int, bool | None]:
    """Return how many lines came, and whether the end was a silence, None for an orderly one."""
    count = 0
    async with open_session(Access(base_url=url, credentials=NoCredentials()), version="test") as session:
        try:
            async with (
                asyncio.timeout(20),
                open_watch(
                    session, PODS, {"watch": "1"}, silence_seconds=0.3, max_line_bytes=1000, counters=WatchCounters()
                ) as stream,
            ):
                async for batch in stream.batches():
                    count += len(batch.lines)
        except NoAnswer as error:
            return count, error.is_silence
    return count, None


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(session_module, "SLACK_SECONDS", 0.2)


async def test_an_orderly_end_is_the_end():
    async with answering(HEAD, CHUNK, CHUNK, b"0\r\n\r\n") as url:
        assert await lines_until_the_end(url) == (2, None)


async def test_silence_is_noticed():
    async with answering(HEAD, CHUNK) as url:
        assert await lines_until_the_end(url) == (1, True)


async def test_a_cut_connection_is_no_silence():
    async with answering(HEAD, CHUNK, stays_open=False) as url:
        assert await lines_until_the_end(url) == (1, False)


@pytest.mark.parametrize("rubbish", [b"zz\r\n", b"<html>502</html>\r\n", b"-5\r\n", b"5\r\nabcdefgh"])
async def test_a_chunk_that_is_none_does_not_make_anybody_wait_for_ever(rubbish):
    async with answering(HEAD, CHUNK, rubbish) as url:
        count, _ = await lines_until_the_end(url)

    assert count == 1

"""Clients that read slowly or not at all, on real sockets."""

import asyncio
import json

RECORDS = 600
PAD = 40_000


async def read_all(socket, wanted):
    seqs, prev = [], None
    async with asyncio.timeout(20):
        while len(seqs) < wanted:
            message = await socket.receive_json()
            if message["type"] == "delta":
                assert prev is None or message["prev"] == prev
                prev = message["seq"]
                seqs += [item["seq"] for item in message["items"]]
    return seqs


async def test_a_client_that_does_not_read_for_a_while_misses_nothing_and_slows_nobody(site_of):
    limits = {"min_client_bytes": 65_536, "max_client_bytes": 65_536, "ring_items": 50}
    site = await site_of(**limits)
    async with site.feed(max_msg_size=0) as slow, site.feed(max_msg_size=0) as quick:
        for socket in (slow, quick):
            await socket.send_json({"type": "subscribe", "id": "a", "topic": "changes"})
            assert (await socket.receive_json())["type"] == "bookmark"
        reading = asyncio.create_task(read_all(quick, RECORDS))
        for _ in range(RECORDS // 5):
            site.bench.publish(5, pad=PAD)
            await asyncio.sleep(0.002)
        quick_seqs = await reading
        (waiting,) = (c for c in site.bench.hub._clients if c.transport.get_write_buffer_size() > 65_536)
        held = waiting.transport.get_write_buffer_size()
        slow_seqs = await read_all(slow, RECORDS)

    assert quick_seqs == slow_seqs == list(range(1, RECORDS + 1))
    assert held < 65_536 + 262_144 + PAD


async def test_a_client_that_never_reads_is_cut_off(site_of, until):
    site = await site_of(min_client_bytes=65_536, max_client_bytes=65_536, stuck_seconds=0.1)
    host, port = site.root.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(
        b"GET /api/v1/feed HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    text = json.dumps({"type": "subscribe", "id": "a", "topic": "changes"}).encode()
    writer.write(bytes((0x81, 0x80 | len(text))) + b"\0\0\0\0" + text)
    await reader.readuntil(b'"bookmark"')
    for _ in range(30):
        site.bench.publish(20, pad=PAD)
        await asyncio.sleep(0.002)

    await until(lambda: site.bench.hub.client_count == 0)
    writer.close()

    assert site.bench.hub.metrics.dropped.labels("stuck")._value.get() == 1

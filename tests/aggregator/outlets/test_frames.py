"""Frames are what RFC 6455 and the event stream say, and a shared tail makes the same bytes."""

import json

import pytest

from aggregator.outlets.frames import EventStreamFraming, WebSocketFraming, delta_head, delta_tail


@pytest.mark.parametrize(
    ("size", "header"),
    [(0, b"\x81\x00"), (125, b"\x81\x7d"), (126, b"\x81\x7e\x00\x7e"), (65535, b"\x81\x7e\xff\xff")],
)
def test_a_text_frame_has_the_shortest_header(size, header):
    assert WebSocketFraming().message(b"x" * size) == header + b"x" * size


def test_a_long_text_frame_has_eight_bytes_of_length():
    assert WebSocketFraming().message(b"x" * 65536)[:10] == b"\x81\x7f" + (65536).to_bytes(8, "big")


@pytest.mark.parametrize("framing", [WebSocketFraming(), EventStreamFraming()])
@pytest.mark.parametrize("count", [1, 10, 1000])
def test_head_and_shared_tail_make_the_frame_of_the_whole(framing, count):
    head, tail = delta_head('id "quoted" é', 7), delta_tail(9, [b'{"seq":9}'] * count)

    assert framing.opening(head, tail, 9) + tail + framing.closing == framing.message(head + tail, 9)
    whole = json.loads(head + tail)
    assert (whole["type"], whole["id"], whole["prev"], whole["seq"]) == ("delta", 'id "quoted" é', 7, 9)
    assert len(whole["items"]) == count


def test_only_a_resume_point_gets_an_event_id():
    framing = EventStreamFraming()

    assert framing.message(b"{}") == b"a\r\ndata: {}\n\n\r\n"
    assert framing.message(b"{}", 5) == b"10\r\nid: 5\ndata: {}\n\n\r\n"

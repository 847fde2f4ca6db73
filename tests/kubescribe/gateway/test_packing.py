"""What was just understood goes on from memory as the disk would say it, and takes no more memory than is meant."""

from dataclasses import replace

import pytest

from kubescribe.gateway.frames import Frame, pushes_of
from kubescribe.gateway.intake import Intake, Received
from kubescribe.gateway.naming import Naming
from kubescribe.gateway.packing import MADE_BYTES
from kubescribe.loki.encoding import compress, encode_entry, encode_metadata, encode_stream
from tests.kubescribe.gateway.house import NOW, WEB, Book, snappy, stream

FOUND = f'{{namespace="shop", pod="{WEB.name}", container="app"}}'


@pytest.fixture
def intake():
    return Intake(Naming(Book()), lambda *_: False, max_bytes=2**24)


def frames(intake, body):
    received = Received(api="loki", body=body, content_type="", encoding="", tenant="", at=NOW)
    return [
        Frame(n=1, head=new.head, request=new.request, made=new.made) for new in intake.understand(received).body.frames
    ]


def frame(intake, body):
    (only,) = frames(intake, body)
    return only


def from_disk(frame):
    return list(pushes_of(replace(frame, made=())))


@pytest.mark.parametrize(
    "streams",
    [
        stream(FOUND, b"one", b"two") + stream('{a="b"}', b"three"),
        encode_stream(FOUND, encode_entry(NOW, b"one", encode_metadata({"node": "theirs"}))),
        encode_stream(FOUND, encode_entry(NOW, b"one") + b"\x18\x05" + encode_entry(NOW, b"two")),
        encode_stream('{a="b"}', encode_entry(NOW, b"one") + b"\x22\x01x" + encode_entry(NOW, b"two")),
        stream(FOUND, b"one") + encode_stream(FOUND, encode_entry(NOW, b"two", encode_metadata({"node": "theirs"}))),
        stream(FOUND, b"one") + encode_stream('{a="b"}', encode_entry(NOW, b"two") + b"\x18\x05"),
    ],
    ids=["plain", "clash", "hash", "unknown field", "clash behind", "hash behind"],
)
def test_what_goes_on_from_memory_is_what_the_disk_would_say(intake, streams):
    kept = frame(intake, compress(streams))

    assert kept.made
    assert list(pushes_of(kept)) == from_disk(kept)


def test_a_body_leaves_what_was_understood_before_as_it_was(intake):
    first = frame(intake, snappy(stream(FOUND, *[b"%d" % n for n in range(500)])))
    frame(intake, snappy(stream(FOUND, *[b"x" * 40] * 500)))

    assert list(pushes_of(first)) == from_disk(first)


def test_lines_so_short_that_their_metadata_would_fill_the_memory_are_read_back_instead(intake):
    kept = frame(intake, snappy(stream(FOUND, *[b"x"] * (MADE_BYTES // 100))))

    assert not kept.made
    assert sum(push.count for push in from_disk(kept)) == kept.head.lines

    behind = frame(intake, snappy(stream(FOUND, b"one") + stream(FOUND, *[b"x"] * (MADE_BYTES // 100))))
    assert not behind.made


def test_a_large_body_is_read_back_from_the_disk(intake):
    kept = frames(intake, compress(stream('{a="b"}', *[b"x" * 1000] * 5000)))

    assert len(kept) > 1
    assert not any(each.made for each in kept)


def test_nothing_is_made_beforehand_of_what_will_wait_on_the_disk():
    asked = []

    def waits(tenant, streams):
        asked.append((tenant, tuple(streams)))
        return True

    kept = frame(
        Intake(Naming(Book()), lambda *_: False, max_bytes=2**24, waits=waits), snappy(stream('{a="b"}', b"x"))
    )

    assert not kept.made
    assert set(asked) == {("", ('{a="b"}',))}

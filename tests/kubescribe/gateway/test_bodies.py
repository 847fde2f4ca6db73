"""A body is what its headers say, as Loki takes them; a lie about its size costs no memory."""

import gzip
import os
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubescribe.gateway.bodies import media_type, unpacked, unwrapped
from kubescribe.gateway.errors import BadPush, TooLarge
from kubescribe.loki.encoding import compress, varint

TEXT = b"line " * 1000


def bare(data):
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return made.compress(data) + made.flush()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (TEXT, ""),
        (TEXT, "snappy"),
        (gzip.compress(TEXT, mtime=0), "gzip"),
        (gzip.compress(TEXT[:50], mtime=0) + gzip.compress(TEXT[50:], mtime=0), "gzip"),
        (bare(TEXT), "deflate"),
        (zlib.compress(TEXT), "deflate"),
    ],
)
def test_what_loki_takes_is_taken(body, encoding):
    assert unwrapped(body, encoding, 10_000) == TEXT


@pytest.mark.parametrize(
    ("body", "encoding", "api"),
    [
        (b"no gzip", "gzip", "loki"),
        (gzip.compress(TEXT, mtime=0)[:-4], "gzip", "loki"),
        (b"", "gzip", "loki"),
        (b"\xff\xff", "deflate", "loki"),
        (TEXT, "br", "loki"),
        (TEXT, "identity", "loki"),
        (TEXT, "snappy", "otlp"),
    ],
)
def test_anything_else_is_a_bad_push(body, encoding, api):
    with pytest.raises(BadPush, match=r"not supported|is no"):
        unwrapped(body, encoding, 10_000, api=api)


def test_a_body_of_many_members_is_read_and_one_of_nothing_else_is_refused_at_once():
    member = gzip.compress(os.urandom(1000) + bytes(1000))
    assert len(unwrapped(member * 500, "gzip", 10**7)) == 500 * 2000

    # 16 MiB of them took a minute and a half, with the interpreter held: each end was followed by a copy of the rest.
    before = time.thread_time()
    with pytest.raises(BadPush, match="1000 members"):
        unwrapped(gzip.compress(b"") * 800_000, "gzip", 10**7)
    assert time.thread_time() - before < 1


def test_a_body_that_grows_beyond_the_limit_is_too_large():
    with pytest.raises(TooLarge, match="more than the 1000 bytes"):
        unwrapped(gzip.compress(bytes(10**7)), "gzip", 1000)
    with pytest.raises(TooLarge, match="4294967295 bytes"):
        unpacked(varint(2**32 - 1) + b"x", 1000)


@given(st.binary(max_size=100))
def test_any_bytes_are_snappy_or_a_bad_push(body):
    try:
        assert len(unpacked(body, 10**6)) <= 10**6
    except (BadPush, TooLarge):
        return


def test_snappy_is_its_block_format():
    assert unpacked(compress(TEXT), 10_000) == TEXT


def test_a_media_type_is_known_with_its_parameters():
    assert media_type("Application/JSON; charset=utf-8") == "application/json"
    assert media_type("") == ""

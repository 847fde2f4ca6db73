"""What is compressed apart reads as one stream, whoever reads it."""

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib

from kubescribe.runtime.packing import gzip_of, packed, unpacked

LINES = b"".join(b'kubescribe_things{name="n%d",node="ip-10-0-0-%d"} %d.5\n' % (n, n % 7, n * n) for n in range(3_000))


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=300) | st.just(LINES) | st.just(b""), max_size=8))
def test_fragments_in_any_order_are_one_gzip_member(parts):
    whole = b"".join(parts)
    stream = gzip_of(map(packed, parts))

    assert gzip.decompress(stream) == whole
    for library in (zlib, isal_zlib):
        reader = library.decompressobj(31)
        assert reader.decompress(stream) == whole
        assert (reader.eof, reader.unused_data) == (True, b"")


def test_a_fragment_may_come_twice_and_reads_alone():
    fragment = packed(LINES)

    assert unpacked(fragment) == LINES
    assert gzip.decompress(gzip_of([fragment, packed(b"between"), fragment])) == LINES + b"between" + LINES


@pytest.mark.parametrize("cut", [-9, -1])
def test_a_stream_that_was_cut_off_is_no_whole_one(cut):
    reader = zlib.decompressobj(31)
    reader.decompress(gzip_of([packed(LINES)])[:cut])

    assert not reader.eof


def test_a_piece_of_a_stream_is_hardly_larger_than_zlib_s_own():
    alone = packed(LINES)

    assert len(alone.deflated) < 1.15 * len(zlib.compress(LINES, 1))
    assert isal_zlib.crc32(LINES) == zlib.crc32(LINES) == alone.crc

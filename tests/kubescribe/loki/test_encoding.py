"""The bytes of a push are those that google.protobuf makes, and what is no push is told as such."""

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubescribe.loki.encoding import (
    Span,
    compress,
    encode_entry,
    encode_metadata,
    encode_stream,
    join_entries,
    spans_of,
    time_of,
    varint,
)
from tests.kubescribe.loki.protobuf import PushRequest, decode

CHARACTERS = st.characters(exclude_categories=["Cs"])
LINE = st.one_of(st.text(CHARACTERS, max_size=12), st.just("x" * 300))
TEXT = st.text(CHARACTERS, min_size=1, max_size=8)
TIMES = st.integers(0, 4 * 10**18)
ENTRIES = st.lists(st.tuples(TIMES, LINE, st.dictionaries(TEXT, TEXT, max_size=2)), min_size=1, max_size=4)


def encoded(entries):
    return b"".join(encode_entry(at, line.encode(), encode_metadata(metadata)) for at, line, metadata in entries)


@settings(max_examples=50)
@given(st.lists(st.tuples(TEXT, ENTRIES), max_size=3))
def test_google_reads_what_we_wrote_and_writes_the_same(streams):
    body = b"".join(encode_stream(labels, encoded(entries)) for labels, entries in streams)

    request = PushRequest()
    request.ParseFromString(body)

    assert decode(body) == streams
    assert request.SerializeToString(deterministic=True) == body


def test_the_known_vector_comes_out():
    entries = encode_entry(1724361911_000000001, b"hi", encode_metadata({"pod": "p-0"}))

    body = encode_stream('{app="x", namespace="n"}', entries)

    assert body.hex() == (
        "0a360a187b6170703d2278222c206e616d6573706163653d226e227d121a0a0808b7d99eb6061001120268691a0a0a03706f641203702d30"
    )
    assert compress(body).hex() == "38dc" + body.hex()
    assert bytes(cramjam.snappy.decompress_raw(compress(body))) == body


@settings(max_examples=50)
@given(ENTRIES)
def test_spans_find_every_entry_and_its_time(entries):
    data = encoded(entries)

    spans = list(spans_of(data))

    assert join_entries(data, spans) == data
    assert [time_of(data, span) for span in spans] == [at for at, _, _ in entries]
    for span, entry in zip(spans, entries, strict=True):
        assert data[span.start : span.end] == encoded([entry])


@given(st.one_of(st.binary(max_size=200), st.builds(lambda e, n: encoded(e)[:n], ENTRIES, st.integers(0, 400))))
def test_any_bytes_are_entries_or_a_value_error(data):
    try:
        spans = list(spans_of(data))
    except ValueError:
        return

    assert join_entries(data, spans) == data
    for span in spans:
        try:
            assert time_of(data, span) >= 0
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x0a\x00", "no entry"),
        (b"\x12", "torn number"),
        (b"\x12\x05abc", "torn entry"),
        (b"\x12" + b"\xff" * 11, "torn"),
    ],
)
def test_torn_entries_say_where(data, words):
    with pytest.raises(ValueError, match=words):
        list(spans_of(data))


def test_an_entry_without_a_time_has_time_zero():
    data = b"\x12\x04\x12\x02hi"

    assert time_of(data, Span(0, len(data))) == 0


@given(st.integers(0, 2**63))
def test_a_varint_is_googles(number):
    request = PushRequest()
    request.streams.add(hash=number)

    assert request.streams[0].SerializeToString() == (b"\x18" + varint(number) if number else b"")

"""Streams are cut out of a push, and into pieces, and google.protobuf reads what was meant."""

from hypothesis import given
from hypothesis import strategies as st

from kubescribe.gateway.messages import Stream
from kubescribe.gateway.streams import append_missing, ends_of, pieces_of, regions_of
from kubescribe.loki.encoding import encode_entry, encode_metadata, encode_stream
from tests.kubescribe.gateway.house import NOW

lines = st.lists(st.text(max_size=300).map(str.encode), max_size=20)
metadata = st.dictionaries(st.sampled_from(["pod", "node", "zone"]), st.text(max_size=40), max_size=3)


def read(entries):
    return [
        (entry.line.encode(), [(pair.name, pair.value) for pair in entry.metadata])
        for entry in Stream.FromString(entries).entries
    ]


def encoded(texts, each=b""):
    return b"".join(encode_entry(NOW + n, line, each) for n, line in enumerate(texts))


@given(lines, metadata, metadata)
def test_only_what_is_missing_is_added_where_names_clash(texts, theirs, ours):
    made = append_missing(encoded(texts, encode_metadata(theirs)), ours)

    added = [(name, value) for name, value in ours.items() if name not in theirs]
    assert read(made) == [(line, [*theirs.items(), *added]) for line in texts]


@given(lines, st.integers(1, 500))
def test_pieces_are_whole_entries_and_together_the_same(texts, max_bytes):
    entries = encoded(texts)

    pieces = list(pieces_of(entries, max_bytes))

    assert b"".join(piece for piece, _ in pieces) == entries
    assert sum(count for _, count in pieces) == len(texts)
    assert all(len(piece) <= max_bytes or count == 1 for piece, count in pieces)
    assert all(len(list(ends_of(piece))) == count for piece, count in pieces)


def test_a_request_is_cut_into_the_entries_of_its_streams():
    one, two = encoded([b"a", b"b"]), encoded([b"c" * 200])

    assert list(regions_of(encode_stream('{a="b"}', one) + encode_stream("", two))) == [one, two]


@given(st.binary(max_size=60))
def test_any_bytes_are_cut_or_told(data):
    for cut in (regions_of, ends_of):
        try:
            list(cut(data))
        except ValueError as error:
            assert "byte" in str(error)  # noqa: PT017

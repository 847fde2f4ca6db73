"""Chunks to lines, bounded."""

from hypothesis import given
from hypothesis import strategies as st

from agent.watch.lines import LineSplitter


def feed(chunks, **options):
    splitter = LineSplitter(**options)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return [line for line in lines if line], splitter


@given(st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_are_the_same_however_the_bytes_are_cut(lines, data):
    whole = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10)))
    chunks = [whole[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    got, _ = feed(chunks)

    assert got == [line for line in lines if line]


@given(st.lists(st.binary(max_size=60), max_size=12), st.integers(1, 50))
def test_what_is_held_never_exceeds_the_limit_and_a_chunk(chunks, limit):
    splitter = LineSplitter(limit)
    for chunk in chunks:
        for line in splitter.feed(chunk):
            assert len(line) <= limit
        assert splitter.held_bytes <= max(limit, 60) + 60


def test_a_line_cut_by_the_end_of_the_stream_is_not_delivered():
    lines, _ = feed([b"whole\ncut in the mid"])

    assert lines == [b"whole"]


def test_an_oversized_line_is_skipped_counted_and_its_head_kept():
    lines, splitter = feed([b"a\n" + b"x" * 50, b"y" * 60, b"z" * 10 + b"\nb\n"], max_bytes=100)

    assert lines == [b"a", b"b"]
    (skipped,) = splitter.take_oversized()
    assert skipped.size == 120
    assert skipped.head.startswith(b"x" * 50 + b"y")
    assert splitter.take_oversized() == []


def test_an_oversized_line_within_one_chunk_is_skipped():
    lines, splitter = feed([b"a\n" + b"x" * 200 + b"\nb\n"], max_bytes=100)

    assert lines == [b"a", b"b"]
    assert [line.size for line in splitter.take_oversized()] == [200]


def test_the_middle_of_an_oversized_line_is_not_held():
    splitter = LineSplitter(1000)
    for _ in range(1000):
        splitter.feed(b"x" * 500)

    assert splitter.held_bytes <= 8 * 1024

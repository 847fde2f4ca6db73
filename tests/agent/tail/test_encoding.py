"""Blocks of log files to pushes, held against the official protobuf and against the slow way."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tail.encoding import LineEncoder, LineNames
from agent.tail.joining import MAX_LINE_BYTES, Place
from agent.tail.parsing import parse_line
from kubescribe.labels.enriching import Enrichment
from kubescribe.loki.encoding import encode_stream
from kubescribe.wire.times import from_rfc3339, to_rfc3339
from simulator.loki.schema import PushRequest

NAMES = LineNames.of(
    Enrichment(labels={"namespace": "shop", "workload": "checkout"}, metadata={"pod": "checkout-0", "zone": "é"})
)
START = Place(0, 1, 0, 1)
AT = from_rfc3339("2026-01-02T03:04:05Z")


def encoded(data: bytes, cuts: list[int] | None = None) -> dict[str, list[Any]]:
    """Return the entries of *data*, cut into blocks of whole lines, as the official protobuf reads them."""
    encoder = LineEncoder(NAMES, last_at=1)
    ends = [position + 1 for position, byte in enumerate(data) if byte == 10]
    chosen = sorted({ends[cut % len(ends)] for cut in cuts or ()} | {len(data)}) if ends else []
    found: dict[str, list[Any]] = {}
    begun = 0
    pushes = []
    for end in chosen:
        pushes += encoder.encode(data[begun:end], START._replace(offset=begun))
        begun = end
    for push in pushes + encoder.flush():
        request = PushRequest.FromString(encode_stream(push.labels, push.entries))
        (stream,) = request.streams
        entries = [
            (
                entry.timestamp.seconds * 10**9 + entry.timestamp.nanos,
                entry.line,
                {pair.name: pair.value for pair in entry.structuredMetadata},
            )
            for entry in stream.entries
        ]
        assert push.count == len(entries)
        assert push.first_at == min(at for at, _, _ in entries)
        assert push.last_at == max(at for at, _, _ in entries)
        assert push.content_bytes == sum(
            len(line.encode()) + len("podcheckout-0zoneé".encode()) for _, line, _ in entries
        ) or any("part" in metadata for _, _, metadata in entries)
        found.setdefault(stream.labels, []).extend(entries)
    return found


def record(at: int, text: bytes, stream: str = "stdout", tag: str = "F", *, digits: bool = True) -> bytes:
    stamp = to_rfc3339(at)
    if not digits:
        stamp = stamp[:-1].rstrip("0").rstrip(".") + "Z"
    return b"%s %s %s %s\n" % (stamp.encode(), stream.encode(), tag.encode(), text)


STDOUT = '{namespace="shop", stream="stdout", workload="checkout"}'
STDERR = '{namespace="shop", stream="stderr", workload="checkout"}'
METADATA = {"pod": "checkout-0", "zone": "é"}

TEXTS = st.binary(max_size=40).map(lambda text: text.replace(b"\n", b""))
RECORDS = st.builds(
    record,
    st.integers(10**18, 4 * 10**18),
    TEXTS | st.sampled_from([b"", b"x" * 200, b"x" * 17_000]),
    st.sampled_from(["stdout", "stderr"]),
    st.sampled_from(["F", "F", "F", "P", "F:x"]),
    digits=st.booleans(),
)
BROKEN = TEXTS.map(lambda text: text + b"\n")


@settings(max_examples=50)
@given(st.lists(RECORDS | BROKEN, max_size=12), st.lists(st.integers(0, 100), max_size=6))
def test_the_entries_are_the_same_however_the_file_was_cut_into_blocks(records: list[bytes], cuts: list[int]) -> None:
    data = b"".join(records)

    assert encoded(data, cuts) == encoded(data, list(range(len(records))))


@settings(max_examples=50)
@given(st.lists(RECORDS, min_size=1, max_size=12))
def test_every_whole_line_is_an_entry_with_its_time_text_and_metadata(records: list[bytes]) -> None:
    records = [line for line in records if b" P " not in line]
    expected: dict[str, list[Any]] = {}
    for line in records:
        parsed = parse_line(line[:-1])
        entry = (parsed.at, parsed.text.decode("utf-8", "replace"), METADATA)
        expected.setdefault(STDOUT if parsed.stream == b"stdout" else STDERR, []).append(entry)

    assert encoded(b"".join(records)) == expected


@pytest.mark.parametrize("nanos", [0, 1, 127, 128, 2**21 - 1, 2**21, 2**28 - 1, 2**28, 999_999_999])
@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384])
def test_times_and_lengths_of_every_width_are_encoded(nanos: int, length: int) -> None:
    found = encoded(record(AT + nanos, b"x" * length) * 2)

    assert found == {STDOUT: [(AT + nanos, "x" * length, METADATA)] * 2}


def test_parts_of_one_stream_are_joined_between_lines_of_the_other() -> None:
    data = (
        record(AT, b"one ", tag="P")
        + record(AT + 1, b"other", "stderr")
        + record(AT + 2, b"two ", tag="P")
        + record(AT + 3, b"three")
    )

    assert encoded(data) == {STDOUT: [(AT, "one two three", METADATA)], STDERR: [(AT + 1, "other", METADATA)]}


def test_a_part_whose_end_never_came_goes_out_as_it_is() -> None:
    assert encoded(record(AT, b"half", tag="P")) == {STDOUT: [(AT, "half", METADATA)]}


def test_a_character_that_lies_in_two_parts_stays_whole() -> None:
    text = "é".encode()

    assert encoded(record(AT, text[:1], tag="P") + record(AT + 1, text[1:])) == {STDOUT: [(AT, "é", METADATA)]}


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert encoded(record(AT, b"a\xffb") + record(AT + 1, b"c")) == {
        STDOUT: [(AT, "a�b", METADATA), (AT + 1, "c", METADATA)]
    }


def test_a_line_of_a_megabyte_is_divided_and_nothing_of_it_is_lost() -> None:
    text = ("é" * 8191).encode()
    parts = [record(AT + number, text, tag="P") for number in range(64)]

    found = encoded(b"".join(parts) + record(AT + 64, b"end"))[STDOUT]

    assert "".join(line for _, line, _ in found) == "é" * 8191 * 64 + "end"
    assert all(len(line.encode()) <= MAX_LINE_BYTES for _, line, _ in found)
    assert [metadata["part"] for _, _, metadata in found] == ["1", "2", "3", "4"]
    assert [at for at, _, _ in found] == [AT, AT + 1, AT + 2, AT + 3]


def test_a_line_in_no_known_format_has_the_time_of_the_line_before() -> None:
    assert encoded(record(AT, b"a") + b"panic: no format\n" + record(AT + 5, b"b"))[STDOUT] == [
        (AT, "a", METADATA),
        (AT, "panic: no format", METADATA),
        (AT + 5, "b", METADATA),
    ]


def test_levels_are_counted_once_a_line() -> None:
    encoder = LineEncoder(NAMES, last_at=1)
    block = record(AT, b"INFO a") + record(AT + 1, b"ERROR b") + record(AT + 5 * 10**8, b"ERROR c")

    encoder.encode(block, START)

    assert encoder.take_levels() == {"info": 1, "error": 2, "": 0}
    assert not encoder.take_levels()

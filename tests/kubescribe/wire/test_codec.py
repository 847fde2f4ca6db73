"""What is encoded comes back, whatever comes is a value or a WireError, and old samples still read."""

import base64
import json
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from kubescribe.wire import link, records
from kubescribe.wire.codec import (
    compress_records,
    decode_from_agent,
    decode_from_aggregator,
    decode_line_query,
    decode_lines,
    decode_records,
    decode_settle,
    decode_zones,
    encode_line_query,
    encode_lines,
    encode_message,
    encode_record,
    encode_records,
    encode_settle,
    encode_zones,
    join_records,
)
from kubescribe.wire.errors import FrameMalformed, FrameTooLarge, WireError

GOLDEN = Path(__file__).parents[2] / "data" / "wire" / "v1"

TEXT = st.text(max_size=20)
NUMBER = st.integers(0, records.MAX_INTEGER)
DATA = st.binary(max_size=40)
st.register_type_strategy(str, TEXT)
st.register_type_strategy(int, NUMBER)
st.register_type_strategy(bytes, DATA)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
# Said in full: Hypothesis takes the default of `api_requests`, a factory, for a value.
st.register_type_strategy(
    records.Presence,
    st.builds(
        records.Presence,
        agent=TEXT,
        state=st.sampled_from(("came", "went", "report")),
        observed_at=NUMBER,
        api_requests=st.dictionaries(TEXT, NUMBER, max_size=3),
        streams=st.lists(st.from_type(records.StreamHealth), max_size=3).map(tuple),
        oldest_unsent_at=st.none() | NUMBER,
    ),
)
# The same of `zones`.
st.register_type_strategy(
    link.Welcome,
    st.builds(
        link.Welcome,
        **{name: st.from_type(kind) for name, kind in link.Welcome.__annotations__.items() if name != "zones"},
        zones=st.dictionaries(TEXT, TEXT, max_size=3),
    ),
)


def of(union):
    return st.one_of(*(st.from_type(one) for one in union.__args__))


RECORDS = st.lists(of(records.AnyRecord), max_size=8)


@settings(deadline=None)
@given(RECORDS)
def test_records_come_back_as_they_were(batch):
    assert decode_records(encode_records(batch)) == batch


@settings(deadline=None)
@given(RECORDS)
def test_records_joined_one_by_one_are_the_same_batch(batch):
    assert join_records([encode_record(one) for one in batch]) == encode_records(batch)


@pytest.mark.parametrize("count", [0, 15, 16, 65_535, 65_536])
def test_a_joined_batch_counts_its_records_at_every_size_of_array(count):
    one = records.Progress(stream="n", term=1, resource_version=1, observed_at=1)

    assert len(decode_records(join_records([encode_record(one)] * count))) == count


@settings(deadline=None)
@given(of(link.FromAgent))
def test_a_message_of_an_agent_comes_back_as_it_was(message):
    assert decode_from_agent(encode_message(message)) == message


@settings(deadline=None)
@given(of(link.FromAggregator))
def test_a_message_of_the_aggregator_comes_back_as_it_was(message):
    assert decode_from_aggregator(encode_message(message)) == message


@settings(deadline=None)
@given(st.from_type(link.Settle))
def test_what_is_to_be_settled_comes_back_as_it_was(settle):
    assert decode_settle(encode_settle(settle)) == settle


@settings(deadline=None)
@given(st.from_type(link.LineQuery))
def test_what_is_asked_of_lines_comes_back_as_it_was(query):
    assert decode_line_query(encode_line_query(query)) == query


@settings(deadline=None)
@given(st.from_type(link.Lines))
def test_lines_come_back_as_they_were(lines):
    assert decode_lines(encode_lines(lines)) == lines


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5))
def test_zones_come_back_as_they_were(zones):
    assert decode_zones(encode_zones(zones)) == zones


def only_wire_errors(decode, data):
    try:
        decode(data)
    except WireError as error:
        assert len(str(error)) <= 256  # noqa: PT017 - not every input is an error


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_wire_errors(data):
    only_wire_errors(decode_from_agent, data)
    only_wire_errors(decode_from_aggregator, data)
    only_wire_errors(decode_settle, data)
    only_wire_errors(decode_line_query, data)
    only_wire_errors(decode_lines, data)
    only_wire_errors(decode_zones, data)
    only_wire_errors(decode_records, data)
    only_wire_errors(decode_records, compress_records(data))


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | NUMBER | TEXT | DATA,
        lambda it: st.lists(it, max_size=4) | st.dictionaries(TEXT, it, max_size=4),
        max_leaves=10,
    )
)
def test_well_formed_messagepack_of_another_shape_raises_nothing_but_wire_errors(value):
    packed = msgspec.msgpack.encode(value)
    only_wire_errors(decode_from_agent, packed)
    only_wire_errors(decode_records, compress_records(packed))


@settings(deadline=None)
@given(of(link.FromAgent), st.data())
def test_a_damaged_message_raises_nothing_but_wire_errors(message, data):
    frame = bytearray(encode_message(message))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    only_wire_errors(decode_from_agent, bytes(frame))


def test_deep_nesting_is_malformed():
    with pytest.raises(FrameMalformed):
        decode_from_agent(b"\x91" * 100_000)
    with pytest.raises(FrameMalformed):
        decode_records(compress_records(b"\x91" * 100_000))


def test_a_batch_that_would_decompress_beyond_the_limit_is_not_decompressed():
    bomb = compress_records(b"\x00" * 2_000_000)

    with pytest.raises(FrameTooLarge):
        decode_records(bomb, max_bytes=1_000_000)


def test_a_batch_that_hides_its_size_is_malformed():
    compressor = zstandard.ZstdCompressor(write_content_size=False)

    with pytest.raises(FrameMalformed):
        decode_records(compressor.compress(b"\x90"))


def test_a_batch_with_something_behind_its_frame_is_malformed_or_the_same():
    data = encode_records([])

    only_wire_errors(decode_records, data + b"trailing")


def test_a_frame_over_the_limit_is_too_large():
    with pytest.raises(FrameTooLarge):
        decode_from_agent(b"\x00" * (link.MAX_MESSAGE_BYTES + 1))


def test_a_message_of_the_other_side_is_malformed():
    with pytest.raises(FrameMalformed):
        decode_from_agent(encode_message(link.Ack(n=1)))


def test_an_unknown_field_is_passed_over_and_an_unknown_type_is_not():
    frame = msgspec.msgpack.encode({"type": "Ack", "n": 3, "later": [1]})

    assert decode_from_aggregator(frame) == link.Ack(n=3)
    with pytest.raises(FrameMalformed):
        decode_from_aggregator(msgspec.msgpack.encode({"type": "Later", "n": 3}))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("record-*.msgpack")), ids=lambda path: path.stem)
def test_a_golden_record_still_reads_and_is_still_written_the_same(path):
    [record] = decode_records(join_records([path.read_bytes()]))

    assert json.loads(msgspec.json.encode(record)) == json.loads(path.with_suffix(".json").read_bytes())
    assert encode_record(record) == path.read_bytes()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("message-*.msgpack")), ids=lambda path: path.stem)
def test_a_golden_message_still_reads_and_is_still_written_the_same(path):
    kind = json.loads(path.with_suffix(".json").read_bytes())["type"]
    is_agents = kind in {one.__name__ for one in link.FromAgent.__args__}
    message = (decode_from_agent if is_agents else decode_from_aggregator)(path.read_bytes())

    assert json.loads(msgspec.json.encode(message)) == json.loads(path.with_suffix(".json").read_bytes())
    assert encode_message(message) == path.read_bytes()


def test_every_type_has_a_golden_sample():
    kinds = {json.loads(path.read_bytes())["type"] for path in GOLDEN.glob("*.json")}
    types = (*records.AnyRecord.__args__, *link.FromAgent.__args__, *link.FromAggregator.__args__)

    assert {one.__name__ for one in types} == kinds


def test_the_batch_of_the_golden_message_reads():
    message = decode_from_agent((GOLDEN / "message-batch.msgpack").read_bytes())
    shown = json.loads((GOLDEN / "message-batch.json").read_bytes())

    assert base64.b64decode(shown["records"]) == message.records
    assert [type(one).__name__ for one in decode_records(message.records)] == ["Progress", "Gap"]

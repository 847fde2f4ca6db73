"""
Entries are looked at and made longer without decoding them, by the compiled step as google.protobuf would do it.

The step may say of anything that it does not know it; what it says otherwise is what the parser says.
"""

import random
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kubescribe.gateway import entries as module
from kubescribe.gateway.entries import Unusual, append_metadata, look, parsed, parsed_and_appended
from kubescribe.gateway.messages import Stream
from kubescribe.loki.encoding import encode_entry, encode_metadata, field, varint
from tests.kubescribe.gateway.house import NOW

try:
    from kubescribe.gateway import _entries as step
except ImportError:
    step = None
built = pytest.mark.skipif(step is None, reason="the compiled step was not built (no compiler)")
append = pytest.mark.parametrize(
    "append", [append_metadata, parsed_and_appended], ids=["the step first", "google.protobuf alone"]
)

OURS = encode_metadata({"pod": "p", "node": "n1"})
lines = st.lists(st.text(max_size=300).map(str.encode), max_size=20)
metadata = st.dictionaries(st.sampled_from(["pod", "node", "zone"]), st.text(max_size=40), max_size=3)
times = st.integers(0, 2**62)


def read(entries):
    return [
        (entry.line.encode(), [(pair.name, pair.value) for pair in entry.metadata])
        for entry in Stream.FromString(entries).entries
    ]


def encoded(texts, each=b""):
    return b"".join(encode_entry(NOW + n, line, each) for n, line in enumerate(texts))


@append
@given(lines, metadata, metadata)
def test_every_entry_has_its_own_and_the_added_metadata(append, texts, theirs, ours):
    made = append(encoded(texts, encode_metadata(theirs)), encode_metadata(ours))

    assert read(made) == [(line, [*theirs.items(), *ours.items()]) for line in texts]


@append
@pytest.mark.parametrize("size", [0, 105, 106, 127, 128, 4_000, 4_094, 4_096, 16_000, 16_383, 16_384, 2**21])
def test_lengths_of_any_size_grow(append, size):
    made = append(encoded([b"x" * size]), encode_metadata({"pod": "p"}))

    assert read(made) == [(b"x" * size, [("pod", "p")])]


@append
@pytest.mark.parametrize("size", [4_000, 8_000, 9_000])
def test_metadata_of_any_size_is_appended(append, size):
    made = append(encoded([b"one", b"two"]), encode_metadata({"pod": "p" * size}))

    assert read(made) == [(b"one", [("pod", "p" * size)]), (b"two", [("pod", "p" * size)])]


@append
def test_fields_that_are_no_entries_are_left_out(append):
    hash_field, unknown = b"\x18\x05", b"\x22\x01x"
    entries = encoded([b"one"]) + hash_field + encoded([b"two"]) + unknown

    assert read(append(entries, encode_metadata({"pod": "p"}))) == [
        (b"one", [("pod", "p")]),
        (b"two", [("pod", "p")]),
    ]
    assert append(entries, b"") == encoded([b"one"]) + encode_entry(NOW, b"two")


@built
@given(st.lists(st.tuples(times, st.text(max_size=80), metadata), min_size=1, max_size=20))
def test_what_lokis_clients_write_the_step_knows_with_the_times_of_all_entries(each):
    entries = b"".join(encode_entry(at, line.encode(), encode_metadata(pairs)) for at, line, pairs in each)
    at = [at for at, _, _ in each]

    assert step.look(entries) == (len(each), min(at), max(at), any(pairs for _, _, pairs in each))
    assert step.append(entries, OURS) == parsed_and_appended(entries, OURS)
    assert step.append(entries, b"") is entries


def agrees(entries):
    """Hold what the step says of *entries* against google.protobuf; tell whether it knew them."""
    looked, made = step.look(entries), step.append(entries, OURS)
    if made is not None:
        assert made == parsed_and_appended(entries, OURS), entries
        assert step.append(entries, b"") == parsed_and_appended(entries, b""), entries
    if looked is None:
        return False
    assert made is not None, entries
    message = Stream.FromString(entries)
    at = [entry.time.seconds * 10**9 + entry.time.nanos for entry in message.entries]
    has_metadata = any(entry.metadata for entry in message.entries)
    assert looked == (len(at), min(at), max(at), has_metadata), entries
    assert parsed(entries).count == len(at)
    # Nothing lies in it that a parser would not write the same way, but for zeros, which it would leave out.
    assert len(message.SerializeToString()) <= len(entries), entries
    return True


part = st.one_of(
    st.binary(max_size=12),
    st.tuples(st.sampled_from([0x0A, 0x12, 0x1A, 0x18, 0x08, 0x10]), st.binary(max_size=12)).map(lambda it: field(*it)),
    st.integers(0, 2**64 - 1).map(lambda number: b"\x08" + varint(number)),
)
message_ = st.lists(part, max_size=4).map(b"".join)
nested = st.lists(
    st.one_of(message_, message_.map(lambda it: field(0x0A, it)), message_.map(lambda it: field(0x1A, it))), max_size=4
).map(b"".join)


@built
@given(st.lists(st.one_of(nested.map(lambda it: field(0x12, it)), part), max_size=3).map(b"".join))
@example(field(0x12, field(0x0A, b"\x08\x01\x10\x02") + field(0x12, "ä".encode()) + field(0x12, b"twice")))
@example(field(0x12, b"\x0a\x82\x00\x08\x01"))
def test_whatever_the_step_takes_is_what_the_parser_reads(entries):
    agrees(entries)


@built
def test_a_byte_that_is_another_never_makes_the_step_say_what_the_parser_does_not():
    rng = random.Random(3)
    whole = b"".join(
        encode_entry(NOW + n * 10**8, text.encode(), encode_metadata({"zone": "z" * n} if n % 3 else {}))
        for n, text in enumerate(["", "line", "Zürich", "x" * 130, "日本" * 20, "\0", "🙂" * 9])
    )
    known = 0
    for _ in range(4_000):
        entries = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(entries))
            how = rng.randrange(4)
            if how == 0:
                del entries[at : at + rng.randrange(1, 9)]
            elif how == 1:
                entries[at:at] = rng.randbytes(rng.randrange(1, 5))
            else:
                entries[at] = rng.randrange(256) if how == 2 else entries[at] ^ 1 << rng.randrange(8)
        known += agrees(bytes(entries))

    assert 100 < known < 3_900


@built
@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"\x12",
        b"\x12\x05\x0a",
        b"\x12\x80\x00",
        b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        field(0x12, field(0x12, b"\xed\xa0\x80")),
        field(0x12, field(0x12, b"\xf4\x90\x80\x80")),
        field(0x12, field(0x12, b"\xc0\x80")),
        field(0x12, field(0x12, b"x" * 40 + b"\xe4")),
        field(0x12, field(0x1A, field(0x0A, b"\xff"))),
        field(0x12, field(0x1A, field(0x12, b"\xff"))),
        field(0x12, field(0x1A, field(0x0A, b"a") + field(0x1A, b"b"))),
        field(0x12, field(0x12, b"a") + field(0x12, b"b")),
        field(0x12, field(0x12, b"a") + field(0x0A, b"")),
        field(0x12, field(0x0A, b"\x10\x01\x08\x01")),
        field(0x12, field(0x0A, b"\x08")),
        field(0x12, field(0x0A, b"\x10" + varint(10**9))),
        field(0x12, field(0x0A, b"\x08" + varint(2**64 - 1))),
        field(0x12, b"\x22\x00"),
        field(0x12, b"") + b"\x18\x01",
    ],
    ids=str,
)
def test_what_no_client_of_loki_writes_the_step_does_not_know(odd):
    assert step.look(odd) is None


def test_a_stream_without_entries_or_with_more_than_these_is_unusual():
    for odd in (b"", encoded([b"one"]) + b"\x18\x05", encoded([b"\xff"])):
        with pytest.raises(Unusual):
            look(odd)


def test_without_the_step_the_same_is_done():
    program = """
import sys
sys.modules["kubescribe.gateway._entries"] = None
from kubescribe.gateway.entries import IS_COMPILED, append_metadata, look
entries = bytes.fromhex(sys.argv[1])
print(IS_COMPILED, look(entries).count, append_metadata(entries, bytes.fromhex(sys.argv[2])).hex())
"""
    entries = encoded([b"one", b"two"])

    said = subprocess.run(
        [sys.executable, "-c", program, entries.hex(), OURS.hex()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout

    assert said == f"False 2 {append_metadata(entries, OURS).hex()}\n"
    assert module.IS_COMPILED is (step is not None)

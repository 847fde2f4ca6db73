"""
What is done to a stream's encoded entries without decoding them: they are looked at, and made longer. Pure.

Entries stay the bytes that they came as: metadata is appended to an entry by making its length longer, since the
fields of a protobuf message may come in any order and repeated ones in any number. Every line of every push comes
through here. What Loki's clients write a compiled step does (_entries.pyx), where it was built; what is unusual, and
all of it where it was not, google.protobuf does, to the same bytes.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from kubescribe.gateway.messages import Entries, Stream
from kubescribe.loki.encoding import varint

_SAMPLED = 4
_SECOND = 1_000_000_000
MAX_TIME = 2**63 - 1
_ENTRY_KEY = b"\x12"
_USUAL_BYTES = 4096
"""Of an entry: the lengths of longer ones are not looked up but encoded."""

_KEYS = tuple(_ENTRY_KEY + varint(length) for length in range(2 * _USUAL_BYTES))
"""What goes before an entry, by its length."""


class Unusual(Exception):
    """A request that cannot be cut as it lies; a parser has to look at the whole."""


class Looked(msgspec.Struct, frozen=True, gc=False):
    """
    What was found of a stream's entries: how many, the times of the earliest and the latest, ns, and of metadata.

    Where google.protobuf looked, the times of a long stream are those of a sample, and `may_have_metadata` is True.
    """

    count: int
    first_at: int
    last_at: int
    may_have_metadata: bool


def parsed(entries: bytes) -> Looked:
    """Return what *entries* are, as google.protobuf reads them. Raises Unusual where they are not entries alone."""
    try:
        stream = Stream.FromString(entries)
    except DecodeError as error:
        raise Unusual(str(error)) from error
    found = stream.entries
    if not found or stream.labels or stream.hash:
        raise Unusual("a stream has no entries, or more than these")
    return Looked(len(found), *_times_of(found), may_have_metadata=True)


def parsed_and_appended(entries: bytes, metadata: bytes) -> bytes:
    """Return what `append_metadata` does, of any entries that can be parsed."""
    # The parser cuts, and nothing that is done to one entry is written in Python: a loop takes half as long again.
    cut = Entries.FromString(entries)
    if not metadata:
        if not len(UnknownFieldSet(cut)):
            return entries
        cut.DiscardUnknownFields()
        written: bytes = cut.SerializeToString()
        return written
    each: list[bytes] = cut.entries[:]
    parts = [metadata] * (3 * len(each))
    parts[::3] = _keys(each, len(metadata))
    parts[1::3] = each
    return b"".join(parts)


_look: Callable[[bytes], tuple[int, int, int, bool] | None]
_append: Callable[[bytes, bytes], bytes | None]
try:
    from kubescribe.gateway._entries import append as _append
    from kubescribe.gateway._entries import look as _look
except ImportError:
    # Built without a compiler: to what is not there nothing is usual.
    IS_COMPILED = False
    _look, _append = (lambda _: None), (lambda _, __: None)
else:
    IS_COMPILED = True


def look(entries: bytes) -> Looked:
    """Return what *entries* are. Raises Unusual where something else lies among them, or is not as Loki takes it."""
    looked = _look(entries)
    return parsed(entries) if looked is None else Looked(*looked)


def append_metadata(entries: bytes, metadata: bytes) -> bytes:
    """
    Return *entries* with *metadata* (from encode_metadata) at the end of each, the same for the same each time.

    What else lies among them is left out.
    """
    made = _append(entries, metadata)
    return parsed_and_appended(entries, metadata) if made is None else made


def clamped(at_ns: int) -> int:
    """Return a time as the spool can hold it: an entry may carry any number, and Loki judges it."""
    return min(max(0, at_ns), MAX_TIME)


def _times_of(entries: Any) -> tuple[int, int]:
    """Return when the earliest and the latest of *entries* (messages) are, of a long list as a sample tells."""
    step = max(1, len(entries) // _SAMPLED)
    times = [time.seconds * _SECOND + time.nanos for time in [entry.time for entry in (*entries[::step], entries[-1])]]
    return clamped(min(times)), clamped(max(times))


def _keys(entries: Sequence[bytes], added: int) -> Sequence[bytes]:
    """Return what goes before each of *entries* when it is *added* bytes longer: the field's key and the length."""
    try:
        # The zeros because one alone gives no tuple. (A tuple's own __getitem__ takes twice as long.)
        found: Sequence[bytes] = itemgetter(0, 0, *map(len, entries))(_keys_of_longer(added))
        return found[2:]
    except IndexError:
        return [_ENTRY_KEY + varint(len(entry) + added) for entry in entries]


@lru_cache(maxsize=64)
def _keys_of_longer(added: int) -> Sequence[bytes]:
    return _KEYS[added : added + _USUAL_BYTES]

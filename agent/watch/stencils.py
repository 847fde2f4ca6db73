"""
The text of an object around what moves in it, so that of most versions only that is read. Pure.

Nearly every version of a watch differs from the one before in three places: resourceVersion, managedFields and status.
A stencil is the text around these places, beside what was made of it once. Of a line that is the same text with other
values in its places only these values are decoded; of managedFields only the last entry, which is the newest, when
those before it are the same bytes too, and of that only its time when the rest of it is.

This is no guess about JSON. A stencil is cut only when its text, with values of ours in its places, decodes to exactly
these values as the object's resourceVersion, managedFields and status; and a line fits only when each of its places
holds one whole value. What does not fit is decoded as ever.
"""

from sys import intern

import msgspec

from agent.errors import Undecodable
from agent.watch.actors import Signature, sign, sign_entry, sign_parts
from agent.watch.decoding import ApiObject, ManagedEntry, decode_object

ROOM_BYTES = 20 * 2**20
"""For all streams of a process. A node has ~110 pods of ~6 KB each; of a larger cluster ~3,500 fit."""

REFUSALS = 8
"""A full memory refuses what is new, since emptying it for each would empty it of what is in use; but when it has
refused this many times what it holds, little of that can be in use."""

SETTLING = 4
"""Of the lines whose managedFields begin otherwise, each fourth is believed to begin what stays."""

_EVENT = b'{"type":"MODIFIED","object":'
_EVENT_END = b"}}}"
_VERSION = b'"resourceVersion":"'
_FIELDS = b'"managedFields":['
_FIELDS_END = b']},"spec":'
_STATUS = b',"status":'
_NEXT_ENTRY = b',{"manager":'
_TIME = b'"time":"'
_TIME_SIZE = len("2006-01-02T15:04:05Z")
_NOT_IN_TIMES = b"--T::Z"
_DIGITS = b"0123456789"
_MAX_DIGITS = 18
_START, _VERSION_SIZE = len(_EVENT), len(_VERSION)

_ENTRY = msgspec.json.Decoder(ManagedEntry)
_ENTRIES = msgspec.json.Decoder(list[ManagedEntry])
_VALUE = msgspec.json.Decoder(msgspec.Raw)
_BAD_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Standing(msgspec.Struct, gc=False):
    """
    What was made of an object without its status.

    `digest` and `spec` are the hashes of metadata and spec, as `Known` has them. `body` is the record's, up to its
    status, and `size` what counts of it against the limit.
    """

    uid: str
    name: str
    namespace: str
    generation: int
    digest: int
    spec: tuple[int, ...]
    body: bytes
    size: int


class LastEntry(msgspec.Struct, frozen=True, gc=False):
    """
    The text of an entry of managedFields around its time, and what was made of the rest of it.

    `entry` is without its fields, whose text is `fields_size` bytes long.
    """

    head: bytes
    tail: bytes
    entry: ManagedEntry
    fields_size: int

    @property
    def size(self) -> int:
        """How many bytes it keeps."""
        return len(self.head) + len(self.tail)


_NO_ENTRY = LastEntry(b"?", b"", ManagedEntry(), 0)


class Stencil(msgspec.Struct, gc=False):
    """
    The text of one line in three pieces. Behind each of them lies a place: version, managedFields, status.

    `settled` is the text of managedFields before its last entry, `signature` what is remembered of it, `last` the
    text of that, and `fields_size` how long the whole of it was; `unsettled` and `missed` count the lines of which
    the one or the other was otherwise.
    """

    head: bytes
    middle: bytes
    tail: bytes
    standing: Standing
    settled: bytes = b"?"
    signature: Signature = ()
    last: LastEntry = _NO_ENTRY
    fields_size: int = 0
    unsettled: int = 0
    missed: int = 0

    @property
    def size(self) -> int:
        """How many bytes it keeps."""
        texts = len(self.head) + len(self.middle) + len(self.tail) + len(self.settled) + self.last.size
        return texts + len(self.standing.body)


class Fit(msgspec.Struct, gc=False):
    """
    What a line has in the places of `stencil`.

    `fields_at` and `tail_at` are where its managedFields begin and end; `last` is their last entry, which need not
    have its fields.
    """

    stencil: Stencil
    version: int
    line: bytes
    fields_at: int
    tail_at: int
    last: ManagedEntry
    signature: Signature
    status: bytes

    def entries(self) -> list[ManagedEntry]:
        """Return all entries of managedFields."""
        return _ENTRIES.decode(b"[%b]" % self.line[self.fields_at : self.tail_at])


class Stencils:
    """The stencils of all streams of a process, within *room_bytes*."""

    def __init__(self, room_bytes: int = ROOM_BYTES) -> None:
        self._stencils: dict[bytes, Stencil] = {}
        self._room = self._room_bytes = room_bytes
        self._is_full = False
        self._refused = 0

    def fit(self, line: bytes) -> Fit | None:
        """Return what *line* of a watch has in the places of its object's stencil, None when it must be decoded."""
        start = line.find(_VERSION, _START) + _VERSION_SIZE
        stencil = self._stencils.get(line[:start])
        if stencil is None:
            return None
        end = line.find(b'"', start)
        digits = line[start:end]
        if not (line.startswith(stencil.middle, end) and digits.isdigit() and len(digits) <= _MAX_DIGITS):
            return None
        fields_at = end + len(stencil.middle)
        # A time moves more often than a length.
        tail_at = fields_at + stencil.fields_size
        if not line.startswith(stencil.tail, tail_at):
            tail_at = line.find(_FIELDS_END, fields_at)
            if not line.startswith(stencil.tail, tail_at):
                return None
        status = line[tail_at + len(stencil.tail) : -2]
        if not (status.startswith(b"{") and line.endswith(_EVENT_END)):
            return None
        try:
            _VALUE.decode(status)
            last_at = fields_at + len(stencil.settled)
            if line.startswith(stencil.settled, fields_at) and last_at <= tail_at:
                last, digest = self._last(stencil, line, last_at, tail_at)
                signature = (*stencil.signature, digest)
            else:
                last, signature = self._settle(stencil, line[fields_at:tail_at])
        except _BAD_JSON:
            return None
        return Fit(stencil, int(digits), line, fields_at, tail_at, last, signature, status)

    def cut(self, line: bytes, standing: Standing) -> bool:
        """Keep the stencil of *line*, of which *standing* was made; tell whether it has one and there is room."""
        if self._is_full:
            self._refused += 1
            if self._refused < REFUSALS * len(self._stencils):
                return False
            self._stencils.clear()
            self._room, self._is_full, self._refused = self._room_bytes, False, 0
        stencil = _cut(line, standing)
        if stencil is None:
            return False
        self._forget(stencil.head)
        self._room -= stencil.size
        self._stencils[stencil.head] = stencil
        if self.fit(line) is None:
            # Its own line has more than these places.
            self._forget(stencil.head)
        return stencil.head in self._stencils

    def _last(self, stencil: Stencil, line: bytes, start: int, end: int) -> tuple[ManagedEntry, int]:
        """
        Return the entry of managedFields that is *line* from *start* to *end*, and its signature.

        Its time moves with each write, what it owns seldom. Raises what decoding does.
        """
        known = stencil.last
        time_at = start + len(known.head)
        tail_at = time_at + _TIME_SIZE
        if (
            line.startswith(known.head, start)
            and tail_at + len(known.tail) == end
            and line.startswith(known.tail, tail_at)
        ):
            text = line[time_at:tail_at]
            if text.translate(None, _DIGITS) == _NOT_IN_TIMES:
                entry, time = known.entry, text.decode()
                digest = sign_parts(entry, time, known.fields_size)
                return ManagedEntry(entry.manager, entry.operation, time, entry.subresource), digest
        entry = _ENTRY.decode(line[start:end])
        stencil.missed = (stencil.missed + 1) % SETTLING
        if stencil.missed == 1:
            before, stencil.last = stencil.last, _last_entry(line[start:end], entry)
            self._take_room(stencil, stencil.last.size - before.size)
        return entry, sign_entry(entry)

    def _take_room(self, stencil: Stencil, size: int) -> None:
        """Note that *stencil* has grown by *size*; where there is no room for that, it goes."""
        self._room -= size
        if self._room < 0:
            self._is_full = True
            self._forget(stencil.head)

    def _settle(self, stencil: Stencil, fields: bytes) -> tuple[ManagedEntry, Signature]:
        """
        Return the last entry of *fields* and the signature of all; now and then take those before it for settled.

        Not each time: of some objects other entries move than the last. Raises what decoding does.
        """
        entries = _ENTRIES.decode(b"[%b]" % fields)
        if not entries:
            raise msgspec.ValidationError("managedFields are empty")
        signature = sign(entries)
        stencil.fields_size = len(fields)
        stencil.unsettled = (stencil.unsettled + 1) % SETTLING
        if stencil.unsettled == 1:
            start = fields.rfind(_NEXT_ENTRY) + 1
            # Only where the last entry ends as a whole it begins there, too.
            _ENTRY.decode(fields[start:])
            before = len(stencil.settled)
            stencil.settled, stencil.signature = fields[:start], signature[:-1]
            self._take_room(stencil, start - before)
        return entries[-1], signature

    def _forget(self, head: bytes) -> None:
        stencil = self._stencils.pop(head, None)
        self._room += stencil.size if stencil else 0


def _cut(line: bytes, standing: Standing) -> Stencil | None:
    if not line.startswith(_EVENT):
        return None
    version = line.find(_VERSION, _START) + _VERSION_SIZE
    middle = line.find(b'"', version)
    fields = line.find(_FIELDS, middle) + len(_FIELDS)
    tail = line.find(_FIELDS_END, fields)
    status = line.find(_STATUS, tail) + len(_STATUS)
    stencil = Stencil(line[:version], line[middle:fields], line[tail:status], standing)
    return stencil if _is_proven(stencil) else None


def _last_entry(text: bytes, entry: ManagedEntry) -> LastEntry:
    """Return the text of *entry* around its time; one that nothing matches when that cannot be told for sure."""
    time_at = text.find(_TIME) + len(_TIME)
    head, tail = text[:time_at], text[time_at + _TIME_SIZE :]
    try:
        # Our value in its place comes out as the time, and all else as it was.
        proof = _ENTRY.decode(b"%b0%b" % (head, tail))
    except _BAD_JSON:
        return _NO_ENTRY
    if (proof.time, proof.fields) != ("0", entry.fields) or entry.time != text[len(head) : -len(tail)].decode():
        return _NO_ENTRY
    named = ManagedEntry(intern(entry.manager), intern(entry.operation), None, intern(entry.subresource))
    return LastEntry(head, tail, named, len(entry.fields))


def _is_proven(stencil: Stencil) -> bool:
    """Tell whether the places of *stencil* are what they are taken for: our values in them come out as these fields."""
    try:
        item = decode_object(b"%b0%b%b0}" % (stencil.head[_START:], stencil.middle, stencil.tail))
    except Undecodable:
        return False
    meta = item.metadata
    return (
        isinstance(item, ApiObject)
        and (meta.resource_version, meta.managed_fields) == ("0", [])
        and bytes(item.status) == b"0"
    )

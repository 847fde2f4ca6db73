"""
The bodies that ingest has at hand, by the seq of the change that they stand for; the journal packs its own elsewhere.

The next version of an object is a difference to its body, so that of whatever changes often must be there at once. Two
tiers, each bounded by bytes: what was used last as it is, what was used before that packed to a sixth, in ~20 us. What
falls out of both is read from the journal again.
"""

from collections import OrderedDict

from aggregator.store.bodies import SHIPPED, Packer, Unpacker, shipped_dictionary

PLAIN_BYTES = 8 * 2**20
PACKED_BYTES = 40 * 2**20
"""~3,000 pods as they are and ~80,000 packed; more live in the journal until they change."""


class Bodies:
    """Belongs to one thread at a time."""

    def __init__(self, *, plain_bytes: int = PLAIN_BYTES, packed_bytes: int = PACKED_BYTES) -> None:
        number = SHIPPED[-1]
        dictionary = shipped_dictionary(number)
        self._packer = Packer(number, dictionary)
        self._unpacker = Unpacker({number: dictionary})
        self._plain: OrderedDict[int, bytes] = OrderedDict()
        self._packed: OrderedDict[int, bytes] = OrderedDict()
        self._plain_room = plain_bytes
        self._packed_room = packed_bytes

    def __len__(self) -> int:
        return len(self._plain) + len(self._packed)

    def get(self, seq: int) -> bytes | None:
        """Return the body, None when it is not here."""
        body = self._plain.get(seq)
        if body is not None:
            return body
        packed = self._packed.get(seq)
        return None if packed is None else self._unpacker.unpack(packed)

    def put(self, seq: int, body: bytes) -> None:
        """Keep *body*, as the one that was used last."""
        self.drop(seq)
        self._plain[seq] = body
        self._plain_room -= len(body)
        while self._plain_room < 0:
            oldest, plain = self._plain.popitem(last=False)
            self._plain_room += len(plain)
            packed = self._packer.pack(plain)
            self._packed[oldest] = packed
            self._packed_room -= len(packed)
        while self._packed_room < 0:
            _, packed = self._packed.popitem(last=False)
            self._packed_room += len(packed)

    def drop(self, seq: int) -> None:
        """Forget a body: no change will stand on it any more."""
        self._plain_room += len(self._plain.pop(seq, b""))
        self._packed_room += len(self._packed.pop(seq, b""))

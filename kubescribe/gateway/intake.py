"""
A request's body → what is spooled of it. Pure but for the finder that it asks; runs in the decoding thread.

Which bytes make which streams is the modules' of the formats; here lies only which format it is.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from kubescribe.gateway import lokijson, lokiproto, otlp, otlpjson
from kubescribe.gateway.bodies import JSON, PROTOBUF, media_type, unpacked, unwrapped
from kubescribe.gateway.entries import Unusual
from kubescribe.gateway.errors import BadPush
from kubescribe.gateway.frames import Head
from kubescribe.gateway.naming import Found, Naming
from kubescribe.gateway.packing import FRAME_BYTES, Packed, pack, pack_anew
from kubescribe.gateway.parts import check_loki_json, check_otlp, check_otlp_json
from kubescribe.gateway.repeats import Repeats, digest_of
from kubescribe.gateway.store import Body, NewFrame
from kubescribe.loki.encoding import compress

Api = Literal["loki", "otlp"]


@dataclass(slots=True, kw_only=True)
class Received:
    """A request as it came; `at` is when, ns. Whoever understands it takes the body out: a large one is held once."""

    api: Api
    body: bytes
    content_type: str
    encoding: str
    tenant: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What is to be spooled, None for a body that came before or holds no line; `digest` tells it from others."""

    digest: bytes
    body: Body | None
    is_repeat: bool = False
    found: Mapping[Found, int]


def _nothing_waits(_tenant: str, _streams: Collection[str]) -> bool:
    return False


class Intake:
    """Understands bodies. For one thread. *waits* tells whether streams of a tenant will wait on the disk, for now."""

    def __init__(
        self,
        naming: Naming,
        knows: Callable[[bytes, int], bool],
        *,
        max_bytes: int,
        waits: Callable[[str, Collection[str]], bool] = _nothing_waits,
    ) -> None:
        self._naming = naming
        self._knows = knows
        self._waits = waits
        self._unpacked = bytearray(FRAME_BYTES)
        self.max_bytes = max_bytes

    @classmethod
    def of(
        cls,
        naming: Naming,
        repeats: Callable[[], Repeats],
        *,
        max_bytes: int,
        waits: Callable[[str, Collection[str]], bool] = _nothing_waits,
    ) -> "Intake":
        """Return an intake that leaves out what *repeats* knows."""
        return cls(naming, lambda digest, now_ns: repeats().knows(digest, now_ns), max_bytes=max_bytes, waits=waits)

    def understand(self, received: Received) -> Understood:
        """Return what *received* says, and leave it without its body. Raises BadPush or TooLarge."""
        given, received.body = received.body, b""
        held = [unwrapped(given, received.encoding, self.max_bytes, api=received.api)]
        if not given or not held[0]:
            raise BadPush("the body is empty")
        del given
        digest = digest_of(received.tenant, received.api, held[0])
        if self._knows(digest, received.at):
            return Understood(digest=digest, body=None, is_repeat=True, found={})
        packed = self._packed(received, held)
        if any(stream.last_at == received.at for draft in packed.drafts for stream in draft.streams):
            # Lines that tell no time have got this one: the same words a minute later are others.
            digest = digest_of(received.tenant, f"{received.api} {received.at}", digest)
        frames = [
            NewFrame(
                head=Head(
                    at=received.at,
                    tenant=received.tenant,
                    digest=digest,
                    streams=draft.streams,
                    lines=draft.lines,
                    is_last=draft is packed.drafts[-1],
                ),
                request=draft.request,
                made=draft.made,
            )
            for draft in packed.drafts
        ]
        return Understood(digest=digest, body=Body(frames) if frames else None, found=packed.found)

    def _packed(self, received: Received, held: list[bytes]) -> Packed:
        """Return what the one body that is *held* says; it is taken out before what it says is put together."""
        kind, waits = media_type(received.content_type), partial(self._waits, received.tenant)
        if received.api == "otlp":
            if kind not in (JSON, PROTOBUF):
                raise BadPush(f"content type: {kind[:100]!r} is not supported")
            (check_otlp_json if kind == JSON else check_otlp)(held[0])
            logs = (otlpjson.parse if kind == JSON else otlp.parse)(held.pop())
            return pack_anew(otlp.streams_of(logs, now_ns=received.at), self._naming, waits=waits)
        if kind == JSON:
            check_loki_json(held[0])
            push = lokijson.parse(held.pop())
            return pack_anew(lokijson.streams_of(push), self._naming, waits=waits)
        whole = unpacked(held[0], self.max_bytes, into=self._unpacked)
        if len(whole) > FRAME_BYTES:
            held.clear()
            return pack_anew(lokiproto.streams_of_large(whole), self._naming, waits=waits)
        try:
            return pack(lokiproto.checked(whole), self._naming, request=held[0], waits=waits)
        except Unusual:
            request, streams = lokiproto.put_right(whole)
            return pack(streams, self._naming, request=compress(request), waits=waits)

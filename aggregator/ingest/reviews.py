"""
Service account tokens, proved by the API server: TokenReview (authentication.k8s.io/v1).

Agents present a projected token of the audience `kubescribe`, which is of no use anywhere else. The API server tells
whose it is, and to which node its pod is bound (`authentication.kubernetes.io/node-name`, on since Kubernetes 1.30,
KEP-4193): a node agent is believed for that node alone. Answers are kept for a minute, since a link that flaps must not
become a load on the API server; a token that is revoked is therefore good for a minute more.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from aggregator.errors import PeersUnknown
from aggregator.ingest.peers import Peer

_log = structlog.get_logger(__name__)

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
NODE_NAME = "authentication.kubernetes.io/node-name"

KEEP_SECONDS = 60.0
REFUSED_SECONDS = 10.0
"""Less than for good ones: an account that has just been made, or allowed, is in soon."""

MAX_KEPT = 20_000
MAX_TOKEN_BYTES = 16 * 1024
MAX_AT_ONCE = 8
"""Reviews under way: the agents of a large cluster may all come at once, after a restart of ours."""

Post = Callable[[str, bytes], Awaitable[bytes]]
"""POSTs a body to a path of the API server and returns the answer to a 201. Raises PeersUnknown."""


class _User(msgspec.Struct, gc=False):
    username: str = ""
    extra: dict[str, list[str]] | None = None


class _Status(msgspec.Struct, gc=False):
    authenticated: bool = False
    user: _User | None = None
    audiences: list[str] | None = None
    error: str = ""


class _Review(msgspec.Struct, gc=False):
    status: _Status


@dataclass(frozen=True, slots=True)
class _Kept:
    peer: Peer | None
    until: float


class TokenReviews:
    """
    An Authenticator that asks the API server.

    *accounts* maps a scope to the `namespace/name` of the service accounts whose pods may be agents of it.
    """

    def __init__(
        self, post: Post, audience: str, accounts: Mapping[str, Sequence[str]], *, clock: Callable[[], float]
    ) -> None:
        self._post = post
        self._audience = audience
        self._scopes = {
            f"system:serviceaccount:{account.replace('/', ':')}": scope
            for scope, named in accounts.items()
            for account in named
        }
        self._clock = clock
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Lock] = {}
        self._room = asyncio.Semaphore(MAX_AT_ONCE)

    async def peer_of(self, token: str) -> Peer | None:
        """Return whose *token* is, None when it is nobody's that may come here. Raises PeersUnknown."""
        # A token of a service account is a JWT; others need not be shown to the API server.
        if token.count(".") != 2 or len(token) > MAX_TOKEN_BYTES or not token.isascii():
            return None
        key = hashlib.sha256(token.encode()).digest()
        # One question for each token, however many connections come with it at once.
        lock = self._under_way.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                kept = self._kept.get(key)
                if kept is None or kept.until <= self._clock():
                    async with self._room:
                        peer = await self._ask(token)
                    kept = self._keep(key, peer)
                return kept.peer
        finally:
            if not lock.locked():
                self._under_way.pop(key, None)

    def _keep(self, key: bytes, peer: Peer | None) -> _Kept:
        kept = _Kept(peer, self._clock() + (REFUSED_SECONDS if peer is None else KEEP_SECONDS))
        self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return kept

    async def _ask(self, token: str) -> Peer | None:
        body = msgspec.json.encode(
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenReview",
                "spec": {"token": token, "audiences": [self._audience]},
            }
        )
        try:
            status = msgspec.json.decode(await self._post(PATH, body), type=_Review).status
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise PeersUnknown(f"the API server's answer to a TokenReview cannot be read: {error}"[:256]) from error
        user = status.user
        if not status.authenticated or user is None:
            _log.info("reviews.refused", reason=status.error[:256] or "not authenticated")
            return None
        # An authenticator that knows nothing of audiences leaves them out, and vouches for none.
        if self._audience not in (status.audiences or ()):
            _log.info("reviews.refused", reason=f"not for the audience {self._audience}", user=user.username[:128])
            return None
        scope = self._scopes.get(user.username)
        if scope is None:
            _log.warning("reviews.account_unknown", user=user.username[:128], known=sorted(self._scopes))
            return None
        node = next(iter((user.extra or {}).get(NODE_NAME, ())), "")
        if scope == "node" and not node:
            _log.warning("reviews.token_not_bound", user=user.username[:128], needs="a token that names its node")
            return None
        return Peer(name=user.username.removeprefix("system:"), scope=scope, node=node)

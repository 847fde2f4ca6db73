"""
The gateway of a node: what shippers on it push goes to Loki under the names of the pods that this agent knows.

Nothing is taken as long as these, or the node's zone, are still to come: what a push is named is for ever, and a
shipper comes again. The book of pods knows for how long at most that is worth waiting for. It listens where it is told;
with a token file every push has to present one of its tokens, without one only this machine gets here, and no page of a
browser on it.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import hdrs, web

from agent.pods.book import PodBook
from kubescribe.gateway.config import GatewayConfig
from kubescribe.gateway.finding import bearer_at, is_of_bearer
from kubescribe.gateway.gateway import Gateway, Handler, open_gateway
from kubescribe.gateway.numbers import GatewayNumbers
from kubescribe.labels.clues import Clue
from kubescribe.labels.enriching import NodeFacts
from kubescribe.labels.pods import PodFacts
from kubescribe.loki.pushes import Sender
from kubescribe.runtime.errors import StartupError
from kubescribe.runtime.serving import serving
from kubescribe.runtime.tokens import TokenFileUnusable, Tokens, token_of
from kubescribe.runtime.values import HostPort

_LINGER_SECONDS = 2.0
"""How long the rest of a body is read whose answer is known already; a shipper that is still writing loses it else."""

_EARLY_RETRY_SECONDS = "1"
_ASKS = {"WWW-Authenticate": 'Bearer realm="kubescribe", Basic realm="kubescribe"'}
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGatewaySettings:
    """
    `folder` is the spool's, `tenant` whose lines are those of shippers that name none.

    `node` is "" for an agent that sees several.
    """

    gateway: GatewayConfig
    listen: HostPort
    token_file: Path | None
    folder: Path
    tenant: str
    cluster: str
    node: str
    pod_labels: tuple[str, ...]
    free_floor: float


class BookFinder:
    """Implements kubescribe.gateway.finding.PodFinder over the book of pods."""

    def __init__(self, book: PodBook, *, cluster: str, node: str) -> None:
        self._book = book
        self._cluster = cluster
        self._node = node

    def find(self, clue: Clue, at: int = 0) -> PodFacts | None:
        """Return the pod that *clue* leads to; one of which only the name is known is as good as not known."""
        book, pod = self._book, None
        if clue.uid:
            pod = book.of_file(clue.uid)
        elif clue.container_id:
            pod = book.of_container(clue.container_id)
        if pod is None and not clue.uid and clue.pod:
            named = bearer_at(book.bearers(clue.namespace, clue.pod), at)
            pod = named if named is not None and is_of_bearer(named, clue, at) else None
        return None if pod is None or pod.is_guessed else pod

    def node_of(self, pod: PodFacts | None) -> NodeFacts:
        """Return where *pod* runs: here, where this agent is of one node."""
        node = (pod.node if pod is not None else "") or self._node
        return NodeFacts(cluster=self._cluster, node=node, zone=self._book.zone_of(node) or "")


@asynccontextmanager
async def open_node_gateway(settings: NodeGatewaySettings, book: PodBook, sender: Sender) -> AsyncIterator[Gateway]:
    """Listen and keep what comes while the block runs; the gateway's part is to be run. Raises StartupError."""
    tokens = _tokens(settings.token_file)
    finder = BookFinder(book, cluster=settings.cluster, node=settings.node)
    async with open_gateway(
        settings.gateway,
        settings.folder,
        sender,
        finder,
        tenant=settings.tenant,
        pod_labels=settings.pod_labels,
        free_floor=settings.free_floor,
    ) as gateway:
        app = web.Application()

        def is_early() -> bool:
            return book.is_list_coming() or book.is_zone_coming(settings.node)

        for method, path, handler in gateway.routes:
            app.router.add_route(method, path, guarded(handler, tokens, gateway.numbers, is_early=is_early))
        listening = serving(
            app,
            settings.listen,
            option="--gateway",
            auto_decompress=False,  # the gateway does it, in its thread and within its limits
            lingering_time=_LINGER_SECONDS,
        )
        async with listening as at:
            _log.info("gateway.listening", url=at.url)
            yield gateway


def guarded(
    handler: Handler, tokens: Tokens | None, numbers: GatewayNumbers, *, is_early: Callable[[], bool]
) -> Handler:
    """
    Return *handler* behind *tokens*; what comes from a page is refused, for it has nothing to push.

    While it *is_early* everybody is told to come again.
    """

    def refused(status: int, text: str, **headers: str) -> web.Response:
        numbers.requests[status] += 1
        return web.Response(status=status, text=f"{text}\n", headers=headers)

    async def guard(request: web.Request) -> web.StreamResponse:
        if hdrs.ORIGIN in request.headers:
            return refused(403, "no page may push lines")
        if tokens is not None:
            token = token_of(request.headers.get(hdrs.AUTHORIZATION, ""), takes_basic=True)
            if not token or tokens.name_of(token) is None:
                return refused(401, "a token is needed, or is not known", **_ASKS)
        if is_early():
            return refused(503, "the pods of this node are not known yet", **{hdrs.RETRY_AFTER: _EARLY_RETRY_SECONDS})
        return await handler(request)

    return guard


def _tokens(path: Path | None) -> Tokens | None:
    try:
        return Tokens(path, clock=time.monotonic) if path is not None else None
    except TokenFileUnusable as error:
        raise StartupError(f"--gateway-token-file: {error}") from error

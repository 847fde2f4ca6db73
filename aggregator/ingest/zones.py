"""The zones of nodes as the journal knows them: what a Welcome tells an agent, whose own watch sees no Node."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
import structlog

from aggregator.errors import StoreError
from aggregator.records import ObjectQuery, Page
from kubescribe.labels.nodes import zone_in

_log = structlog.get_logger(__name__)

_PAGE = 500
_MAX_NODES = 20_000

ZonesOf = Callable[[str], Awaitable[dict[str, str]]]
"""Returns the zones of one node, of all of them for ""."""


class Nodes(Protocol):
    """The part of the journal that is asked."""

    async def objects(self, query: ObjectQuery) -> Page:
        """As Journal.objects."""
        ...


class _Item(msgspec.Struct, gc=False):
    name: str
    body: msgspec.Raw = msgspec.Raw(b"")


_ITEM = msgspec.json.Decoder(_Item)


def zones_in(journal: Nodes) -> ZonesOf:
    """
    Return what finds zones in *journal*: "" for a node that has none.

    A node that it does not know is left out, and so is one of which its cloud has not told yet.
    """

    async def find(node: str) -> dict[str, str]:
        zones: dict[str, str] = {}
        seen = 0
        query = ObjectQuery(kind="Node", name=node, include_body=True, limit=1 if node else _PAGE)
        try:
            while True:
                page = await journal.objects(query)
                for item in page.items:
                    decoded = _ITEM.decode(item)
                    if (zone := zone_in(bytes(decoded.body))) is not None:
                        zones[decoded.name] = zone
                seen += len(page.items)
                if node or page.last is None or seen >= _MAX_NODES:
                    return zones
                query = ObjectQuery(kind="Node", include_body=True, after=page.last, limit=_PAGE)
        except (StoreError, msgspec.MsgspecError) as error:
            # Lines without a zone are better than an agent that is not let in.
            _log.warning("ingest.zones_not_found", node=node, error=str(error)[:256])
            return zones

    return find

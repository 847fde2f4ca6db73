"""
`GET usage`: what pods and nodes use now, against what they may, and of which nodes that is not known.

It is no history: what is not told any more is not shown, and a node that ought to tell and does not is a gap.
"""

import asyncio
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from aggregator.outlets.usage.desk import UsageDesk, UsageQuery
from aggregator.web.answers import answer_json, encode, render_list
from aggregator.web.listing import MAX_GAPS
from aggregator.web.parameters import USAGE
from aggregator.web.parts import WebParts
from kubescribe.wire.times import to_rfc3339


def _page(desk: UsageDesk, query: UsageQuery) -> tuple[list[bytes], str | None]:
    rows = desk.rows(query)
    return [encode(item) for item in rows.items], rows.last


class UsageListing:
    """The handler of `GET usage`."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts

    async def usage(self, request: web.Request) -> web.Response:
        """GET usage."""
        query = UsageQuery(**USAGE.read(request.query.items()))
        desk = self._parts.usage
        items: list[bytes] = []
        last = None
        if desk is not None:
            # In a thread: of 20,000 pods even to find the page takes longer than the loop may stall.
            items, last = await asyncio.to_thread(_page, desk, query)
        next_path = None if last is None else f"{request.path}?{urlencode({**request.query, 'after': last})}"
        gaps = self._gaps(desk, query.node)
        return await answer_json(request, render_list(items, next_path=next_path, complete=not gaps, gaps=gaps))

    def _gaps(self, desk: UsageDesk | None, wanted: str) -> list[bytes]:
        """Return a gap for each node whose usage is not known now, or one for all where nobody tells of any."""
        now = self._parts.now_ns()
        if desk is None or not desk.has_heard:
            return [self._gap("*", now, "usage_off", "no agent tells of usage: the profile is beside, or usage is off")]
        reported = desk.reported()
        return [
            self._gap(
                node.node, desk.last_seen(node.node) or node.since, "usage_absent", "the node's usage is not reported"
            )
            for node in self._parts.recorder.nodes()
            if not node.is_gone and node.node not in reported and wanted in ("", node.node)
        ][:MAX_GAPS]

    def _gap(self, node: str, since: int, cause: str, detail: str) -> bytes:
        now = self._parts.now_ns()
        return msgspec.json.encode(
            {
                "type": "gap",
                "seq": 0,
                "cluster": self._parts.recorder.identity().cluster,
                "id": f"usage/{node}",
                "stream": "usage" if node == "*" else f"usage/node={node}",
                "cause": cause,
                "from": to_rfc3339(min(since, now)),
                "to": None,
                "outcome": "open",
                "count": None,
                "bytes": None,
                "detail": detail,
                "committedAt": to_rfc3339(now),
            }
        )

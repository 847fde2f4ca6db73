"""
The feed's topic `logs`: the live tail of a pod or a workload, as one client hears it under one id.

Lines have no seq. They are numbered for each subscription, dropped ones included, so that `prev` chains its deltas as
in the other topics; a subscription cannot go on from a number of another connection, and begins with the newest lines
instead. A client that is too slow loses the oldest lines and is told by a `gap` how many.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from aggregator.logs.asking import LogQuery
from aggregator.logs.following import Tails, TooManyTails
from aggregator.logs.sinks import Notice
from aggregator.outlets.clients import Client
from aggregator.outlets.frames import bookmark, delta_head, delta_tail, encode_text
from aggregator.outlets.hub import Hub
from aggregator.outlets.lanes import MAX_FRAME_BYTES
from aggregator.web.feed_messages import BadMessage

LOGS_TOPIC = "logs"


class LogSubscription:
    """What one client hears under one id; `run` lives as long as the subscription."""

    topic = LOGS_TOPIC

    def __init__(self, hub: Hub, tails: Tails, client: Client, *, name: str, query: LogQuery) -> None:
        self.id = name
        self.position = 0
        self._hub = hub
        self._tails = tails
        self._client = client
        self._query = query

    async def run(self) -> None:
        """Send what comes until cancelled. Raises ClientGone, and BadMessage when it cannot go on."""
        try:
            sink = self._tails.hear(self._query)
        except TooManyTails as error:
            raise BadMessage("tooManySubscriptions", str(error), self.id) from error
        try:
            self._client.send(bookmark(self.id, 0, self._hub.time()), 0)
            while not sink.has_ended:
                await sink.ready.wait()
                # While it waits here, what comes is the sink's to drop.
                await self._client.drained()
                dropped, notices, lines = sink.take()
                self._tell_gaps(dropped, notices)
                for items in _parts(lines):
                    head = delta_head(self.id, self.position)
                    self.position += len(items)
                    self._client.send(head + delta_tail(self.position, items), self.position)
                await asyncio.sleep(self._hub.limits.batch_seconds)
            raise BadMessage("unavailable", "these lines are not followed any more", self.id)
        finally:
            await self._tails.leave(self._query, sink)

    def _tell_gaps(self, dropped: int, notices: Sequence[Notice]) -> None:
        for notice in notices:
            self._gap(notice.cause, notice.count, detail=notice.detail)
        if dropped:
            self._hub.metrics.dropped_lines.inc(dropped)
            self._gap("slowClient", dropped)

    def _gap(self, cause: str, count: int, **more: Any) -> None:
        start = self.position
        self.position += count
        told = {"fromSeq": start, "toSeq": self.position, "count": count or None}
        self._client.send(encode_text({"type": "gap", "id": self.id, "cause": cause, **told, **more}), self.position)


def _parts(lines: Sequence[bytes]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) > MAX_FRAME_BYTES:
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line)
    if part:
        yield part

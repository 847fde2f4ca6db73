"""The request `zones`: the aggregator learned of this agent's node after it had welcomed the agent."""

from collections.abc import AsyncIterator, Callable

from agent.pods.book import PodBook
from kubescribe.wire.codec import decode_zones

_NO_ANSWER: tuple[bytes, ...] = ()


def late_zones(book: PodBook) -> Callable[[bytes], AsyncIterator[bytes]]:
    """Return what answers the request: *book* is told as by a Welcome."""

    async def handle(arguments: bytes) -> AsyncIterator[bytes]:
        book.welcome(decode_zones(arguments))
        for payload in _NO_ANSWER:
            yield payload

    return handle

"""A zone that the aggregator learns late is told by a request."""

import pytest

from agent.pods.book import PodBook
from agent.pods.latezones import late_zones
from kubescribe.wire.codec import encode_zones
from kubescribe.wire.errors import WireError


async def test_a_zone_that_is_told_late_is_known_and_is_to_be_kept() -> None:
    book = PodBook(now_ns=lambda: 1, zone_seconds=60.0)
    book.welcome({})
    book.are_zones_news = False

    assert [part async for part in late_zones(book)(encode_zones({"n1": "z-1"}))] == []

    assert (book.zone_of("n1"), book.zones(), book.are_zones_news) == ("z-1", {"n1": "z-1"}, True)


async def test_what_is_no_map_of_zones_is_an_error_of_the_wire() -> None:
    with pytest.raises(WireError):
        [part async for part in late_zones(PodBook(now_ns=lambda: 1))(b"\x93abc")]

"""What deals with lines is opened as the settings say, and what nobody keeps does not go bad on the disk."""

from pathlib import Path

from agent.config import AgentConfig
from agent.pods.book import PodBook
from agent.shipping.opening import open_line_parts
from agent.tail.handing import nobody_counts
from kubescribe.loki.config import LokiConfig


async def opened(data: Path, *, profile: str, learn: bool = False) -> PodBook | None:
    """Open the parts, let them keep what was learned, and return the book."""
    config = AgentConfig(data=data, profile=profile, loki=LokiConfig(url="http://127.0.0.1:1"))
    async with open_line_parts(config, cluster="test", report=lambda _: None, counted=nobody_counts) as parts:
        if parts.book is not None and learn:
            parts.book.pass_mark("pods", is_listing=True)
            parts.book.pass_mark("pods", is_listing=False)
            await parts.keep()
        return parts.book


async def test_the_book_of_a_time_before_one_without_a_book_is_not_believed(tmp_path: Path) -> None:
    await opened(tmp_path, profile="standalone", learn=True)
    known = await opened(tmp_path, profile="standalone")
    assert known is not None
    assert known.whole == {"pods"}

    assert await opened(tmp_path, profile="beside") is None

    after = await opened(tmp_path, profile="standalone")
    assert after is not None
    assert after.whole == set()

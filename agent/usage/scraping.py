"""
The round: ask the source each so often, hand on what it said, count how it went. Not what is asked, nor whom.

One request is under way at a time, and each has a deadline: a kubelet that hangs costs its own rounds and nothing else.
A source that fails is asked less often, so that thousands of agents do not press an API server that is down already.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NoReturn

import structlog

from agent.errors import RequestFailed, ServerSaid, Undecodable
from agent.usage.sources import Source
from kubescribe.wire.link import Usage

_LOG = structlog.get_logger(__name__)

DEADLINE_SECONDS = 10.0
"""Of one round; it is never longer than the interval."""

LONGEST_SECONDS = 120.0
"""Between two rounds while they fail."""

OUTCOMES = ("ok", "failed", "refused", "undecodable")


class Scraper:
    """
    Asks *source* every *interval_seconds* and gives what it says to *send*.

    `outcomes` counts the rounds by OUTCOMES; refused is a 401 or 403, or a 404: an API that nobody serves.
    """

    def __init__(
        self,
        source: Source,
        send: Callable[[Sequence[Usage]], None],
        *,
        interval_seconds: float,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._source = source
        self._send = send
        self._interval = interval_seconds
        self._draw = draw
        self._failures = 0
        self.outcomes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))

    @property
    def undecodable(self) -> int:
        """Parts of answers that were not what they should be."""
        return self._source.undecodable

    async def run(self) -> NoReturn:
        """Go round until cancelled."""
        # Drawn, so that the kubelets of nodes that started together are not read, and told of, together.
        await asyncio.sleep(self._draw(0.0, min(self._interval, 5.0)))
        while True:
            began = time.monotonic()
            await self.look()
            await asyncio.sleep(max(0.0, began + self._pause() - time.monotonic()))

    async def look(self) -> None:
        """Do one round."""
        try:
            async with asyncio.timeout(min(DEADLINE_SECONDS, self._interval)):
                told = await self._source.look()
        except TimeoutError:
            self._failed("failed", "no answer in time")
        except ServerSaid as error:
            self._failed("refused" if error.code in {401, 403, 404} else "failed", str(error))
        except RequestFailed as error:
            self._failed("failed", str(error))
        except Undecodable as error:
            self._failed("undecodable", str(error))
        else:
            if told is None:
                return
            if self._failures:
                _LOG.info("usage.read_again", source=self._source.name, failures=self._failures)
            self._failures = 0
            self.outcomes["ok"] += 1
            self._send(told)

    def _failed(self, outcome: str, reason: str) -> None:
        self.outcomes[outcome] += 1
        self._failures += 1
        if self._failures == 1:  # one line for one decision: that it goes on failing, the counters tell
            _LOG.warning("usage.not_read", source=self._source.name, outcome=outcome, reason=reason[:256])

    def _pause(self) -> float:
        longest = max(self._interval, LONGEST_SECONDS)
        return min(longest, self._interval * 2.0 ** min(self._failures, 8) if self._failures > 1 else self._interval)

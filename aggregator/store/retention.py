"""
Retention's clock: when the journal deletes what is too old or too much, and how much of it at a time.

What may go, and what must stay, is the store's to know (store/base.py, `prune`).
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from aggregator.errors import StoreError, StoreUnusable
from aggregator.store.base import Forgetting, Journal, Pruned

_log = structlog.get_logger(__name__)

_IDLE_SECONDS = 60.0
"""Until it is looked at again whether something is due, or whether the disk serves again."""

_PAUSE_SECONDS = 0.02
"""At least so long commits have the journal for themselves between two steps."""

_HOLD_SECONDS = 0.025
"""How long a step should keep a commit waiting: half of what nobody notices, since disks have bad moments."""

_FIRST_STEP = 250
_SMALLEST_STEP = 10
_LARGEST_STEP = 1000


class Retention:
    """Calls `prune` for ever, in steps that adapt to how fast the disk is."""

    def __init__(
        self,
        journal: Journal,
        *,
        age_seconds: float,
        max_bytes: int,
        now_ns: Callable[[], int],
        forgetting: Forgetting,
        on_pruned: Callable[[Pruned], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._journal = journal
        self._age_ns = round(age_seconds * 1e9)
        self._max_bytes = max_bytes
        self._now_ns = now_ns
        self._forgetting = forgetting
        self._on_pruned = on_pruned
        self._sleep = sleep
        self._step = _FIRST_STEP

    async def run(self) -> None:
        """Prune until cancelled; a disk that does not serve is tried again later. Raises StoreUnusable."""
        records = 0
        while True:
            try:
                pruned = await self._journal.prune(
                    before=self._now_ns() - self._age_ns,
                    max_bytes=self._max_bytes,
                    step=self._step,
                    forgetting=self._forgetting,
                )
            except StoreUnusable:
                raise
            except StoreError as error:
                _log.warning("retention.failed", error=str(error))
                self._step = _SMALLEST_STEP
                await self._sleep(_IDLE_SECONDS)
                continue
            self._on_pruned(pruned)
            records += pruned.records
            self._adapt(pruned)
            if pruned.more:
                await self._sleep(max(_PAUSE_SECONDS, pruned.seconds))
                continue
            if records:
                _log.info("retention.caught_up", records=records, horizon_seq=pruned.horizon_seq)
                records = 0
            await self._sleep(_IDLE_SECONDS)

    def _adapt(self, pruned: Pruned) -> None:
        if pruned.seconds > _HOLD_SECONDS:
            self._step = max(_SMALLEST_STEP, self._step // 2)
        elif pruned.more and pruned.seconds < _HOLD_SECONDS / 2:
            self._step = min(_LARGEST_STEP, self._step * 2)

"""
From the spool to Loki: frames in order, their pushes to the sender, the cursor behind what is final.

What was submitted and has no outcome yet is sent again after a crash, as the same bytes. What Loki refuses for good is
final as well: it is counted, and the cursor moves on.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog

from kubescribe.gateway.errors import GatewayError
from kubescribe.gateway.frames import Frame, pushes_of
from kubescribe.gateway.numbers import GatewayNumbers
from kubescribe.gateway.spool import Spool
from kubescribe.loki.pushes import Outcome, Push, Sender

WINDOW_BYTES = 16 * 2**20
"""Of pushes that are submitted and not final; as much as the sender holds itself."""

WINDOW_FRAMES = 1024
"""A frame that waits for one slow stream does not keep the next thousand from being sent."""

SETTLE_SECONDS = 0.25
"""Between two moves of the cursor: each costs a sync, and what lies between is at worst sent twice, byte for byte."""

RETRY_SECONDS = 1.0
_DRAIN_SECONDS = 3.0

_log = structlog.get_logger()


@dataclass(slots=True)
class _Underway:
    """A frame that was submitted, and the pushes of it that have no outcome."""

    n: int
    left: int


class Forwarder:
    """Sends what the spool holds. `run` until `stop`."""

    def __init__(self, spool: Spool, sender: Sender, numbers: GatewayNumbers) -> None:
        self._spool = spool
        self._sender = sender
        self.numbers = numbers
        self._window: deque[_Underway] = deque()
        self._bytes = 0
        self._is_draining = False
        self._moved = asyncio.Event()
        self._settled = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Send until `stop`."""
        sending = asyncio.create_task(self._send(), name="gateway sending")
        settling = asyncio.create_task(self._settle(), name="gateway settling")
        stopping = asyncio.create_task(self._stopping.wait(), name="gateway stopping")
        tasks = (sending, settling, stopping)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            with suppress(OSError):
                await self._acknowledge()
        for task in (sending, settling):
            if not task.cancelled():
                task.result()

    async def stop(self) -> None:
        """Submit nothing more, wait a little for what is under way, and end; the rest is sent after the next start."""
        self._is_draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._window:
                    self._moved.clear()
                    await self._moved.wait()
        self._stopping.set()

    def cut_off(self) -> None:
        """End without waiting for what is under way, as a crash would."""
        self._stopping.set()

    async def _send(self) -> None:
        after = self._spool.store.cursor.n
        while True:
            try:
                frame = await self._spool.next(after)
            except OSError as error:
                _log.warning("gateway.spool_unreadable", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            while self._is_draining or self._bytes >= WINDOW_BYTES or len(self._window) >= WINDOW_FRAMES:
                self._moved.clear()
                await self._moved.wait()
            after = frame.n
            pushes = await asyncio.to_thread(self._pushes, frame)
            underway = _Underway(frame.n, len(pushes))
            self._window.append(underway)
            for push in pushes:
                outcome = await self._sender.submit(push)
                self._bytes += len(push.entries)
                outcome.add_done_callback(partial(self._done, underway, push))
            self._step()

    def _pushes(self, frame: Frame) -> list[Push]:
        try:
            return list(pushes_of(frame))
        except (GatewayError, ValueError) as error:
            # The checksum agreed, so it was written like this: an error of ours, which must not stop the rest.
            _log.error("gateway.frame_unsendable", frame=frame.n, lines=frame.head.lines, error=str(error)[:200])
            self.numbers.unsendable_lines += frame.head.lines
            return []

    def _done(self, underway: _Underway, push: Push, outcome: "asyncio.Future[Outcome]") -> None:
        self._bytes -= len(push.entries)
        if outcome.cancelled() or outcome.exception() is not None:
            return  # the sender was stopped: nothing is known, and after the next start it is sent again
        result = outcome.result()
        self.numbers.accepted += result.accepted
        for reason, count in result.rejected.items():
            self.numbers.reject(reason, count)
        underway.left -= 1
        self._step()

    def _step(self) -> None:
        self._moved.set()
        if self._window and not self._window[0].left:
            self._settled.set()

    async def _settle(self) -> None:
        while True:
            await self._settled.wait()
            try:
                await self._acknowledge()
            except OSError as error:
                _log.warning("gateway.cursor_not_written", error=str(error))
                self._settled.set()
            await asyncio.sleep(SETTLE_SECONDS)

    async def _acknowledge(self) -> None:
        self._settled.clear()
        final = 0
        for underway in self._window:
            if underway.left:
                break
            final = underway.n
        if final:
            await self._spool.acknowledge(final)
        while self._window and self._window[0].n <= final:
            self._window.popleft()
        self._moved.set()

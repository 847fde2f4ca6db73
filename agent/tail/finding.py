"""
Looking for containers' files as a part of its own, in a thread of its own: nothing that is read or sent delays it.

What it finds is open already; see discovery. Without inotify all folders are looked through each second.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from agent.tail.discovery import Discovery, Finds
from agent.tail.inotify import Inotify
from agent.tail.missing import Missed
from agent.tail.opening import raise_file_limit
from agent.tail.paths import Instance
from agent.tail.settings import TailSettings
from agent.tail.witness import NO_EARLIER_LIFE, EarlierLife, TakeEnded, unseen

_log = structlog.get_logger(__name__)

Take = Callable[[Finds], Awaitable[None]]


class Finder:
    """
    Finds files below `settings.folder`, those of before *since* too: `first`, then `run` for ever, then `close`.

    *take_ended* tells of pods of *node* that ended: whose files were never seen, also not by the *earlier* life, is
    missed.
    """

    def __init__(
        self,
        settings: TailSettings,
        *,
        since: int,
        earlier: EarlierLife = NO_EARLIER_LIFE,
        node: str = "",
        take_ended: TakeEnded | None = None,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        # An agent that sees several nodes has the files of one of them, and does not know of which.
        self._node, self._take_ended = node, take_ended if node else None
        self._now_ns = now_ns
        self._unwatched_since = earlier.unwatched_since(now_ns())
        self._monotonic = monotonic
        self._finding = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tail-find")
        self._under_way: Future[Finds] | None = None
        self._untold: list[Missed] = []
        self._notifier = _notifier() if settings.with_inotify else None
        self._discovery = Discovery(
            settings.folder, self._notifier, now_ns=now_ns, since=since, max_files=raise_file_limit()
        )
        for uid in earlier.uids:
            self._discovery.seen.add(uid)

    async def first(self) -> Finds:
        """Return everything that is there; tell of a folder that would otherwise only be silent."""
        folder = self._settings.folder
        if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
            _log.error("tail.folder_not_readable", folder=str(folder))
        return await self._in_thread(self._discovery.look_everywhere)

    async def run(self, take: Take) -> None:
        """Have everything new taken, as soon as it is there."""
        due = self._monotonic() + self._scan_seconds
        while True:
            is_overflown = False
            if await self._changes(due):
                finds = await self._in_thread(self._discovery.look_at_changes)
                is_overflown = finds.is_overflown
                await self._hand(finds, take)
            if is_overflown or self._monotonic() >= due:
                begun = self._monotonic()
                await self._hand(await self._in_thread(self._look_everywhere), take)
                # A folder of many thousands takes long to look through: a fiftieth of the time at most goes there.
                due = self._monotonic() + max(self._scan_seconds, 50 * (self._monotonic() - begun))

    def forget(self, instances: Iterable[Instance]) -> None:
        """Find *instances*, which are read to their end and have no files any more, again if they come back."""
        self._discovery.forget(instances)

    async def _changes(self, due: float) -> bool:
        """Wait for something to change, until *due* at most; tell whether it did."""
        changed, loop = asyncio.Event(), asyncio.get_running_loop()
        if self._notifier is not None:
            loop.add_reader(self._notifier.descriptor, changed.set)
        try:
            async with asyncio.timeout(max(0.0, due - self._monotonic())):
                return await changed.wait()
        except TimeoutError:
            return False
        finally:
            # Until it is read, in the thread, it would wake the loop again and again.
            if self._notifier is not None:
                loop.remove_reader(self._notifier.descriptor)

    def close(self) -> list[Missed]:
        """Let the last look end; return what was missed and may not be told yet. Twice is once."""
        self._finding.shutdown(wait=True)
        if self._notifier is not None:
            self._notifier.close()
            self._notifier = None
        missed, self._untold = self._untold, []
        last, self._under_way = self._under_way, None
        if last is not None and not last.cancelled() and last.exception() is None:
            missed += last.result().missed
            # Nobody took what it found.
            for found in last.result().found:
                for opened in found.opened:
                    os.close(opened.descriptor)
        return missed

    async def _hand(self, finds: Finds, take: Take) -> None:
        # Who is stopped within may not have told it.
        self._untold = finds.missed
        await take(finds)
        self._untold = []

    def _look_everywhere(self) -> Finds:
        # Whose end was told before the look has been looked for as long as there is any use in it.
        ended = self._take_ended(self._now_ns()) if self._take_ended is not None else ()
        finds = self._discovery.look_everywhere()
        finds.missed += unseen(ended, self._discovery.seen, node=self._node, after=self._unwatched_since)
        return finds

    @property
    def _scan_seconds(self) -> float:
        return self._settings.notified_scan_seconds if self._discovery.is_told else self._settings.scan_seconds

    async def _in_thread(self, job: Callable[[], Finds]) -> Finds:
        self._under_way = self._finding.submit(job)
        finds = await asyncio.wrap_future(self._under_way)
        self._under_way = None
        return finds


def _notifier() -> Inotify | None:
    try:
        return Inotify()
    except OSError as error:
        _log.info("tail.without_inotify", error=str(error))
        return None

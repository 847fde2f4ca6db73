"""
The spool as the gateway's tasks use it: put a body and go on when it is durable; read frames in order; acknowledge.

One thread does what touches the disk. Bodies that arrive while a sync runs are written together by the next one, so a
put takes two syncs at most, however many shippers there are.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from kubescribe.gateway.finals import Finals
from kubescribe.gateway.frames import Frame
from kubescribe.gateway.store import Body, SpoolLimits, Store, open_store
from kubescribe.runtime.room import RoomOf, room_of
from kubescribe.runtime.worker import Worker

_Waiting = tuple[Body, "asyncio.Future[None]"]

FRESH_BYTES = 4 * 2**20
"""Of frames that were just written and are to be sent next; each is dropped when it, or one behind it, was read."""


class Spool:
    """An open spool. Made by `open_spool`."""

    def __init__(self, store: Store, disk: Worker) -> None:
        self.store = store
        self._disk = disk
        self._waiting: list[_Waiting] = []
        self._is_writing = False
        self._grown = asyncio.Event()
        self._newest = store.last_n
        self._fresh: dict[int, Frame] = {}
        self._fresh_bytes = 0

    async def put(self, body: Body) -> None:
        """Keep *body* durably. Raises Busy, DiskFailed or TooLarge, and then nothing of it is kept."""
        waiting = sum(each.size for each, _ in self._waiting)
        self.store.admit(waiting + body.size, body.frames[0].head.tenant)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((body, done))
        if not self._is_writing:
            self._write()
        await done

    async def next(self, after: int) -> Frame:
        """Return the first frame behind number *after*, as soon as there is one. Raises OSError."""
        while True:
            self._grown.clear()
            if (fresh := self._fresh.pop(after + 1, None)) is not None:
                self._fresh_bytes -= fresh.memory_bytes
                return fresh
            # Asking the thread for what is not there yet would be a third of its jobs.
            if self._newest > after and (frame := await self._disk.run(partial(self.store.read, after))) is not None:
                self._drop_fresh(frame.n)
                return frame
            await self._grown.wait()

    async def read(self, n: int) -> Frame | None:
        """Return frame *n*, which `next` returned before, None when it is damaged. Raises OSError."""
        frame = await self._disk.run(partial(self.store.read, n - 1))
        return frame if frame is not None and frame.n == n else None

    def _drop_fresh(self, through: int) -> None:
        for n in [n for n in self._fresh if n <= through]:
            self._fresh_bytes -= self._fresh.pop(n).memory_bytes

    async def acknowledge(self, n: int) -> None:
        """Note durably that Loki has everything up to *n*. Raises OSError."""
        await self._disk.run(partial(self.store.acknowledge, n))

    async def release(self, finals: Finals) -> bool:
        """Give back of what is final beyond the cursor; tell whether that was any. Raises OSError."""
        return await self._disk.run(partial(self.store.release, finals))

    async def keep_finals(self, finals: Finals) -> None:
        """Note durably what is final beyond the cursor. Raises OSError."""
        await self._disk.run(partial(self.store.keep_finals, finals))

    def _write(self) -> None:
        """Have written what waits; whoever comes meanwhile is of the next group."""
        group, self._waiting = self._waiting, []
        self._is_writing = bool(group)
        if group:
            writing = self._disk.run(partial(self.store.append, [body for body, _ in group]))
            # Not a task of one of them: a shipper that hangs up must not take the others' answers along.
            writing.add_done_callback(partial(self._written, group))

    def _written(self, group: list[_Waiting], writing: "asyncio.Future[list[Frame]]") -> None:
        failure = writing.exception()
        for frame in () if failure is not None else writing.result():
            self._newest = frame.n
            # Who is up to date reads and unpacks nothing again. What does not fit is on disk like everything.
            if self._fresh_bytes + frame.memory_bytes <= FRESH_BYTES:
                self._fresh[frame.n] = frame
                self._fresh_bytes += frame.memory_bytes
        self._grown.set()
        for _, done in group:
            if done.done():
                continue
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)
        self._write()


@asynccontextmanager
async def open_spool(folder: Path, limits: SpoolLimits, *, room: RoomOf = room_of) -> AsyncIterator[Spool]:
    """Open the spool in *folder* while the block runs. Raises StartupError."""
    with Worker("gateway-disk") as disk:
        store = await disk.run(lambda: open_store(folder, limits, room=room))
        try:
            yield Spool(store, disk)
        finally:
            await disk.run(store.close)

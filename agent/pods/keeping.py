"""
The book of pods on disk: an agent that starts while the API server is away knows its pods all the same.

Written in a thread: before a pod's version counts as seen, since no watch comes back to it then; the rest each second.
A life of the agent that keeps no book deletes it: the watch goes on, and from then on the book would be full of holes.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

import msgspec
import structlog

from agent.pods.book import Page, PodBook
from kubescribe.runtime.linefile import LineFile

_log = structlog.get_logger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")

_SAVE_SECONDS = 1.0


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One line: a pod by its uid, None for one that is forgotten; or the zones of all nodes; or the whole streams."""

    uid: str = ""
    page: Page | None = None
    zones: dict[str, str] | None = None
    whole: tuple[str, ...] | None = None


class _Kept(NamedTuple):
    """What a file tells."""

    pages: dict[str, Page]
    zones: dict[str, str] | None
    whole: tuple[str, ...]


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Entry)


class BookKeeper:
    """Keeps *book* in *path*: `open`, then `run` for ever, `stop` writes the rest."""

    def __init__(self, book: PodBook, path: Path, *, save_seconds: float = _SAVE_SECONDS) -> None:
        self._book = book
        self._path = path
        self._save_seconds = save_seconds
        self._writing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pods")
        self._file: LineFile | None = None
        self._stopping = asyncio.Event()
        self._saving = asyncio.Lock()

    async def open(self) -> None:
        """Fill the book with what is there. Raises OSError."""
        self._file, kept = await self._in_thread(_opened, self._path)
        self._book.restore(kept.pages, kept.zones, kept.whole)

    async def run(self) -> None:
        """Write what is new until `stop`."""
        try:
            is_last = False
            while not is_last:
                try:
                    async with asyncio.timeout(self._save_seconds):
                        is_last = await self._stopping.wait()
                except TimeoutError:
                    pass
                await self.save()
        finally:
            self._writing.shutdown(wait=True)

    async def stop(self) -> None:
        """Let `run` write the rest and return."""
        self._stopping.set()

    async def save(self) -> None:
        """Write what is new; what could not be written stays new."""
        # One after the other: who finds nothing new must not go on before it is written that another found it.
        async with self._saving:
            await self._save()

    async def _save(self) -> None:
        book = self._book
        book.forget_old()
        news, book.news = book.news, set()
        are_zones_news, book.are_zones_news = book.are_zones_news, False
        is_whole_news, book.is_whole_news = book.is_whole_news, False
        if not news and not are_zones_news and not is_whole_news:
            return
        entries = [Entry(uid=uid, page=book.page(uid)) for uid in news]
        if are_zones_news:
            entries.append(Entry(zones=book.zones()))
        # Behind the pods of the streams: a write that a crash cuts off has not told that they are all there.
        whole = Entry(whole=tuple(sorted(book.whole)))
        if is_whole_news:
            entries.append(whole)
        assert self._file is not None, "`open` comes first"  # noqa: S101
        try:
            if self._file.is_bloated():
                everything = [Entry(uid=uid, page=book.page(uid)) for uid in book.uids()]
                await self._in_thread(_rewrite, self._file, [*everything, Entry(zones=book.zones()), whole])
            else:
                await self._in_thread(_append, self._file, entries)
        except OSError as error:
            book.news |= news
            book.are_zones_news |= are_zones_news
            book.is_whole_news |= is_whole_news
            _log.warning("pods.not_written", error=str(error))

    async def _in_thread(self, job: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._writing, partial(job, *arguments, **options))


async def forget_book(path: Path) -> None:
    """Delete the book in *path*, durably, if there is one: nobody keeps it now. Raises OSError."""
    await asyncio.to_thread(_forget, path)


def _forget(path: Path) -> None:
    if not path.exists():
        return
    path.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _opened(path: Path) -> tuple[LineFile, _Kept]:
    file = LineFile(path)
    pages: dict[str, Page] = {}
    zones: dict[str, str] | None = None
    whole: tuple[str, ...] = ()
    for line in file.read():
        try:
            entry = _DECODER.decode(line)
        except msgspec.MsgspecError:
            break
        if entry.page is not None:
            pages[entry.uid] = entry.page
        elif entry.uid:
            pages.pop(entry.uid, None)
        elif entry.whole is not None:
            whole = entry.whole
        else:
            zones = entry.zones
    entries = [Entry(uid=uid, page=page) for uid, page in pages.items()]
    _rewrite(file, [*entries, Entry(zones=zones), Entry(whole=whole)])
    return file, _Kept(pages, zones, whole)


def _rewrite(file: LineFile, entries: list[Entry]) -> None:
    file.rewrite([_ENCODER.encode(entry) for entry in entries])


def _append(file: LineFile, entries: list[Entry]) -> None:
    file.append([_ENCODER.encode(entry) for entry in entries])

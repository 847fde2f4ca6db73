"""The tailer's state on disk, from the loop: written in a thread of its own, and what could not be written is kept."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from msgspec.structs import replace

from agent.tail.joining import Place
from agent.tail.paths import Instance
from agent.tail.settings import TailSettings
from agent.tail.store import Kept, Saved, TailStore
from agent.tail.tail import Tail
from agent.tail.tally import Parcel
from agent.tail.witness import EarlierLife
from kubescribe.labels.enriching import Enrichment

_log = structlog.get_logger(__name__)

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What the disk does not have yet, as it was at one moment."""

    places: list[tuple[Tail, Place | None, Saved]]
    found: dict[Instance, Saved]
    finished: dict[Instance, Saved]


class States:
    """What is known of each instance; `open` before anything else."""

    def __init__(self, settings: TailSettings, *, now_ns: Callable[[], int]) -> None:
        self._settings = settings
        self._now_ns = now_ns
        self._writing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tail-state")
        self._store: TailStore | None = None
        self._found: dict[Instance, Saved] = {}
        self._finished: dict[Instance, Saved] = {}

    async def open(self) -> None:
        """Read what is known. Raises OSError."""
        since = self._now_ns() - int(self._settings.backlog_seconds * _SECOND)
        self._store = await asyncio.get_running_loop().run_in_executor(
            self._writing, lambda: TailStore(self._settings.state, since=since)
        )

    def close(self) -> None:
        """Let the last write end."""
        self._writing.shutdown(wait=True)

    @property
    def store(self) -> TailStore:
        """The store."""
        assert self._store is not None, "`open` comes first"  # noqa: S101
        return self._store

    @property
    def since(self) -> int:
        """From when on lines are wanted."""
        return self.store.since

    def earlier(self) -> EarlierLife:
        """Return what is known of the life before, right after `open`."""
        return EarlierLife(saved_at=self.store.saved_at, uids=frozenset(it.uid for it in self.store.instances))

    def of(self, instance: Instance) -> Kept:
        """Return what is known of *instance*."""
        return self.store.instances.get(instance) or Kept()

    def names(self, instance: Instance) -> Enrichment:
        """Return what lines of *instance* carry; it was frozen before."""
        enrichment = self.of(instance).enrichment
        assert enrichment is not None  # noqa: S101
        return enrichment

    def note(self, instance: Instance, made_after: int) -> None:
        """Note that *instance* was found: if its files are gone before any of it was sent, the next life tells."""
        if instance not in self.store.instances:
            self._found[instance] = Saved(instance=instance, made_after=made_after)

    def is_done(self, instance: Instance) -> bool:
        """Tell whether nothing is left to be read of *instance*."""
        return instance in self._finished or self.of(instance).is_done

    def is_unsaved(self, instance: Instance) -> bool:
        """Tell whether the end of *instance* is still to be written: until then nothing may begin under its name."""
        return instance in self._finished

    def known(self) -> list[Instance]:
        """Return the instances of which something is known."""
        return list(self.store.instances)

    def forget(self, instance: Instance) -> None:
        """Note that *instance*, which was read to its end, has no files any more."""
        if instance in self.store.instances or instance in self._finished:
            unsaved = self._finished.get(instance)
            lines = unsaved.lines if unsaved is not None else None
            self._finished[instance] = Saved(instance=instance, lines=lines, is_done=True, is_gone=True)

    async def freeze(self, decided: Mapping[Instance, Enrichment], begins: Mapping[Instance, Place]) -> bool:
        """
        Keep under which names lines go out, and where reading begins; False when it could not be: then none may.

        With where it begins, the next life can tell what was lost of an instance of which nothing ever arrived.
        """
        now = self._now_ns()
        news = []
        for instance, enrichment in decided.items():
            begin = begins[instance]
            # Lines in no known format take the time of the line before; the first ones take this one.
            place = (begin.file, begin.offset, begin.last_at or now)
            news.append(Saved(instance=instance, enrichment=enrichment, frozen_at=now, place=place))
        return await self._write(news)

    def finish(self, tail: Tail) -> None:
        """Note that *tail* is read to its end, or gone; the next `save` keeps it."""
        self._finished[tail.instance] = replace(_place_of(tail), is_done=True, is_gone=tail.is_gone)

    def news(self, tails: Iterable[Tail]) -> News:
        """Return how far each of *tails* is now, and what has ended, where that is not kept yet."""
        return News(
            places=[(tail, tail.place, _place_of(tail)) for tail in tails if tail.is_changed],
            found=dict(self._found),
            finished=dict(self._finished),
        )

    async def save(self, news: News) -> bool:
        """Keep *news*; False when it could not be, and is tried again."""
        changed = [saved for _, _, saved in news.places]
        if not changed and not news.found and not news.finished:
            return True
        if not await self._write([*news.found.values(), *changed, *news.finished.values()]):
            return False
        for instance, saved in news.found.items():
            if self._found.get(instance) is saved:
                del self._found[instance]
        for tail, place, saved in news.places:
            tail.is_changed = tail.place != place or tail.is_read_out != saved.is_done
        for instance, saved in news.finished.items():
            if self._finished.get(instance) is saved:
                del self._finished[instance]
        return True

    @property
    def source(self) -> str:
        """What counts of lines are known by."""
        return self.store.source

    async def next_parcel(self) -> Parcel | None:
        """Return the counts of lines to be handed over now, on disk; None for none, or where the disk refuses."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._writing, self.store.next_parcel)
        except OSError as error:
            _log.warning("tail.state_not_written", error=str(error))
            return None

    def note_handed(self) -> None:
        """Note that the last parcel is where it is safe."""
        self.store.tally.is_handed = True

    async def _write(self, news: list[Saved]) -> bool:
        try:
            await asyncio.get_running_loop().run_in_executor(self._writing, self.store.write, news)
        except OSError as error:
            _log.warning("tail.state_not_written", error=str(error))
            return False
        return True


def _place_of(tail: Tail) -> Saved:
    place = tail.place
    return Saved(
        instance=tail.instance,
        place=None if place is None else (place.file, place.offset, place.last_at),
        lines=dict(tail.lines) or None,
        is_done=tail.is_read_out,
    )

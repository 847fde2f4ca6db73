"""
What the tailer knows across restarts: how far each instance is in Loki, and under which names its lines go there.

What a crash tore off was never there: lines of logs are then sent again, as the same bytes. All of it waits for the
disk: not for the loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.tail.joining import Place
from agent.tail.paths import Instance
from kubescribe.labels.enriching import Enrichment
from kubescribe.runtime.linefile import LineFile


class Saved(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """
    One line: what is new of an instance, or `since` at the head of the file.

    `place` is (file, offset, last_at) of what is acknowledged; `is_done` that nothing is left to be read, `is_gone`
    that its files are no more. `frozen_at` is when `enrichment` was decided, `made_after` when no file of it
    was there yet.
    """

    since: int | None = None
    instance: Instance | None = None
    enrichment: Enrichment | None = None
    frozen_at: int = 0
    place: tuple[int, int, int] | None = None
    made_after: int = 0
    is_done: bool = False
    is_gone: bool = False


@dataclass(slots=True, kw_only=True)
class Kept:
    """What is known of an instance."""

    enrichment: Enrichment | None = None
    frozen_at: int = 0
    place: Place | None = None
    made_after: int = 0
    is_done: bool = False


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Saved)


class TailStore:
    """
    The state of the tailer in *path*.

    `since` is from when on lines are wanted of files that were there before the agent was; it is decided once.
    """

    def __init__(self, path: Path, *, since: int) -> None:
        self.instances: dict[Instance, Kept] = {}
        self.since = since
        self._file = LineFile(path)
        for line in self._file.read():
            try:
                self._take(_DECODER.decode(line))
            except msgspec.MsgspecError:
                break
        self._file.rewrite(self._lines())

    def write(self, news: Sequence[Saved]) -> None:
        """Keep *news*: when this returns they are on disk. Raises OSError; then they have to be written again."""
        for saved in news:
            self._take(saved)
        if self._file.is_bloated():
            self._file.rewrite(self._lines())
        else:
            self._file.append([_ENCODER.encode(saved) for saved in news])

    def _take(self, saved: Saved) -> None:
        if saved.since is not None:
            self.since = saved.since
        if saved.instance is None:
            return
        instance = Instance(*saved.instance)
        if saved.is_gone:
            self.instances.pop(instance, None)
            return
        kept = self.instances.setdefault(instance, Kept())
        if saved.enrichment is not None:
            kept.enrichment, kept.frozen_at = saved.enrichment, saved.frozen_at
        if saved.place is not None:
            kept.place = Place(0, *saved.place)
        kept.made_after = saved.made_after or kept.made_after
        kept.is_done = saved.is_done

    def _lines(self) -> list[bytes]:
        lines = [_ENCODER.encode(Saved(since=self.since))]
        for instance, kept in self.instances.items():
            place = None if kept.place is None else (kept.place.file, kept.place.offset, kept.place.last_at)
            saved = Saved(
                instance=instance,
                enrichment=kept.enrichment,
                frozen_at=kept.frozen_at,
                place=place,
                made_after=kept.made_after,
                is_done=kept.is_done,
            )
            lines.append(_ENCODER.encode(saved))
        return lines

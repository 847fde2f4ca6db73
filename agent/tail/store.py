"""
What the tailer knows across restarts: how far each instance is in Loki, and under which names its lines go there.

What a crash tore off was never there: lines of logs are then sent again, as the same bytes. How many lines lie before a
place is in the same line of the file as the place, so that they are counted when it moves over them, and once. All of
it waits for the disk: not for the loop.
"""

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from agent.tail.joining import Place
from agent.tail.paths import Instance
from agent.tail.tally import Parcel, Tally
from kubescribe.labels.enriching import Enrichment
from kubescribe.runtime.linefile import LineFile


class Saved(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """
    One line: what is new of an instance, of the counts of lines, or `since` and `source` at the head of the file.

    `place` is (file, offset, last_at) of what is acknowledged; `is_done` that nothing is left to be read, `is_gone`
    that its files are no more. `frozen_at` is when `enrichment` was decided, `made_after` when no file of it was there
    yet. `lines` are those before `place`, by level, since the instance was found. `parcel` is made of what was pending;
    with `pending` (namespace, workload, level, lines) both are as they say, whatever came before.
    """

    since: int | None = None
    source: str = ""
    parcel: Parcel | None = None
    pending: tuple[tuple[str, str, str, int], ...] | None = None
    instance: Instance | None = None
    enrichment: Enrichment | None = None
    frozen_at: int = 0
    place: tuple[int, int, int] | None = None
    made_after: int = 0
    lines: dict[str, int] | None = None
    is_done: bool = False
    is_gone: bool = False


@dataclass(slots=True, kw_only=True)
class Kept:
    """What is known of an instance."""

    enrichment: Enrichment | None = None
    frozen_at: int = 0
    place: Place | None = None
    made_after: int = 0
    lines: dict[str, int] = field(default_factory=dict)
    is_done: bool = False


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Saved)


class TailStore:
    """
    The state of the tailer in *path*.

    `since` is from when on lines are wanted of files that were there before the agent was, `source` what counts of
    lines are known by; both are decided once. `tally` is what is to be told of lines. `saved_at` is when the earlier
    life wrote here last, 0 where there was none.
    """

    def __init__(self, path: Path, *, since: int) -> None:
        self.instances: dict[Instance, Kept] = {}
        self.since = since
        self.source = secrets.token_hex(8)
        self.tally = Tally()
        self.saved_at = _written_at(path)
        self._file = LineFile(path)
        for line in self._file.read():
            try:
                self._take(_DECODER.decode(line))
            except msgspec.MsgspecError:
                break
        try:
            self._file.rewrite(self._lines())
        except OSError:
            # Of a full disk: what is written later goes behind what is there, if anything is.
            if not self.saved_at:
                raise

    def write(self, news: Sequence[Saved]) -> None:
        """Keep *news*: when this returns they are on disk. Raises OSError; then they have to be written again."""
        if self._file.is_bloated():
            self._file.rewrite(self._lines())
        self._file.append([_ENCODER.encode(saved) for saved in news])
        # Only now: what the disk refuses comes again, and is to be counted once.
        for saved in news:
            self._take(saved)

    def next_parcel(self) -> Parcel | None:
        """Return the counts of lines to be handed over now, on disk, None for none. Raises OSError."""
        if self.tally.is_handed:
            parcel = self.tally.next_parcel()
            if parcel is None:
                return None
            self.write([Saved(parcel=parcel)])
        return self.tally.parcel

    def _take(self, saved: Saved) -> None:
        if saved.since is not None:
            self.since = saved.since
        self.source = saved.source or self.source
        if saved.parcel is not None:
            self.tally.take(saved.parcel)
        if saved.pending is not None:
            self.tally.pending = Counter({(namespace, name, level): n for namespace, name, level, n in saved.pending})
        if saved.instance is None:
            return
        instance = Instance(*saved.instance)
        kept = self.instances.setdefault(instance, Kept())
        if saved.enrichment is not None:
            kept.enrichment, kept.frozen_at = saved.enrichment, saved.frozen_at
        if saved.lines is not None and kept.enrichment is not None:
            # No line is sent before its names are kept; without any, it is gone and was counted to its end.
            self._count(kept, kept.enrichment, saved.lines)
        if saved.is_gone:
            del self.instances[instance]
            return
        if saved.place is not None:
            kept.place = Place(0, *saved.place)
        kept.made_after = saved.made_after or kept.made_after
        kept.is_done = saved.is_done

    def _count(self, kept: Kept, names: Enrichment, lines: dict[str, int]) -> None:
        """Count how far *lines* are beyond what was counted: what is said again adds nothing."""
        labels = names.labels
        grown = {level: by for level, count in lines.items() if (by := count - kept.lines.get(level, 0)) > 0}
        self.tally.add(labels.get("namespace", ""), labels.get("workload", ""), grown)
        kept.lines = {**kept.lines, **lines}

    def _lines(self) -> list[bytes]:
        lines = [_ENCODER.encode(Saved(since=self.since, source=self.source))]
        for instance, kept in self.instances.items():
            place = None if kept.place is None else (kept.place.file, kept.place.offset, kept.place.last_at)
            saved = Saved(
                instance=instance,
                enrichment=kept.enrichment,
                frozen_at=kept.frozen_at,
                place=place,
                made_after=kept.made_after,
                lines=kept.lines or None,
                is_done=kept.is_done,
            )
            lines.append(_ENCODER.encode(saved))
        if self.tally.parcel.n or self.tally.pending:
            # Behind the instances, whose lines would count again what was handed over.
            pending = tuple((*key, count) for key, count in self.tally.pending.items())
            parcel = self.tally.parcel if self.tally.parcel.n else None
            lines.append(_ENCODER.encode(Saved(parcel=parcel, pending=pending)))
        return lines


def _written_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0

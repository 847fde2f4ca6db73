"""
The files of one instance in the order in which they were written, and what of them vanished unread.

The newest listing shows what is there; what was seen before and is there no longer was rotated away, and how large it
was is known. Waits for the disk: not for the loop.
"""

import time
from collections.abc import Collection
from pathlib import Path

from agent.tail.generations import Generation, can_be_read, changed_at, has_files, list_generations
from agent.tail.handles import Handles
from agent.tail.losing import Cause, Lost
from agent.tail.paths import Instance
from agent.tail.retention import Retention, Turnover

_TICK_NS = 100_000_000

_LEAST_LIFE_NS = 3_000_000_000
"""How often a kubelet looks for what to rotate (containerLogMonitorInterval): every 10 s, every 3 s at most."""

_NONE: frozenset[int] = frozenset()

_MAX_KNOWN = 64
"""Files of one instance. A kubelet keeps five, and more only where it is told to."""


class Chain:
    """
    The generations of an instance from the one that is read on.

    `path` is their folder. `listing` is what was there when it was looked last; what is only in `handles` any more is
    among it.
    """

    def __init__(self, folder: Path, instance: Instance, retention: Retention) -> None:
        self._folder = folder
        self._instance = instance
        self.path = f"{folder}/{instance.folder}"
        self._known: list[tuple[int, int]] = []
        # Most are empty for as long as they live, and a set takes 216 bytes.
        self._past = self._holes = self._settled = _NONE
        self._seen: tuple[int, tuple[int, int] | None] | None = None
        self._handed = 0
        self.listing: list[Generation] = []
        self.handles = Handles()
        self.turnover = Turnover(retention)

    def look_if_changed(self, live: tuple[int, int] | None) -> None:
        """
        List the files again if anything may have happened to them; *live* is the inode of the one that is written.

        An inode alone tells nothing: it is reused.
        """
        changed = changed_at(self.path)
        # A number, not a flag: one that comes between looking at a flag and taking it down would be overlooked.
        handed = self.handles.added
        if (changed, live) == self._seen and handed == self._handed:
            return
        self._handed = handed
        self.look()
        # A file system counts time in ticks of some milliseconds: what follows in the same one looks the same.
        is_settled = time.time_ns() - changed > _TICK_NS
        self._seen = (changed, live) if is_settled else None

    def look(self) -> None:
        """List the files again."""
        self.listing = list_generations(self._folder, self._instance)
        named = {generation.identity for generation in self.listing}
        self.turnover.note({generation.rotated: generation.size for generation in self.listing})
        # Asked after the names: what lost its name in between is here.
        nameless = [held for held in self.handles.generations() if held.identity not in named]
        for held in nameless:
            self.listing.insert(_place_of(held, self.listing), held)
        self._note_hole(named)
        identities = [generation.identity for generation in self.listing]
        anchor = self._known[0][0] if self._known else None
        # What is older than the file that is read is still there, and was read; also when that one is there no more.
        begun = identities.index(anchor) if anchor in identities else 0
        is_missing = anchor is not None and anchor not in identities
        sizes = {
            generation.identity: generation.size
            for generation in self.listing[begun:]
            if not (is_missing and anchor is not None and 0 < generation.identity < anchor)
            # When the clock was set back they are listed behind what was read after them.
            and generation.identity not in self._past
        }
        self._known = [(identity, max(size, sizes.pop(identity, 0))) for identity, size in self._known]
        self._known += sizes.items()
        self._fold(identities)
        known = {identity for identity, _ in self._known}
        # What is older than the file that is read was read, by an earlier life perhaps, and would stay on the disk.
        settled = named | {held.identity for held in nameless if held.identity > 0 and held.identity not in known}
        self._settled = frozenset(settled) if settled else _NONE

    def _note_hole(self, named: Collection[int]) -> None:
        """Note before which file others may have come and gone: files go oldest first, and the newest known is gone."""
        newest = self._known[-1][0] if self._known else 0
        if not newest or newest in named:
            return
        known = {identity for identity, _ in self._known}
        new = (it for it in self.listing if it.identity not in known and not 0 < it.identity < newest)
        following = next(new, None)
        # Without a rotation it is the first file of a folder that was made anew.
        if following is not None and following.rotated:
            # Without those that are passed: on a busy container that is seldom looked at they would become ever more.
            self._holes = (self._holes & known) | {following.identity}

    def _fold(self, listed: list[int]) -> None:
        """Keep long lost files as one: nothing may grow while Loki is away. A name may be missed once or twice."""
        lost = self._known[1 : -_MAX_KNOWN // 2]
        if len(self._known) > _MAX_KNOWN and not {identity for identity, _ in lost} & {*listed}:
            self._known[1 : -_MAX_KNOWN // 2] = [(lost[0][0], sum(size for _, size in lost))]

    def settle(self) -> None:
        """Let go of handles of what is known by its name, or not to be read any more."""
        self.handles.settle(self._settled)

    def is_gone(self) -> bool:
        """Tell whether no file is left; younger instances of the container may have theirs in the same folder."""
        return not has_files(self._folder, self._instance)

    def can_be_read(self) -> bool:
        """Tell whether every file can be opened. Raises OSError when that cannot be told."""
        return can_be_read(self._folder, self._instance)

    def begin(self, identity: int) -> None:
        """Begin with the file *identity*: what is older is not wanted."""
        place = [known for known, _ in self._known].index(identity)
        self._pass(self._known[:place])
        self._known = self._known[place:]

    @property
    def unread(self) -> list[Generation]:
        """What is listed, without the files that are done with."""
        return [generation for generation in self.listing if generation.identity not in self._past]

    def drop(self, identity: int) -> None:
        """Be done with the file *identity*, which was cut to nothing, and with what is older."""
        younger = self._younger(identity)
        kept = {known for known, _ in younger}
        listed = [(generation.identity, 0) for generation in self.listing if generation.identity not in kept]
        self._pass([*listed, *self._known[: len(self._known) - len(younger)]])
        self._known = younger

    def begin_again(self, identity: int) -> list[Lost]:
        """As `begin`, where an earlier life was; return what may be younger, although its time is older."""
        older = [it for it in self.listing if 0 < it.identity < identity and it.rotated]
        youngest = self.listing[-1]
        self.begin(identity)
        if not older or youngest.rotated or youngest.descriptor >= 0 or not 0 < youngest.identity < identity:
            return []
        # What is written now is older than what was read: the clock was set back, and times order nothing any more.
        at = f"{identity}/{youngest.identity}"
        start = older[0].identity
        return [Lost(cause="logRotated", start=start, end=identity, at=at, detail="the clock was set back")]

    def find(self, identity: int) -> Generation | None:
        """Return the file with that first line."""
        return next((generation for generation in self.listing if generation.identity == identity), None)

    def after(self, identity: int) -> Generation | None:
        """Return the oldest file that is younger than *identity*."""
        younger = {known for known, _ in self._younger(identity)}
        return next((generation for generation in self.listing if generation.identity in younger), None)

    def skips(self, identity: int) -> bool:
        """Tell whether there was a file between *identity* and the oldest younger one that is there."""
        younger, following = self._younger(identity), self.after(identity)
        return bool(younger) and following is not None and younger[0][0] != following.identity

    def unread_after(self, identity: int) -> int:
        """Return the bytes of all files that are younger than *identity*."""
        return sum(size for _, size in self._younger(identity))

    def go_on(self, identity: int, chosen: int) -> list[Lost]:
        """Begin with *chosen*, the file that is read after *identity*; return what lay between and is gone."""
        younger = self._younger(identity)
        count = [known for known, _ in younger].index(chosen)
        self._pass(self._known[: len(self._known) - len(younger) + count])
        self._known = younger[count:]
        return _lost("logRotated", younger[:count], chosen)

    def hole_before(self, identity: int, last_at: int) -> list[Lost]:
        """Return what may have been before the file *identity* and after the last line that was read."""
        # Two rotations are at least that far apart: in less there was no other file.
        if identity not in self._holes or identity - last_at < _LEAST_LIFE_NS:
            return []
        at = f"{last_at}/{identity}"
        return [Lost(cause="logRotated", start=last_at, end=identity, at=at, detail="rotated more often than seen")]

    def give_up(self, identity: int, *, now: int) -> list[Lost]:
        """Return what is younger than *identity*, all of which was deleted."""
        return _lost("logDeleted", [known for known in self._younger(identity) if known[1]], now)

    def _pass(self, files: list[tuple[int, int]]) -> None:
        """Note that *files* are done with; of those that have no name any more nobody asks again."""
        if len(self._past) > _MAX_KNOWN:
            self._past &= {generation.identity for generation in self.listing}
        if files:
            self._past |= {identity for identity, _ in files if identity > 0}

    def _younger(self, identity: int) -> list[tuple[int, int]]:
        places = [place for place, (known, _) in enumerate(self._known) if known == identity]
        return self._known[places[-1] + 1 :] if places else self._known


def _place_of(held: Generation, listing: list[Generation]) -> int:
    """Return where the file belongs: the oldest are the first to lose their names, but a folder goes file by file."""
    older = [place for place, listed in enumerate(listing) if 0 < listed.identity < held.identity]
    return older[-1] + 1 if older else 0


def _lost(cause: Cause, files: list[tuple[int, int]], end: int) -> list[Lost]:
    """Return the loss of *files*, one for all: a day without Loki is thousands of them for each busy container."""
    if not files:
        return []
    first = files[0][0]
    # A file in no known format has a checksum for an identity, which is no time.
    end = max(end, 0)
    start = first if first > 0 else end
    return [Lost(cause=cause, start=start, end=end, at=str(first), size=sum(size for _, size in files))]

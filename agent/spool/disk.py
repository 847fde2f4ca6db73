"""
The jobs of the spool's one disk thread: a folder, its identity and its segments, changed together and in turn.

Synchronous; `spool.py` calls each method in that thread, so that nothing here needs a lock.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.spool.errors import SpoolForeign, SpoolUnusable
from agent.spool.folder import Folder, Identity, boot_id, encode_key, new_identity, reborn
from agent.spool.frames import Frame, FrameHead
from agent.spool.intake import Draft, Intake
from agent.spool.ledger import JOURNAL_LOST
from agent.spool.limits import SpoolLimits
from agent.spool.segments import SegmentStore
from kubescribe.runtime.room import RoomOf
from kubescribe.wire.codec import join_records

_MARGIN = 4096


class Disk:
    """An open spool folder. `claimed` is the highest frame that the aggregator can have under this spool id."""

    def __init__(self, folder: Folder, store: SegmentStore, identity: Identity, *, agent: str) -> None:
        self._folder = folder
        self.store = store
        self.identity = identity
        self._agent = agent
        self.claimed = store.last_n

    @classmethod
    def open(
        cls, path: Path, limits: SpoolLimits, *, agent: str, clock: Callable[[], int], room: RoomOf, boot: str | None
    ) -> "Disk":
        """Open or make the folder. Raises SpoolError; SpoolUnusable for whatever the disk says."""
        folder = Folder.hold(path)
        try:
            store = SegmentStore(folder, limits, clock=clock, room=room)
            store.load()
            now = boot_id() if boot is None else boot
            known = folder.read_identity()
            if known is None:
                identity = new_identity(store.state.deleted_through, now)
            elif known.boot_id != now:
                identity = reborn(known, store.state.deleted_through, now)
            else:
                identity = known
            if identity is not known:
                folder.write_identity(identity)
        except (OSError, ValueError) as error:
            folder.release()
            raise _unusable(path, error) from error
        except BaseException:
            folder.release()
            raise
        return cls(folder, store, identity, agent=agent)

    def close(self) -> None:
        """Close the files and let the folder go."""
        self.store.close()
        self._folder.release()

    def append(self, draft: Draft) -> Frame:
        """Write *draft* as the next frame and return it. Raises OSError; then nothing was written."""
        frame = self._frame(draft, self.store.last_n + 1)
        self.store.append(frame)
        return frame

    def bind_cluster(self, cluster_uid: str) -> None:
        """Give the folder to a cluster. Raises SpoolForeign when it belongs to another, SpoolUnusable."""
        known = self.identity.cluster_uid
        if known and known != cluster_uid:
            raise SpoolForeign(
                f"spool {self._folder.path}: holds records of cluster {known}, not of {cluster_uid}; "
                "choose another folder with --data or move this one away"
            )
        if not known:
            try:
                self._replace_identity(msgspec.structs.replace(self.identity, cluster_uid=cluster_uid))
            except OSError as error:
                raise _unusable(self._folder.path, error) from error

    def welcome(self, journal_id: str, redaction_key: bytes) -> None:
        """Keep what the journal said at the welcome. Raises OSError."""
        updated = msgspec.structs.replace(self.identity, journal_id=journal_id, redaction_key=encode_key(redaction_key))
        if updated != self.identity:
            self._replace_identity(updated)

    def renumber(self, base: int) -> None:
        """Take a new spool id under which the frame after *base* is batch 1. Raises OSError."""
        self._replace_identity(reborn(self.identity, base, self.identity.boot_id))
        self.claimed = base

    def resume_after(self, last_n: int) -> int | None:
        """
        Return the frame after which to send, when the aggregator has this spool's batches up to *last_n*.

        None when the numbering cannot go on: the folder has a new spool id then, and the link must say Hello again.
        Raises OSError.
        """
        state = self.store.state
        n = last_n + self.identity.base
        if n > self.claimed:
            # Batches that this folder never sent: it lost its tail, or is a copy. What it has since is new.
            self.renumber(max(self.claimed, state.deleted_through))
            return None
        if n < state.deleted_through:
            self._enter_lost(n)
            self.renumber(state.deleted_through)
            return None
        self.store.rewind(n)
        self.store.acknowledge(n)
        return n

    def settle(self) -> tuple[list[Frame], tuple[str, ...]]:
        """Write the ledger as Gaps and clear it; return the frames and the streams that must list. Raises OSError."""
        store = self.store
        if not store.settling:
            return [], ()
        store.make_room(2 * len(msgspec.msgpack.encode(store.state.ledger)) + _MARGIN)
        ledger = store.state.ledger
        relist = ledger.relist
        intake = Intake()
        intake.add(ledger.as_gaps(self.identity.spool_id, self._agent), None)
        # Should the agent die before the streams listed, their marks tell the next one to.
        for mark in (store.marks[stream] for stream in relist if stream in store.marks):
            intake.add((), msgspec.structs.replace(mark, listing=True))
        frames: list[Frame] = []
        while intake:
            frames.append(self._frame(intake.take(256 * 1024, 1000), store.last_n + 1 + len(frames)))
        store.append_unbounded(frames)
        store.clear_ledger()
        return frames, relist

    def relieve(self) -> bool:
        """Drop the oldest segment because the disk is full. False when there is none. Does not raise."""
        with contextlib.suppress(OSError):
            return self.store.drop_oldest()
        return False

    def _enter_lost(self, n: int) -> None:
        state = self.store.state
        if not state.acknowledged or state.acknowledged[-1].n <= n:
            return  # what is missing was dropped unacknowledged: the ledger has it
        first_at = max((one.at for one in state.acknowledged if one.n <= n), default=state.created_at)
        last_at = max(first_at, state.acknowledged[-1].at)
        self.store.enter(self.store.spans_of_everything(first_at, last_at, JOURNAL_LOST))

    def _replace_identity(self, identity: Identity) -> None:
        self._folder.write_identity(identity)
        self.identity = identity

    @staticmethod
    def _frame(draft: Draft, n: int) -> Frame:
        head: FrameHead = draft.head
        return Frame(n=n, count=len(draft.encoded), head=head, batch=join_records(draft.encoded))


def _unusable(path: Path, error: Exception) -> SpoolUnusable:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return SpoolUnusable(f"spool {path}: {reason}; free the disk or choose another folder with --data")

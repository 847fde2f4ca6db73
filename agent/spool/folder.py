"""
The spool's folder: who holds it, whose it is, and how its small files are written. Knows nothing of segments.

    lock         held with flock for the life of the process
    spool.json   identity, mode 0600 because of the redaction key
    state.json   what can no longer be read from segments, because they were deleted
"""

import base64
import fcntl
import os
import secrets
from pathlib import Path
from typing import TypeVar

import msgspec

from agent.spool.errors import SpoolInUse, SpoolUnusable
from agent.spool.ledger import Ledger
from agent.spool.marks import StreamMark

_IDENTITY = "spool.json"
_STATE = "state.json"
HISTORY = 64
FORMER = 8
"""So many ids are remembered; the journal hears of one at the next Hello."""


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """
    What the folder is to others.

    The link's number of a frame is its own number minus `base`: when the numbering can no longer continue where the
    aggregator expects it (a drop, a lost tail, a lost journal), the folder takes a new `spool_id` and base. `boot_id`
    is the machine's boot under which frames were last written: a machine that went down may have taken sent frames
    with it that were never synced, and their numbers must not be given out again under the same id. `former` are the
    last ids before this one: what lies here was held under them.
    """

    spool_id: str
    base: int = 0
    journal_id: str = ""
    cluster_uid: str = ""
    redaction_key: str = ""
    boot_id: str = ""
    former: tuple[str, ...] = ()

    @property
    def key(self) -> bytes | None:
        """The redaction key, None before the first welcome."""
        return base64.b64decode(self.redaction_key) if self.redaction_key else None


class Deleted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The end of a deleted, acknowledged segment: its last frame and when that was observed."""

    n: int
    at: int


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """
    What deleted segments leave behind, replaced as one file so that its parts agree.

    Segments up to `deleted_through` may be deleted; numbering never goes below it. `marks` are the streams' marks as
    of there. `ledger` is what was dropped unacknowledged, `dropped` how many records since the folder was made.
    `acknowledged` are the last deleted segments that were acknowledged, to date the Gap of a lost journal.
    """

    deleted_through: int = 0
    created_at: int = 0
    dropped: int = 0
    marks: dict[str, StreamMark] = msgspec.field(default_factory=dict)
    ledger: Ledger = Ledger()
    acknowledged: tuple[Deleted, ...] = ()


_Kind = TypeVar("_Kind", Identity, State)


class Folder:
    """A folder that this process alone holds. Not for use from several threads at once."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def hold(cls, path: Path) -> "Folder":
        """
        Make the folder if it is not there, and take its lock.

        Raises SpoolInUse when another process has it, SpoolUnusable when it cannot be made or written.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SpoolUnusable(f"spool {path}: {error.strerror}; choose a writable folder with --data") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise SpoolInUse(
                f"spool {path}: another agent uses this folder; stop it or choose another --data"
            ) from error
        return cls(path, lock)

    def release(self) -> None:
        """Let the folder go; idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def read_identity(self) -> Identity | None:
        """Return the identity, None for a new folder. Raises SpoolUnusable when it cannot be read."""
        return self._read(_IDENTITY, Identity)

    def write_identity(self, identity: Identity) -> None:
        """Replace the identity; whole or not at all, also after a power failure. Raises OSError."""
        self._replace(_IDENTITY, identity)

    def read_state(self) -> State | None:
        """Return the state, None when none was written. Raises SpoolUnusable when it cannot be read."""
        return self._read(_STATE, State)

    def write_state(self, state: State) -> None:
        """Replace the state; whole or not at all, also after a power failure. Raises OSError."""
        self._replace(_STATE, state)

    def sync(self) -> None:
        """Make created and deleted names durable."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _read(self, name: str, kind: type[_Kind]) -> _Kind | None:
        path = self.path / name
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            what = f"spool {self.path}: {name} cannot be read ({error}"[:200]
            raise SpoolUnusable(f"{what}); move the folder away to begin a new one") from error

    def _replace(self, name: str, value: Identity | State) -> None:
        temporary = self.path / f"{name}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(value))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path / name)
        self.sync()


def boot_id() -> str:
    """Return what names this boot of the machine, "" where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def new_identity(base: int, boot: str) -> Identity:
    """Return the identity of a new folder: a random id that no other folder has."""
    return Identity(spool_id=secrets.token_hex(12), base=base, boot_id=boot)


def reborn(identity: Identity, base: int, boot: str) -> Identity:
    """Return *identity* under a new spool id whose first batch is the frame after *base*."""
    former = (*identity.former, identity.spool_id)[-FORMER:]
    return msgspec.structs.replace(identity, spool_id=secrets.token_hex(12), base=base, boot_id=boot, former=former)


def encode_key(key: bytes) -> str:
    """Return *key* as it stands in spool.json."""
    return base64.b64encode(key).decode("ascii")

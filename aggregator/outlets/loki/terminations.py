"""
The ends of containers that a pod's version tells of, each once: those in it that the version before did not have. Pure.

A container that ended is in `state.terminated` and, when it was started again, in `lastState.terminated`; both say the
same of it. Which restart it was follows: `restartCount` counts the starts before the present state. What came and went
between two versions that were seen is told by nobody.
"""

from collections.abc import Iterator

import msgspec

from aggregator.outlets.loki.entries import LokiEntry, kept, logfmt
from aggregator.outlets.loki.subjects import Subject
from kubescribe.wire.times import NANOSECONDS, from_rfc3339


class _Terminated(msgspec.Struct, frozen=True, rename="camel"):
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    container_id: str = msgspec.field(name="containerID", default="")


class _State(msgspec.Struct):
    terminated: _Terminated | None = None


class _Container(msgspec.Struct, rename="camel"):
    name: str
    restart_count: int = 0
    state: _State | None = None
    last_state: _State | None = None


class _Status(msgspec.Struct, rename="camel"):
    container_statuses: list[_Container] | None = None
    init_container_statuses: list[_Container] | None = None
    ephemeral_container_statuses: list[_Container] | None = None


class _Pod(msgspec.Struct):
    status: _Status | None = None


_POD = msgspec.json.Decoder(_Pod)
_TERMINATED = 143
"""128 + SIGTERM: it was asked to end, and did."""


class Termination(msgspec.Struct, frozen=True):
    """One end of one instance of a container; `restart` is how often it had been started again."""

    container: str
    restart: int
    ended: _Terminated


def terminations(before: bytes | None, after: bytes) -> list[Termination]:
    """Return what ended as told by *after* and not yet by *before*. Raises msgspec.MsgspecError."""
    known = set() if before is None else {_key(found) for found in _all(before)}
    new: dict[tuple[object, ...], Termination] = {}
    for found in _all(after):
        if _key(found) not in known:
            new.setdefault(_key(found), found)
    return sorted(new.values(), key=lambda it: (it.ended.finished_at or "", it.container, it.restart))


def termination_entry(found: Termination, subject: Subject, *, pod: str, observed_at: int) -> LokiEntry:
    """Return the entry, at the moment when the container ended; *observed_at* (ns) where that is not told."""
    ended = found.ended
    at = from_rfc3339(ended.finished_at) if ended.finished_at else observed_at
    signal = ended.signal or (ended.exit_code - 128 if 128 < ended.exit_code < 193 else 0)
    fields = {
        "level": _level(ended),
        "reason": ended.reason,
        "exit_code": ended.exit_code,
        "signal": signal or None,
        "container": found.container,
        "pod": pod,
        "restart": found.restart,
        "started": ended.started_at,
        "finished": ended.finished_at,
        "ran_seconds": _seconds(ended),
        "msg": " ".join(ended.message.split()),
    }
    metadata = {
        **subject.metadata,
        "restart": str(found.restart),
        "reason": ended.reason,
        "exit_code": str(ended.exit_code),
        "container_id": ended.container_id.rpartition("/")[2],
    }
    return LokiEntry(stream="termination", at=at, labels=subject.labels, metadata=kept(metadata), line=logfmt(fields))


def _all(body: bytes) -> Iterator[Termination]:
    status = _POD.decode(body).status or _Status()
    for group in (status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses):
        for container in group or ():
            if container.last_state is not None and (ended := container.last_state.terminated) is not None:
                yield Termination(container.name, max(0, container.restart_count - 1), ended)
            if container.state is not None and (ended := container.state.terminated) is not None:
                yield Termination(container.name, container.restart_count, ended)


def _key(found: Termination) -> tuple[object, ...]:
    ended = found.ended
    return found.container, ended.container_id, ended.finished_at, ended.exit_code, ended.reason


def _level(ended: _Terminated) -> str:
    if ended.exit_code == 0:
        return "info"
    return "warn" if ended.exit_code == _TERMINATED else "error"


def _seconds(ended: _Terminated) -> int | None:
    if not ended.started_at or not ended.finished_at:
        return None
    seconds = (from_rfc3339(ended.finished_at) - from_rfc3339(ended.started_at)) // NANOSECONDS
    return seconds if seconds >= 0 else None

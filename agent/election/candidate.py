"""
One candidate for a Lease, as a state machine: what to ask the API server next, and whether it leads. Pure, no waiting.

An election spares the API server a second set of watches; nothing else rests on it. Should two candidates lead at once
(a Lease that somebody deletes or edits, clocks that run at different speeds), both watch and both send: each claim of a
stream raises its term, so that one of them holds it and the other's observations are repeats, which the journal drops.

The rules are those of client-go's leader election, by the monotonic clock alone; the times in the Lease are for people:

* A leader renews, and leads until `deadline_seconds` after it *sent* the last renewal that succeeded. Nothing has to
  happen for that end: a request that hangs, or a process that was stopped, cannot prolong it.
* Another takes the Lease when it has not seen it change for as long as the Lease says, counted from when the *answer*
  came. That is more than the deadline, so the one's time is over before the other's begins.
* Every write names the version that it replaces. Whose write is refused reads again.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agent.kube.leases import Lease, LeaseSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionTiming:
    """
    `renew_seconds` < `deadline_seconds` < `lease_seconds`.

    A leader renews every `renew_seconds`, and gives up `deadline_seconds` after its last success; others wait until
    the Lease has not changed for `lease_seconds`, which are rounded up: the API knows whole seconds.
    """

    lease_seconds: float = 10.0
    renew_seconds: float = 2.0
    deadline_seconds: float = 7.0

    @property
    def request_seconds(self) -> float:
        """How long one request may take: after one that hung there is time for another, on a new connection."""
        return self.deadline_seconds / 2

    @property
    def duration_seconds(self) -> int:
        """What is written to the Lease."""
        return max(1, math.ceil(self.lease_seconds))


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be asked before `until`, monotonic."""

    until: float


@dataclass(frozen=True, slots=True)
class Ask:
    """
    Ask the API server, and tell the candidate how it went.

    To "write" is to put `spec` in the place of `replaced`, None to create the Lease. It is given up after `seconds`.
    """

    what: Literal["read", "write"]
    seconds: float
    spec: LeaseSpec | None = None
    replaced: Lease | None = None


class Candidate:
    """
    One candidate. The caller does what `next_step` says and tells how it went: found, wrote, conflicted, failed.

    Times are of one monotonic clock. `draw` spreads the requests, so that candidates that began together part.
    """

    def __init__(
        self, identity: str, timing: ElectionTiming, draw: Callable[[float, float], float] = random.uniform
    ) -> None:
        self.identity = identity
        self.leads_until = -math.inf
        self._timing = timing
        self._draw = draw
        self._lease: Lease | None = None
        self._changed_at = -math.inf
        self._is_read = False
        """Whether the Lease is known well enough to be written. A leader reads only after a conflict."""
        self._conflicts = 0
        self._asked_at = -math.inf
        self._next_at = -math.inf

    def leads(self, now: float) -> bool:
        """Tell whether this candidate leads."""
        return now < self.leads_until

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last read or written, "" for nobody."""
        return self._lease.spec.holder if self._lease is not None else ""

    def next_step(self, now: float) -> Ask | Wait:
        """Return what to do at *now*."""
        if now >= self._next_at and self._is_read and not (self.leads(now) or self._is_free(now)):
            self._is_read = False
            self._next_at = max(now, min(now + self._period(), self._expires_at()))
        if now < self._next_at:
            return Wait(self._next_at)
        self._asked_at = now
        seconds = self._timing.request_seconds
        if self.leads(now):
            seconds = min(seconds, self.leads_until - now)
        if not self._is_read:
            return Ask("read", seconds)
        return Ask("write", seconds, spec=self._wish(), replaced=self._lease)

    # How it went.

    def found(self, lease: Lease | None, now: float) -> None:
        """Take the answer to a read."""
        self._take(lease, now)
        self._is_read = True
        if lease is not None and self.holder != self.identity:
            self.leads_until = -math.inf

    def wrote(self, lease: Lease, now: float) -> None:
        """Take the answer to a write: this candidate leads, counted from when it asked."""
        self._take(lease, now)
        self._conflicts = 0
        self.leads_until = self._asked_at + self._timing.deadline_seconds
        self._next_at = max(now, self._asked_at + self._period())

    def conflicted(self, now: float) -> None:
        """Take that somebody else wrote before: it is read again, at once, and after a second time in its turn."""
        self._is_read = False
        self._conflicts += 1
        if self._conflicts > 1:
            self._conflicts = 0
            self._next_at = now + self._period()

    def failed(self, now: float, at_least_seconds: float = 0.0) -> None:
        """Take that there was no answer, or none that helps; ask again in turn, not before *at_least_seconds*."""
        self._is_read = self._is_read and self.leads(now)
        self._next_at = max(now + at_least_seconds, self._asked_at + self._period())

    def released(self) -> tuple[LeaseSpec, Lease] | None:
        """Lead no longer; return what to write so that another may take over at once, None if it is not ours."""
        self.leads_until = -math.inf
        if self._lease is None or self.holder != self.identity:
            return None
        # As client-go does: a holder "" may be replaced at once, also by those that look at the time only.
        return LeaseSpec(holder="", duration_seconds=1, transitions=self._lease.spec.transitions), self._lease

    def _take(self, lease: Lease | None, now: float) -> None:
        if lease is None or self._lease is None or lease.version != self._lease.version:
            self._changed_at = now
        self._lease = lease

    def _is_free(self, now: float) -> bool:
        # One's own name on a Lease is that of the process before in the same pod, or of a write without an answer.
        return self.holder in {"", self.identity} or now >= self._expires_at()

    def _expires_at(self) -> float:
        seconds = self._lease.spec.duration_seconds if self._lease is not None else 0
        return self._changed_at + (seconds or self._timing.duration_seconds)

    def _wish(self) -> LeaseSpec:
        before = self._lease.spec if self._lease is not None else None
        mine = before is not None and before.holder == self.identity
        return LeaseSpec(
            holder=self.identity,
            duration_seconds=self._timing.duration_seconds,
            transitions=0 if before is None else before.transitions + (not mine),
            acquired_at=before.acquired_at if before is not None and mine else "",
        )

    def _period(self) -> float:
        return self._timing.renew_seconds * self._draw(0.9, 1.1)

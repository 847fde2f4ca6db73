"""
The election at work: asks the API server as the candidate says, and tells who waits that it leads or leads no longer.

The end of a leadership is a timer beside the requests: none that hangs holds it up.
"""

import asyncio
from typing import Protocol

import structlog

from agent.election.candidate import Ask, Candidate
from agent.errors import LeaseTaken, RequestFailed, ServerSaid, Undecodable
from agent.kube.leases import Lease, LeaseSpec
from kubescribe.kube.access import Credentials
from kubescribe.kube.errors import AccessError
from kubescribe.runtime.clock import Clock, SystemClock
from kubescribe.runtime.tasks import run_until
from kubescribe.wire.records import StreamHealth

_LOG = structlog.get_logger(__name__)

_REFUSED_SECONDS = 30.0
"""Without permission, or without the namespace, somebody has to change something; RBAC may come later."""

_RELEASE_SECONDS = 2.0
"""At an orderly stop; when it does not work out, the others wait for the Lease to expire."""


class Leases(Protocol):
    """The one Lease; see agent.kube.leases."""

    async def read(self, deadline_seconds: float) -> Lease | None:
        """Return the Lease, None when there is none. Raises RequestFailed, Undecodable."""
        ...

    async def write(self, spec: LeaseSpec, replaced: Lease | None, deadline_seconds: float) -> Lease:
        """Write the Lease. Raises LeaseTaken, RequestFailed, Undecodable."""
        ...


class Election:
    """
    Stands for election until it is stopped; `run` and `stop` are those of a part.

    `changes` counts how often it began or ceased to lead; `trouble` is why the Lease cannot be asked for, "" if it can,
    and `is_refused` that only a change helps: a permission, or the namespace, is missing.
    """

    def __init__(
        self, candidate: Candidate, leases: Leases, credentials: Credentials, *, clock: Clock | None = None
    ) -> None:
        self._candidate = candidate
        self._leases = leases
        self._credentials = credentials
        self._clock = clock or SystemClock()
        self._leads = asyncio.Event()
        self._follows = asyncio.Event()
        self._follows.set()
        self._ended = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._answered_at = 0
        self.changes = 0
        self.trouble = ""
        self.is_refused = False
        self.is_known = False
        """Whether the Lease has been read or written since the start."""

    @property
    def is_leading(self) -> bool:
        """Whether this process leads, now."""
        return self._candidate.leads(self._clock.monotonic())

    async def wait_leading(self) -> None:
        """Wait until it leads."""
        await self._leads.wait()

    async def wait_following(self) -> None:
        """Wait until it leads no longer."""
        await self._follows.wait()

    def health(self) -> StreamHealth:
        """Return how the election does, in the words of a stream: `detail` says who leads, or what is wrong."""
        if self.trouble:
            state, detail = "forbidden" if self.is_refused else "retrying", self.trouble
        elif self.is_leading:
            state, detail = "live", "leads"
        else:
            holder = self._candidate.holder
            state, detail = "live" if self.is_known else "retrying", f"{holder or 'nobody'} leads"
        return StreamHealth(name="election", state=state, seen_at=self._answered_at, detail=detail[:256])

    async def run(self) -> None:
        """Stand until `stop` is called; then let the Lease go. When cancelled it lets it expire."""
        try:
            await run_until(self._ended.wait(), self._stand())
        finally:
            if self._timer is not None:
                self._timer.cancel()
        await self._release()

    async def stop(self) -> None:
        """End `run`."""
        self._ended.set()

    async def _stand(self) -> None:
        while True:
            now = self._clock.monotonic()
            step = self._candidate.next_step(now)
            if isinstance(step, Ask):
                await self._ask(step)
            else:
                await asyncio.sleep(step.until - now)

    async def _ask(self, ask: Ask) -> None:
        candidate = self._candidate
        try:
            if ask.spec is None:
                candidate.found(await self._leases.read(ask.seconds), self._clock.monotonic())
            else:
                lease = await self._leases.write(ask.spec, ask.replaced, ask.seconds)
                candidate.wrote(lease, self._clock.monotonic())
            self._note_answer()
        except LeaseTaken:
            candidate.conflicted(self._clock.monotonic())
        except (RequestFailed, Undecodable) as error:
            candidate.failed(self._clock.monotonic(), await self._meet(error))
        self._publish()

    async def _meet(self, error: Exception) -> float:
        """Note *error* and return for how long not to ask again."""
        trouble = f"the Lease {self._leases}: {error}"[:256]
        if not self.trouble:
            _LOG.warning("election.lease_unavailable", error=trouble)
        self.trouble = trouble
        # A read that finds nothing is an answer, so that 404 is the namespace, or the group, that is missing.
        self.is_refused = isinstance(error, ServerSaid) and error.code in {403, 404}
        if not isinstance(error, ServerSaid):
            return 0.0
        if error.code == 401:
            try:
                await self._credentials.renew()
            except AccessError as failure:
                self.trouble = str(failure)[:256]
        return max(_REFUSED_SECONDS if self.is_refused else 0.0, error.retry_after_seconds or 0.0)

    def _note_answer(self) -> None:
        if self.trouble:
            _LOG.info("election.lease_available")
            self.trouble, self.is_refused = "", False
        self.is_known = True
        self._answered_at = self._clock.now_ns()

    def _publish(self) -> None:
        """Tell who waits, and have the end of the leadership told in its time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        is_leading = self.is_leading
        if is_leading:
            left = self._candidate.leads_until - self._clock.monotonic()
            self._timer = asyncio.get_running_loop().call_later(left, self._publish)
        if is_leading == self._leads.is_set():
            return
        self.changes += 1
        if is_leading:
            _LOG.info("election.won", identity=self._candidate.identity)
            self._follows.clear()
            self._leads.set()
        else:
            if not self._ended.is_set():
                _LOG.warning("election.lost", identity=self._candidate.identity, holder=self._candidate.holder)
            self._leads.clear()
            self._follows.set()

    async def _release(self) -> None:
        """Let the Lease go, so that another takes over at once."""
        for _ in range(2):
            wish = self._candidate.released()
            self._publish()
            if wish is None:
                return
            spec, lease = wish
            try:
                await self._leases.write(spec, lease, _RELEASE_SECONDS)
            except LeaseTaken:
                # A renewal was under way at the stop, and has arrived.
                try:
                    self._candidate.found(await self._leases.read(_RELEASE_SECONDS), self._clock.monotonic())
                except (RequestFailed, Undecodable):
                    return
            except (RequestFailed, Undecodable) as error:
                _LOG.warning("election.not_released", error=str(error)[:256])
                return
            else:
                _LOG.info("election.released", identity=self._candidate.identity)
                return

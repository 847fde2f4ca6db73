"""The election as a model in virtual time: an API server that delays, loses and hangs, and processes that stop."""

import heapq
import itertools
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.election.candidate import Ask, Candidate, ElectionTiming, Wait
from agent.errors import LeaseTaken
from agent.kube.leases import Lease, LeaseSpec

TIMING = ElectionTiming()
TAKEOVER_SECONDS = 15.0


@dataclass
class Server:
    """The Lease as etcd has it."""

    lease: Lease | None = None
    versions: itertools.count = field(default_factory=itertools.count)

    def carry_out(self, ask):
        if ask.spec is None:
            return self.lease
        if self.lease != ask.replaced:
            raise LeaseTaken
        self.lease = Lease(spec=ask.spec, version=str(next(self.versions)), metadata=b"{}")
        return self.lease


@dataclass
class Process:
    """One candidate's process; it can be stopped until a time, or dead."""

    candidate: Candidate
    stopped_until: float = 0.0
    is_dead: bool = False
    is_cut_off: bool = False
    asked: int = 0


class Model:
    """
    A run of events in virtual time.

    `fate` draws what becomes of a request: the seconds to the server and back, None where it is lost on that way.
    """

    def __init__(self, count, fate, seed=0):
        self.fate = fate
        self.server = Server()
        self.now = 0.0
        self.begun = 0
        draw = random.Random(seed).uniform
        self.processes = [Process(Candidate(f"pod-{at}", TIMING, draw)) for at in range(count)]
        self._order = itertools.count()
        self._events = []
        for process in self.processes:
            self.at(draw(0.0, 3.0), process, self._step)

    def at(self, when, process, what):
        heapq.heappush(self._events, (when, next(self._order), process, what))

    def run(self, until):
        while self._events and self._events[0][0] <= until:
            when, _, process, what = heapq.heappop(self._events)
            self.now = max(self.now, when)
            if process is not None and process.stopped_until > self.now:
                self.at(process.stopped_until, process, what)
            elif process is None or not process.is_dead:
                what(process)
        self.now = until

    def leaders(self):
        return [process for process in self.processes if not process.is_dead and process.candidate.leads(self.now)]

    def _step(self, process):
        step = process.candidate.next_step(self.now)
        if isinstance(step, Wait):
            assert step.until > self.now
            self.at(step.until, process, self._step)
            return
        process.asked += 1
        number = process.asked
        there, back = (None, None) if process.is_cut_off else self.fate()
        self.at(self.now + step.seconds, process, lambda it: self._give_up(it, number))
        if there is not None:
            # No process: a request that is under way is carried out, whatever becomes of who sent it.
            self.at(self.now + there, None, lambda _: self._carry_out(process, number, step, back))

    def _carry_out(self, process, number, ask, back):
        try:
            answer = self.server.carry_out(ask)
        except LeaseTaken:
            answer = LeaseTaken
        if back is not None:
            self.at(self.now + back, process, lambda it: self._answered(it, number, ask, answer))

    def _answered(self, process, number, ask, answer):
        if process.asked != number:
            return
        process.asked += 1
        candidate = process.candidate
        if answer is LeaseTaken:
            candidate.conflicted(self.now)
        elif ask.spec is None:
            candidate.found(answer, self.now)
        else:
            others = [it for it in self.leaders() if it is not process]
            candidate.wrote(answer, self.now)
            if candidate.leads(self.now):
                self.begun += 1
                assert others == [], f"two lead at {self.now}"
        self._step(process)

    def _give_up(self, process, number):
        if process.asked == number:
            process.asked += 1
            process.candidate.failed(self.now)
            self._step(process)


def quick(random_source):
    return lambda: (random_source.uniform(0.0, 0.25), random_source.uniform(0.0, 0.25))


WAYS = st.one_of(st.none(), st.floats(0.0, 0.3), st.floats(0.0, 60.0))
EVENTS = st.lists(st.tuples(st.floats(0.0, 20.0), st.integers(0, 2), st.sampled_from([0.5, 4.0, 8.0, 12.0, 60.0])))


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(2, 3), fates=st.lists(st.tuples(WAYS, WAYS), max_size=60), stops=EVENTS, seed=st.integers(0, 99)
)
def test_never_do_two_lead_at_once(count, fates, stops, seed):
    """Delays, lost requests, lost answers, writes that arrive a minute late, processes that are stopped and go on."""
    left = iter(fates)
    calm = quick(random.Random(seed))
    model = Model(count, lambda: next(left, None) or calm(), seed)
    for after, which, seconds in stops:
        model.run(model.now + after)
        model.processes[which % count].stopped_until = model.now + seconds
    model.run(model.now + 200.0)

    assert len(model.leaders()) == 1


@settings(max_examples=150, deadline=None)
@given(count=st.integers(2, 3), seed=st.integers(0, 10_000), at=st.floats(5.0, 30.0), is_killed=st.booleans())
def test_another_leads_within_15_seconds_of_a_leaders_death_or_hang(count, seed, at, is_killed):
    model = Model(count, quick(random.Random(seed)), seed)
    model.run(at)
    (leader,) = model.leaders()

    leader.is_dead, leader.is_cut_off = is_killed, True
    model.run(at + TIMING.deadline_seconds)
    assert is_killed or not leader.candidate.leads(model.now)
    model.run(at + TAKEOVER_SECONDS)

    (other,) = model.leaders()
    assert other is not leader


@pytest.mark.parametrize("seconds", [8.0, 60.0])
def test_a_leader_that_was_stopped_leads_no_longer_when_it_goes_on(seconds):
    model = Model(2, lambda: (0.0, 0.0))
    model.run(10.0)
    (leader,) = model.leaders()

    leader.stopped_until = 10.0 + seconds

    assert not leader.candidate.leads(10.0 + seconds)


def test_a_lease_that_is_let_go_is_taken_at_the_next_look():
    model = Model(2, lambda: (0.0, 0.0))
    model.run(10.0)
    (leader,) = model.leaders()

    spec, replaced = leader.candidate.released()
    model.server.carry_out(Ask("write", 1.0, spec=spec, replaced=replaced))
    leader.is_dead = True
    model.run(10.0 + 1.1 * TIMING.renew_seconds)

    (other,) = model.leaders()
    assert other is not leader
    assert model.server.lease.spec.transitions == 1 + replaced.spec.transitions


def lease(holder, version="1", duration=10):
    spec = LeaseSpec(holder=holder, duration_seconds=duration, transitions=4, acquired_at="then")
    return Lease(spec=spec, version=version, metadata=b"{}")


def test_the_time_of_a_lease_counts_from_when_it_was_seen_to_change():
    candidate = Candidate("me", TIMING, lambda *_: 1.0)
    assert candidate.next_step(100.0).what == "read"
    candidate.found(lease("other"), 100.0)

    for now in (100.0, 102.0, 104.0, 106.0, 108.0):
        assert isinstance(candidate.next_step(now), Wait)
        assert candidate.next_step(now + 2.0).what == "read"
        candidate.found(lease("other"), now + 2.0)

    assert candidate.next_step(110.0).spec == LeaseSpec(holder="me", duration_seconds=10, transitions=5)


def test_the_duration_that_the_lease_tells_is_the_one_that_counts():
    candidate = Candidate("me", TIMING, lambda *_: 1.0)
    candidate.next_step(0.0)
    candidate.found(lease("other", duration=60), 0.0)

    assert isinstance(candidate.next_step(11.0), Wait)


def test_the_own_name_on_the_lease_is_that_of_the_process_before():
    candidate = Candidate("me", TIMING)
    candidate.next_step(0.0)
    candidate.found(lease("me"), 0.0)

    wish = candidate.next_step(0.0).spec

    assert (wish.holder, wish.transitions, wish.acquired_at) == ("me", 4, "then")


def led():
    candidate = Candidate("me", TIMING, lambda *_: 1.0)
    candidate.next_step(0.0)
    candidate.found(None, 0.0)
    candidate.next_step(0.0)
    candidate.wrote(lease("me"), 0.5)
    return candidate


def test_a_leader_leads_for_the_deadline_from_when_it_asked():
    candidate = led()

    assert candidate.leads(6.99)
    assert not candidate.leads(7.0)


def test_a_renewal_without_an_answer_is_tried_again_before_the_deadline():
    candidate = led()
    first = candidate.next_step(2.0)
    candidate.failed(2.0 + first.seconds)

    second = candidate.next_step(2.0 + first.seconds)

    assert (first.what, second.what) == ("write", "write")
    assert 2.0 + first.seconds + second.seconds == pytest.approx(7.0)


def test_a_leader_whose_write_is_refused_reads_and_goes_on_if_the_lease_is_its_own():
    candidate = led()
    candidate.next_step(2.0)
    candidate.conflicted(2.1)

    assert candidate.next_step(2.1).what == "read"
    candidate.found(lease("me", "2"), 2.2)

    assert candidate.leads(2.2)
    assert candidate.next_step(2.2).replaced.version == "2"


def test_a_leader_that_finds_another_name_leads_no_longer():
    candidate = led()
    candidate.next_step(2.0)
    candidate.conflicted(2.1)
    candidate.next_step(2.1)

    candidate.found(lease("other", "2"), 2.2)

    assert not candidate.leads(2.2)


def test_two_refusals_in_a_row_are_no_busy_loop():
    candidate = led()
    for now in (2.0, 2.2):
        assert candidate.next_step(now).what == "write"
        candidate.conflicted(now)
        if now == 2.0:
            candidate.next_step(2.1)
            candidate.found(lease("me", "2"), 2.1)

    assert isinstance(candidate.next_step(2.2), Wait)


def test_a_lease_that_was_deleted_is_created_again_by_its_leader():
    candidate = led()
    candidate.next_step(2.0)
    candidate.conflicted(2.1)
    candidate.next_step(2.1)

    candidate.found(None, 2.2)

    assert candidate.leads(2.2)
    assert candidate.next_step(2.2).replaced is None


def test_a_part_of_a_second_is_rounded_up_in_the_lease():
    assert ElectionTiming(lease_seconds=2.1).duration_seconds == 3

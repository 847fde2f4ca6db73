"""One instance: what is behind, and when that is lost."""

from typing import cast

from agent.tail.looks import Look
from agent.tail.paths import Instance
from agent.tail.race import NEVER
from agent.tail.reader import Reader
from agent.tail.retention import DEFAULT_BYTES
from agent.tail.tail import Tail

PACE = 1_000_000


def a_tail() -> Tail:
    return Tail(instance=cast(Instance, None), reader=cast(Reader, None), first_seen=0.0)


def looked(tail: Tail, unread: int, now: float) -> float:
    tail.note_look(Look(unread=unread, is_due=True), now)
    return tail.seconds_to_loss


def test_a_loss_that_goes_on_is_still_told_as_near_though_what_is_behind_stays_the_same() -> None:
    """The kubelet deletes a full file of 10 MiB now and then: what is behind goes up and down below its limit."""
    tail = a_tail()
    told = [
        looked(tail, min(PACE * now, DEFAULT_BYTES - 10 * 2**20 + PACE * now % (10 * 2**20)), now) for now in range(300)
    ]

    assert told[10] == NEVER
    assert max(told[100:]) < 30


def test_a_backlog_of_before_the_start_is_no_danger_while_nothing_is_written() -> None:
    tail = a_tail()

    assert {looked(tail, 45 * 2**20, float(now)) for now in range(120)} == {NEVER}


def test_what_would_be_lost_first_is_read_first_also_while_nothing_is_measured() -> None:
    busy, idle = a_tail(), a_tail()
    for now in range(3):
        looked(busy, PACE * (now + 1), float(now))
        looked(idle, 1_000, float(now))

    assert busy.seconds_left < idle.seconds_left
    assert busy.seconds_to_loss == NEVER

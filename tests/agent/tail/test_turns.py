"""Who is read next: what was deleted, then who is nearest to losing lines; thousands are not sorted for each batch."""

import itertools
from typing import cast

from agent.tail.looks import Look
from agent.tail.paths import Instance
from agent.tail.reader import Reader
from agent.tail.tail import Tail
from agent.tail.turns import Turns

LEAST, MOST = 16, 256
WINDOW = 2**20
NUMBERS = itertools.count()


def a_tail(*, held: int = 0, rate: float = 0.0, unread: int = 10, read: int = 0) -> Tail:
    look = Look(held=held, held_files=1 if held else 0, unread=unread, is_due=True)
    return Tail(
        instance=Instance("shop", f"web-{next(NUMBERS)}", "u-1", "app", 0),
        reader=cast(Reader, None),
        first_seen=0.0,
        look=look,
        is_due=True,
        is_named=True,
        rate=rate,
        read=read,
    )


def taken(turns: Turns, tails: list[Tail], room: int, now: float = 0.0) -> list[Tail]:
    chosen = turns.take({tail.instance: tail for tail in tails}, room, now, least=LEAST, most=MOST)
    for tail in chosen:
        tail.is_sending = True
    return chosen


def test_what_is_deleted_goes_first_and_then_who_is_nearest_to_losing_lines() -> None:
    quiet, slow, fast, deleted = a_tail(), a_tail(rate=10), a_tail(rate=1000), a_tail(held=1)

    assert taken(Turns(WINDOW), [quiet, slow, fast, deleted], 10 * MOST) == [deleted, fast, slow, quiet]


def test_as_many_as_there_is_room_for_and_one_in_any_case() -> None:
    large = [a_tail(unread=10_000) for _ in range(5)]

    assert len(taken(Turns(WINDOW), large, 3 * MOST)) == 3
    assert len(taken(Turns(WINDOW), [a_tail()], 1)) == 1


def test_of_equals_the_one_that_was_there_first_goes_first() -> None:
    tails = [a_tail() for _ in range(1000)]
    turns = Turns(WINDOW)

    assert [*taken(turns, tails, 2 * MOST), *taken(turns, tails, 2 * MOST)] == tails[:34]


def test_each_of_thousands_has_its_turn_and_nobody_twice() -> None:
    tails, turns = [a_tail() for _ in range(2000)], Turns(WINDOW)
    seen: list[Tail] = []
    while chosen := taken(turns, tails, 4 * MOST):
        seen += chosen

    assert seen == tails


def test_who_comes_later_waits_half_a_second_at_most_behind_thousands() -> None:
    tails, turns = [a_tail() for _ in range(2000)], Turns(WINDOW)
    taken(turns, tails, MOST)
    tails.append(urgent := a_tail(held=1))

    assert urgent not in taken(turns, tails, MOST, now=0.4)
    assert taken(turns, tails, MOST, now=0.6)[0] is urgent


def test_when_all_that_were_ready_are_not_any_more_others_are_looked_for() -> None:
    tails, turns = [a_tail() for _ in range(2000)], Turns(WINDOW)
    taken(turns, tails, MOST)
    for tail in tails:
        tail.is_due = False
    tails.append(late := a_tail())

    assert taken(turns, tails, MOST) == [late]

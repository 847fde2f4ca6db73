"""What is due comes in one order."""

from simulator.world.agenda import Agenda


def drain(agenda, now):
    done = []
    while (entry := agenda.pop_due(now)) is not None:
        done.append(entry)
    return done


def test_actions_come_in_order_of_time_and_for_equal_times_in_order_of_entry():
    agenda = Agenda()
    names = {due: [object() for _ in range(3)] for due in (2.0, 1.0)}
    for due, actions in names.items():
        for action in actions:
            agenda.add(due, action)

    assert drain(agenda, 5.0) == [(1.0, action) for action in names[1.0]] + [(2.0, action) for action in names[2.0]]


def test_what_is_not_due_stays():
    agenda = Agenda()
    agenda.add(3.0, print)

    assert drain(agenda, 2.9) == []
    assert agenda.next_due == 3.0


def test_a_key_waits_once_and_may_come_back_after_it_ran():
    agenda = Agenda()
    agenda.add(1.0, print, "key")
    agenda.add(2.0, repr, "key")
    assert len(agenda) == 1

    drain(agenda, 1.0)
    agenda.add(2.0, repr, "key")

    assert drain(agenda, 2.0) == [(2.0, repr)]


def test_a_jump_of_the_clock_delays_everything_alike():
    agenda = Agenda()
    agenda.add(1.0, print)
    agenda.add(2.0, repr)

    agenda.delay_all(10.0)

    assert drain(agenda, 100.0) == [(11.0, print), (12.0, repr)]

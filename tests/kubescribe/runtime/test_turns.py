"""Turns are short while anybody needs them to be, and as they were afterwards."""

import sys

import pytest

from kubescribe.runtime.turns import Turns


def test_the_last_to_leave_restores_what_was():
    usual, turns = sys.getswitchinterval(), Turns(0.0004)

    with turns:
        with pytest.raises(ZeroDivisionError), turns:
            raise ZeroDivisionError
        assert sys.getswitchinterval() == pytest.approx(0.0004)
        assert turns.is_open

    assert not turns.is_open
    assert sys.getswitchinterval() == pytest.approx(usual)


def test_turns_that_are_shorter_already_stay_so():
    usual = sys.getswitchinterval()

    with Turns(2 * usual):
        assert sys.getswitchinterval() == pytest.approx(usual)

"""What looks like a credential is found in time that grows with the value alone."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.watch.credentials import has_credential, is_credential_name, is_random
from kubescribe.lines.credentials import NAMED, PRIVATE_KEY, SCHEMED, TOKENS, URL_PASSWORD

LONG = 64 * 1024
_PYTHONS = re.compile("|".join((*TOKENS, PRIVATE_KEY, URL_PASSWORD, SCHEMED, NAMED)))
_PIECES = (
    *("eyJ", "ghp_", "AKIA", "sk-", "://", "a://b:", "@", ":", "=", " ", ".", "-", "_", "password", "Bearer ", "xoxb-"),
    *("-----BEGIN ", "PRIVATE KEY", "0f", "A1a", "aaaaaaaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAAA", "\n", ",", '"', "é"),
)


@pytest.mark.parametrize(
    "seed",
    # What took Python's engine 8 s at this length, and what each alternative might try again and again.
    ["a", "a.", "a+", "eyJ-eyJ", "eyJaaaaaaaa.", "a://b:", "pass ", "-----BEGIN A", "bearer  ", "0f-", "conn_", "key-"],
)
def test_a_long_value_costs_no_more_than_its_length(seed: str) -> None:
    value = (seed * LONG)[:LONG]
    started = time.process_time()

    has_credential(value)
    has_credential(f"{value}://user:{value}")
    is_credential_name(value)
    is_random("name", value)

    # Milliseconds; what is quadratic takes seconds.
    assert time.process_time() - started < 2.0


@settings(deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=8).map("".join))
def test_re2_finds_what_python_does(value: str) -> None:
    # What is no ASCII is a letter to Python and none to RE2, which then finds more.
    if value.isascii():
        assert has_credential(value) == (_PYTHONS.search(value) is not None)
    else:
        assert has_credential(value) or _PYTHONS.search(value) is None


@pytest.mark.parametrize("value", ["password=\ud800\ud800\ud800", "token: éé", "x" * LONG + " password=hunter2"])
def test_odd_characters_and_length_hide_nothing(value: str) -> None:
    assert has_credential(value)

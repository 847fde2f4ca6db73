"""The form of a command line: values, flags, and what is not understood."""

from pathlib import Path

from kubescribe.cli.arguments import take_apart


def test_a_value_follows_or_is_joined_with_an_equals_sign() -> None:
    made = take_apart(["--data", "/x", "--http=127.0.0.1:80", "--store=sqlite:///a=b"], set())

    assert made.options == [("--data", "/x"), ("--http", "127.0.0.1:80"), ("--store", "sqlite:///a=b")]
    assert made.problems == []


def test_a_flag_takes_no_value_unless_joined() -> None:
    made = take_apart(["--simulate", "--data", "/x", "--simulate=false"], {"--simulate"})

    assert made.options == [("--simulate", "true"), ("--data", "/x"), ("--simulate", "false")]


def test_an_option_is_never_taken_for_the_value_of_another() -> None:
    assert take_apart(["--data", "--http", "x"], set()).options == [("--data", ""), ("--http", "x")]


def test_what_is_no_option_is_told() -> None:
    made = take_apart(["-v", "word", "--", "--=x", "--config"], set())

    assert len(made.problems) == 5


def test_help_check_and_file_are_the_commands_own() -> None:
    made = take_apart(["-h", "--check-config", "--config", "/c.yaml"], set())

    assert (made.wants_help, made.checks_config, made.config, made.options) == (True, True, Path("/c.yaml"), [])

"""The table: names, defaults, frozen values, secrets."""

from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path

import pytest

from kubescribe.runtime.settings import build, computed, group, setting, table, value_of
from kubescribe.runtime.values import DURATION, PATH, SIZE, TEXT, WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """The inner part."""

    idle_seconds: float = setting(5.0, DURATION, help="Idle.", why="short")
    max_bytes: int = setting(1024, SIZE, option="--most", help="Most.", why="small")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    """The outer part."""

    token: str = setting("", TEXT, help="Token.", why="none", secret=True)
    port: int = setting(1, WHOLE, help="Port.", why="one", has_variable=False)
    home: Path = setting(computed(lambda: Path("/here"), "$HOME"), PATH, help="Home.", why="home")
    inner_part: Inner = group(Inner, idle_seconds=7.0)


def test_names_follow_from_the_place_unless_they_are_fixed() -> None:
    named = {row.key: (row.option, row.variable) for row in table(Outer)}

    assert named == {
        "token": ("--token", "KUBESCRIBE_TOKEN"),
        "port": ("--port", None),
        "home": ("--home", "KUBESCRIBE_HOME"),
        "innerPart.idle": ("--inner-part-idle", "KUBESCRIBE_INNER_PART_IDLE"),
        "innerPart.maxBytes": ("--most", "KUBESCRIBE_MOST"),
    }


def test_a_role_gives_a_group_defaults_of_its_own() -> None:
    defaults = {row.key: row.default_text for row in table(Outer)}

    assert defaults["innerPart.idle"] == "7s"
    assert defaults["innerPart.maxBytes"] == "1KiB"


def test_a_default_of_this_machine_is_used_but_not_documented() -> None:
    (row,) = [row for row in table(Outer) if row.key == "home"]

    assert (Outer().home, row.default_text) == (Path("/here"), "$HOME")


def test_values_by_key_land_in_frozen_settings() -> None:
    made = build(Outer, {"innerPart.maxBytes": 9, "token": "x"})

    assert (made.inner_part.max_bytes, made.inner_part.idle_seconds, made.token) == (9, 7.0, "x")
    assert value_of(made, "innerPart.maxBytes") == 9
    with pytest.raises(FrozenInstanceError):
        made.token = "y"  # type: ignore[misc]


def test_a_secret_is_neither_shown_nor_quoted() -> None:
    row = table(Outer)[0]

    assert row.show("hunter2") == "***"
    assert "hunter2" not in row.quote("hunter2")


def test_two_settings_with_one_name_are_a_mistake_of_ours() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Twice:
        a: int = setting(1, WHOLE, help="", why="")
        b: int = setting(1, WHOLE, option="--a", help="", why="")

    with pytest.raises(ValueError, match="--a"):
        table(Twice)

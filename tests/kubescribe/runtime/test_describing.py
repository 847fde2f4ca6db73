"""What is printed about settings can be read back, and hides what it must."""

from dataclasses import dataclass
from pathlib import Path

from kubescribe.runtime.describing import effective, help_text, markdown
from kubescribe.runtime.settings import group, setting
from kubescribe.runtime.sources import load
from kubescribe.runtime.values import ADDRESS, BASE_PATH, DURATION, FLAG, GVKS, SHARE, TEXT, HostPort


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """
    The inner part.

    Not shown.
    """

    kinds: tuple[str, ...] = setting(("v1/Pod", "v1/Node"), GVKS, help="Kinds.", why="two")
    wait_seconds: float = setting(90.0, DURATION, help="Wait.", why="a|b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole."""

    name: str = setting("no", TEXT, help="Name.", why="odd YAML")
    other: str = setting("1:30", TEXT, help="Other.", why="odd YAML")
    quote: str = setting('a "b" \\ #c', TEXT, help="Quote.", why="odd YAML")
    path: str = setting("", BASE_PATH, help="Path.", why="root")
    active: bool = setting(False, FLAG, help="On.", why="off")
    floor: float = setting(0.15, SHARE, help="Floor.", why="low")
    listen: HostPort = setting(HostPort("::1", 80), ADDRESS, help="Listen.", why="here")
    token: str = setting("hunter2", TEXT, help="Token.", why="secret", secret=True)
    nothing: str | None = setting(None, TEXT, help="Nothing.", why="none")
    inner: Inner = group(Inner)


def test_the_effective_settings_are_a_file_that_gives_the_same_again(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(effective(Config(), {}))

    again = load(Config, file=file, environ={}, options=[("--token", "hunter2")])

    assert again.settings == Config()


def test_the_effective_settings_name_sources_and_hide_secrets() -> None:
    said = effective(Config(), {"active": "--active"})

    assert "active: false  # --active" in said
    assert "hunter2" not in said
    assert "# nothing is not set" in said


def test_help_and_page_say_everything_about_each_setting() -> None:
    for said in (help_text(Config), markdown(Config)):
        for word in ("--inner-wait", "KUBESCRIBE_INNER_WAIT", "inner.wait", "90s", "The inner part."):
            assert word in said
        assert "hunter2" not in said
        assert "Not shown" not in said


def test_a_bar_does_not_break_the_table() -> None:
    row = next(line for line in markdown(Config).splitlines() if "inner.wait" in line)

    assert "a\\|b" in row

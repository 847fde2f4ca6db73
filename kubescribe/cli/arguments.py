"""
A command line taken apart: pairs of option and text, and what is wrong with its form.

Not argparse: it ends at the first mistake, and here all of them are reported together with those of file and variables.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Arguments:
    """What stood on the command line after the name of the role."""

    options: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    config: Path | None = None
    wants_help: bool = False
    checks_config: bool = False


def take_apart(words: Sequence[str], flags: Collection[str]) -> Arguments:
    """
    Return what *words* say: `--option value`, `--option=value`, and for *flags* `--option` alone.

    Whether an option exists, and its value is good, is not looked at.
    """
    made = Arguments()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, text = word.partition("=")
        if word in ("-h", "--help"):
            made.wants_help = True
        elif word == "--check-config":
            made.checks_config = True
        elif not word.startswith("--") or name == "--":
            made.problems.append(f"{word!r}: unexpected; options begin with -- and nothing else is taken")
        elif equals:
            _take(made, name, text)
        elif name in flags:
            _take(made, name, "true")
        elif not rest or rest[0].startswith("--"):
            _take(made, name, None)
        else:
            _take(made, name, rest.pop(0))
    return made


def _take(made: Arguments, name: str, text: str | None) -> None:
    if name != "--config":
        # An option without a value is handed on empty if it does not exist: that is then the only thing to say.
        made.options.append((name, "" if text is None else text))
    elif text:
        made.config = Path(text).expanduser()
    else:
        made.problems.append("--config: a value is missing")

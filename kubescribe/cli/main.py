"""
The command line: which role, with which settings; `--help`, `--version`, `--check-config`; exit codes.

0 for an ordered end, 2 for what the operator can mend (one line each, on stderr), 1 for what nobody expected.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from kubescribe.cli.arguments import take_apart
from kubescribe.cli.roles import ROLES, Role
from kubescribe.runtime.describing import effective, help_text
from kubescribe.runtime.errors import ConfigError
from kubescribe.runtime.process import version_string
from kubescribe.runtime.settings import PREFIX, table
from kubescribe.runtime.sources import did_you_mean, load

_ORDER = f"""\
Settings come from a YAML file (--config FILE or {PREFIX}CONFIG), from variables, and from options; the later wins.
Variables that Kubernetes sets for a Service named kubescribe are ignored, and so are empty ones.

  --config FILE
      A YAML file of settings.
  --check-config
      Print the settings in effect, secrets hidden, and end: 0 if they are good, 2 if not.
  --help
      Print this and end.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; it is what `kubescribe` calls."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _command(words, os.environ)
        sys.stdout.flush()  # Here a closed pipe can still be answered.
    except ConfigError as error:
        name = words[0]
        for problem in error.problems:
            sys.stderr.write(f"kubescribe {name}: {problem}\n")
        return 2
    except KeyboardInterrupt:
        # Before the role has its own handler; 128 + SIGINT is what a shell expects.
        return 130
    except BrokenPipeError:
        # `kubescribe up --help | head`: nobody reads any more; stdout must not be flushed again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _command(words: Sequence[str], environ: Mapping[str, str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if words else 2
    if words[0] == "--version":
        print(f"kubescribe {version_string()}")
        return 0
    role = ROLES.get(words[0])
    if role is None:
        hint = did_you_mean(words[0], [*ROLES, "--help", "--version"]) or f"; there are {', '.join(ROLES)}"
        sys.stderr.write(f"kubescribe: {words[0]!r} is no command{hint}\n")
        return 2
    return _role(role, words[1:], environ)


def _role(role: Role, words: Sequence[str], environ: Mapping[str, str]) -> int:
    flags = {row.option for row in table(role.settings) if row.declared.kind.is_flag}
    given = take_apart(words, flags)
    if given.wants_help:
        print(f"kubescribe {role.name}: {role.summary}\n\n{_ORDER}\n{help_text(role.settings)}")
        return 0
    named = environ.get(f"{PREFIX}CONFIG")
    file = given.config or (Path(named) if named else None)
    loaded = load(role.settings, file=file, environ=environ, options=given.options, found=given.problems)
    if given.checks_config:
        print(effective(loaded.settings, loaded.sources), end="")
        return 0
    # structlog, uvloop and the role itself: only now.
    from kubescribe.cli.running import run_role  # noqa: PLC0415

    return run_role(role, loaded.settings)


def _overview() -> str:
    roles = "\n".join(f"  {role.name:<12}{role.summary}" for role in ROLES.values())
    return (
        "kubescribe: a flight recorder for Kubernetes\n\n"
        f"usage: kubescribe ROLE [--option value …]\n\n{roles}\n\n"
        "kubescribe ROLE --help describes every setting of a role; kubescribe --version names the version."
    )


if __name__ == "__main__":
    sys.exit(main())

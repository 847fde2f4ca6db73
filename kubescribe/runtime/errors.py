"""
What the plumbing raises, drawn here.

    StartupError            a role cannot start: one line on stderr that says what and what to do, exit code 2
    ├── ConfigError         settings are wrong; carries every problem, one line each
    └── ListenFailed        an address cannot be listened on
        └── PortInUse       because another process does
    PartEnded               a part that must run for the life of the process returned
    StopTimedOut            parts did not end within the deadline of a stop; names them
"""

from collections.abc import Sequence


class StartupError(Exception):
    """Root of what stops a role before it runs; the message is one line that says what and what to do."""


class ConfigError(StartupError):
    """Settings are wrong. `problems` has one line for each, never a secret."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class ListenFailed(StartupError):
    """An address cannot be listened on."""


class PortInUse(ListenFailed):
    """Another process listens on the address."""


class PartEnded(Exception):
    """A part that must run for the life of the process returned; `name` is the part's."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} ended, although it has to run for the life of the process")
        self.name = name


class StopTimedOut(Exception):
    """Parts did not end within the deadline of a stop; `names` are theirs."""

    def __init__(self, names: Sequence[str], seconds: float) -> None:
        super().__init__(f"still running {seconds:g} s after the stop began: {', '.join(names)}")
        self.names = tuple(names)

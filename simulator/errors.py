"""
Errors of the pretend cluster that are not answers of its API.

SimulatorError
├── StoreRefused     the write cannot be done: the object is there already, or is not there
├── BadHistory       the file under --data is not a history of ours
└── BadSettings      options that contradict each other, or a folder that is missing
"""


class SimulatorError(Exception):
    """Root of this package's own errors."""


class StoreRefused(SimulatorError):
    """The write cannot be done on the present state; *is_missing* tells which way round."""

    def __init__(self, message: str, *, is_missing: bool) -> None:
        super().__init__(message)
        self.is_missing = is_missing


class BadHistory(SimulatorError):
    """The file is not a history of a pretend cluster."""


class BadSettings(SimulatorError):
    """The options cannot be followed."""

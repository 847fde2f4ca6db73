"""
What can be wrong with a spool, drawn here.

    SpoolError
    ├── SpoolInUse      another process holds the folder: stop
    ├── SpoolForeign    the folder belongs to another cluster: stop
    ├── SpoolUnusable   the folder cannot be made, read or written at start: stop
    └── SpoolClosed     put or read after close: a mistake of the caller
"""


class SpoolError(Exception):
    """Root of the spool's errors; the message is one line that says what and what to do."""


class SpoolInUse(SpoolError):
    """Another process holds the folder."""


class SpoolForeign(SpoolError):
    """The folder holds records of another cluster."""


class SpoolUnusable(SpoolError):
    """The folder cannot be made, read or written."""


class SpoolClosed(SpoolError):
    """The spool was used after close."""

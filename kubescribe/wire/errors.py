"""
The errors of the wire, drawn here because they are part of its contract.

    WireError
    ├── FrameTooLarge      a frame, or what it would decompress to, is over its limit
    ├── FrameMalformed     not what the schema says; names the path of the bad field
    └── ProtocolMismatch   the other side speaks a version that this one does not
"""


class WireError(Exception):
    """Something that crossed a process border is not what the contract says."""


class FrameTooLarge(WireError):
    """A frame, or what it would decompress to, is over the limit."""


class FrameMalformed(WireError):
    """A frame does not decode; the message names the path of the bad field."""


class ProtocolMismatch(WireError):
    """The other side speaks a protocol version that this one does not."""

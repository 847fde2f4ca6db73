"""
Where a stream stands, as its own agent wrote it down: the resume copy that lies in the spool beside the data.

Not the journal's resume point: that one comes with a Grant, and the newer of the two is where the stream goes on.
"""

import msgspec


class StreamMark(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False, forbid_unknown_fields=False
):
    """
    A stream's resume copy after the records it was put with.

    `resource_version` is where the watch goes on; `epoch` and `term` are those under which it was reached. `listing`
    is true between the begin and the end of a Snapshot: a stream that finds it must list again. `seen_at` is the last
    sign of life of the watch, nanoseconds since the Unix epoch: a Gap begins there.
    """

    stream: str
    resource_version: int
    epoch: int = 0
    term: int = 0
    listing: bool = False
    seen_at: int = 0

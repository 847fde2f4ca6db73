"""What a reader tells of the files of one instance: how they are, and what was read of them. Values."""

from collections import Counter
from dataclasses import dataclass, field

from agent.tail.joining import Place
from agent.tail.losing import Lost
from kubescribe.loki.pushes import Push


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """
    How an instance's files are: what is to be read, and whether they are gone for good.

    `held` are the bytes of a deleted file that is kept on disk only because it is open here. When `is_unknown`, the
    files could not be looked at.
    """

    unread: int = 0
    is_due: bool = False
    is_gone: bool = False
    held: int = 0
    is_unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read in one go: `place` is where to go on once all of `pushes` are in Loki."""

    place: Place
    size: int = 0
    pushes: list[Push] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    levels: Counter[str] = field(default_factory=Counter)

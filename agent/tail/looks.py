"""What a reader tells of the files of one instance: how they are, and what was read of them. Values."""

from collections import Counter
from dataclasses import dataclass, field

from agent.tail.joining import Place
from agent.tail.losing import Lost
from agent.tail.retention import DEFAULT_BYTES
from kubescribe.loki.pushes import Push


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """
    How an instance's files are: what is to be read, and whether they are gone for good.

    `held` are the bytes of deleted files that are kept on disk only because they are open here, `held_files` their
    number; `kept` is how much the kubelet keeps of it. When `is_whole`, no line has begun whose end is not there. When
    `is_unknown`, the files could not be looked at.
    """

    unread: int = 0
    is_due: bool = False
    is_gone: bool = False
    held: int = 0
    held_files: int = 0
    kept: int = DEFAULT_BYTES
    is_whole: bool = False
    is_unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read in one go: `place` is where to go on once all of `pushes` are in Loki."""

    place: Place
    size: int = 0
    pushes: list[Push] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    levels: Counter[str] = field(default_factory=Counter)

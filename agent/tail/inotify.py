"""
Linux's inotify for folders: what was made, renamed or deleted in them. Not what was written to their files.

By ctypes, since it is three calls of libc and the libraries around them are not kept any more or bring a compiler's
output along. Writes are not asked for: a busy file would wake the agent at each line, while its size is looked at twice
a second anyway.
"""

import ctypes
import errno
import os
import struct
from pathlib import Path
from typing import NamedTuple

_NONBLOCK, _CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE, _DELETE_SELF = 0x40, 0x80, 0x100, 0x200, 0x400
_ONLYDIR, _ISDIR, _Q_OVERFLOW, _IGNORED = 0x0100_0000, 0x4000_0000, 0x4000, 0x8000
_MASK = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _ONLYDIR
_HEAD = struct.Struct("iIII")


_MADE = _MOVED_TO | _CREATE


class Changed(NamedTuple):
    """
    What changed: (folder, name in it); `is_overflown` when some changes were not told.

    `made` are those of `names` that came into being, whether or not they are there still, `folders` those of them that
    are folders; `unmade` those that were deleted afterwards, and of folders also those that were made once more;
    `deleted` what was deleted that had been there before.
    """

    names: frozenset[tuple[Path, str]]
    is_overflown: bool
    made: frozenset[tuple[Path, str]] = frozenset()
    folders: frozenset[tuple[Path, str]] = frozenset()
    unmade: frozenset[tuple[Path, str]] = frozenset()
    deleted: frozenset[tuple[Path, str]] = frozenset()


class Inotify:
    """Watches folders, without blocking. Raises OSError where there is no inotify, or none left."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(self._libc, "inotify_init1"):
            raise OSError("no inotify on this system")
        self.descriptor = self._checked(self._libc.inotify_init1(_NONBLOCK | _CLOEXEC))
        self._folders: dict[int, Path] = {}
        self._watched: dict[Path, int] = {}
        self.refused = 0
        """Watches that the system did not give (fs.inotify.max_user_watches)."""

    def watch(self, folder: Path) -> bool:
        """Watch *folder*; False when it is gone, or the system gives no more watches. Twice is once."""
        if folder in self._watched:
            return True
        try:
            number = self._checked(self._libc.inotify_add_watch(self.descriptor, os.fsencode(folder), _MASK))
        except OSError as error:
            self.refused += error.errno in (errno.ENOSPC, errno.ENOMEM)
            return False
        # The same folder under another name keeps its number.
        self._watched.pop(self._folders.get(number, folder), None)
        self._folders[number] = folder
        self._watched[folder] = number
        return True

    def read(self) -> Changed:
        """Return what changed since it was asked last; nothing when nothing did."""
        names: set[tuple[Path, str]] = set()
        made: set[tuple[Path, str]] = set()
        folders: set[tuple[Path, str]] = set()
        unmade: set[tuple[Path, str]] = set()
        deleted: set[tuple[Path, str]] = set()
        is_overflown = False
        while True:
            try:
                data = os.read(self.descriptor, 65_536)
            except BlockingIOError:
                told = map(frozenset, (made, folders, unmade, deleted))
                return Changed(frozenset(names), is_overflown, *told)
            at = 0
            while at < len(data):
                number, mask, _, length = _HEAD.unpack_from(data, at)
                name = os.fsdecode(data[at + _HEAD.size : at + _HEAD.size + length].rstrip(b"\0"))
                at += _HEAD.size + length
                is_overflown = is_overflown or bool(mask & _Q_OVERFLOW)
                folder = self._folders.get(number)
                if folder is None:
                    continue
                if mask & _IGNORED:
                    del self._folders[number]
                    self._watched.pop(folder, None)
                elif name:
                    names.add((folder, name))
                    if mask & _MADE:
                        made.add((folder, name))
                        if mask & _ISDIR:
                            folders.add((folder, name))
                        else:
                            unmade.discard((folder, name))
                    elif mask & _DELETE:
                        (unmade if (folder, name) in made else deleted).add((folder, name))

    def close(self) -> None:
        """End all watches."""
        os.close(self.descriptor)

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result

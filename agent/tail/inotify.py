"""
Linux's inotify for folders: what was made, renamed or deleted in them.

By ctypes, since it is three calls of libc and the libraries around them are not kept any more or bring a compiler's
output along. Writes are asked for only until a folder's first file is open: whether what came and went had anything in
it is known by them alone. After that a busy file would wake the agent at each line, while its size is looked at twice a
second anyway.
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
_MODIFY = 0x2
_MASK = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _ONLYDIR
_HEAD = struct.Struct("iIII")


_MADE = _MOVED_TO | _CREATE


class Changed(NamedTuple):
    """
    What changed: (folder, name in it); `is_overflown` when some changes were not told.

    `made` are those of `names` that came into being, whether or not they are there still, `folders` those of them that
    are folders; `unmade` those that were deleted afterwards, and of folders also those that were made once more;
    `deleted` what was deleted that had been there before. Of those that were made where writes are told, `empty` were
    written nothing.
    """

    names: frozenset[tuple[Path, str]]
    is_overflown: bool
    made: frozenset[tuple[Path, str]] = frozenset()
    folders: frozenset[tuple[Path, str]] = frozenset()
    unmade: frozenset[tuple[Path, str]] = frozenset()
    deleted: frozenset[tuple[Path, str]] = frozenset()
    empty: frozenset[tuple[Path, str]] = frozenset()


class _Told:
    """What is told in one go."""

    def __init__(self) -> None:
        self.is_overflown = False
        self._names: set[tuple[Path, str]] = set()
        self._made: set[tuple[Path, str]] = set()
        self._folders: set[tuple[Path, str]] = set()
        self._unmade: set[tuple[Path, str]] = set()
        self._deleted: set[tuple[Path, str]] = set()
        self._empty: set[tuple[Path, str]] = set()

    def take(self, name: tuple[Path, str], mask: int, *, with_writes: bool) -> None:
        """Take one event; *with_writes* where they are told."""
        if mask & _MODIFY:
            self._empty.discard(name)
            return
        self._names.add(name)
        if mask & _MADE:
            # Of several under one name the first may have been written.
            if with_writes and mask & _CREATE and name not in self._made and name not in self._deleted:
                self._empty.add(name)
            self._made.add(name)
            if mask & _ISDIR:
                self._folders.add(name)
            else:
                self._unmade.discard(name)
        elif mask & _DELETE:
            (self._unmade if name in self._made else self._deleted).add(name)

    def changed(self) -> Changed:
        """Return all of it."""
        told = (self._made, self._folders, self._unmade, self._deleted, self._empty)
        return Changed(frozenset(self._names), self.is_overflown, *map(frozenset, told))


class Inotify:
    """Watches folders, without blocking. Raises OSError where there is no inotify, or none left."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(self._libc, "inotify_init1"):
            raise OSError("no inotify on this system")
        self.descriptor = self._checked(self._libc.inotify_init1(_NONBLOCK | _CLOEXEC))
        self._folders: dict[int, Path] = {}
        self._watched: dict[Path, tuple[int, tuple[int, int]]] = {}
        self._with_writes: set[int] = set()
        self.refused = 0
        """Watches that the system did not give (fs.inotify.max_user_watches)."""

    def watch(self, folder: Path, *, with_writes: bool = False) -> bool:
        """
        Watch *folder*; False when it is gone, or the system gives no more watches. Twice is once.

        *with_writes* those are told as well, until it is asked for without; not of one that is watched already.
        """
        inode = _inode_of(folder)
        known, watched = self._watched.get(folder, (-1, None))
        if watched != inode:
            # What is gone stays watched while a file in it is open, and another folder may have its name by now.
            self.unwatch(folder)
        elif with_writes or known not in self._with_writes:
            return inode is not None
        mask = _MASK | _MODIFY if with_writes else _MASK
        try:
            number = self._checked(self._libc.inotify_add_watch(self.descriptor, os.fsencode(folder), mask))
        except OSError as error:
            self.refused += error.errno in (errno.ENOSPC, errno.ENOMEM)
            return False
        # The same folder under another name keeps its number.
        self._watched.pop(self._folders.get(number, folder), None)
        self._folders[number] = folder
        if inode is not None:
            self._watched[folder] = (number, inode)
        if with_writes:
            self._with_writes.add(number)
        else:
            self._with_writes.discard(number)
        return True

    def unwatch(self, folder: Path) -> None:
        """Watch *folder* no more, which is gone: what was told of it so far still comes."""
        number, _ = self._watched.pop(folder, (-1, None))
        if number >= 0:
            # An error is that of a watch that ended by itself.
            self._libc.inotify_rm_watch(self.descriptor, number)

    def read(self) -> Changed:
        """Return what changed since it was asked last; nothing when nothing did."""
        told = _Told()
        while True:
            try:
                data = os.read(self.descriptor, 65_536)
            except BlockingIOError:
                return told.changed()
            at = 0
            while at < len(data):
                number, mask, _, length = _HEAD.unpack_from(data, at)
                name = os.fsdecode(data[at + _HEAD.size : at + _HEAD.size + length].rstrip(b"\0"))
                at += _HEAD.size + length
                told.is_overflown = told.is_overflown or bool(mask & _Q_OVERFLOW)
                folder = self._folders.get(number)
                if folder is None:
                    continue
                if mask & _IGNORED:
                    del self._folders[number]
                    self._with_writes.discard(number)
                    if self._watched.get(folder, (-1, None))[0] == number:
                        del self._watched[folder]
                elif name:
                    told.take((folder, name), mask, with_writes=number in self._with_writes)

    def close(self) -> None:
        """End all watches."""
        os.close(self.descriptor)

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


def _inode_of(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino

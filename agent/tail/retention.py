"""
How much of a container's lines the kubelet keeps here, learned from the files that are there. Pure.

containerLogMaxSize and containerLogMaxFiles are the kubelet's own settings; reading them takes a permission with which
one may do much more (docs/decisions/0010). What it rotated tells both: a file is rotated when it is larger than the
one, and the oldest is deleted when there are as many as the other.
"""

from collections.abc import Mapping

DEFAULT_FILES = 5
DEFAULT_FILE_BYTES = 10 * 2**20
DEFAULT_BYTES = DEFAULT_FILES * DEFAULT_FILE_BYTES


class Retention:
    """What is known of one node."""

    def __init__(self) -> None:
        self._least_rotated = 0
        self._most_files = 0
        self._exact_files = 0

    def note(self, rotated: Mapping[str, int], *, is_full: bool) -> None:
        """Take the sizes of an instance's *rotated* files; *is_full* when one was deleted for the youngest of them."""
        files = len(rotated) + 1
        self._most_files = max(self._most_files, files)
        if is_full:
            self._exact_files = max(self._exact_files, files)
        sizes = [size for size in rotated.values() if size]
        if sizes:
            self._least_rotated = min(self._least_rotated or sizes[0], *sizes)

    @property
    def files(self) -> int:
        """How many files are kept of an instance, with the one that is written."""
        return self._exact_files or max(DEFAULT_FILES, self._most_files)

    def kept_bytes(self, sizes: Mapping[str, int]) -> int:
        """Return how much is kept of an instance whose files have *sizes*, by suffix: never less than there is."""
        # A busy container's files are larger than the setting: the kubelet looks at them every ten seconds.
        own = max((size for rotated, size in sizes.items() if rotated), default=0)
        file_bytes = own or self._least_rotated or DEFAULT_FILE_BYTES
        return max(self.files * file_bytes, sum(sizes.values()))


class Turnover:
    """The rotated files of one instance, from look to look."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention
        self._rotated: dict[str, int] = {}
        self._is_thinned = False
        self.kept_bytes = DEFAULT_BYTES

    def note(self, sizes: Mapping[str, int]) -> None:
        """Take the sizes of the files that have a name, by suffix."""
        rotated = {suffix: size for suffix, size in sizes.items() if suffix}
        gone, new = self._rotated.keys() - rotated.keys(), rotated.keys() - self._rotated.keys()
        # The oldest goes, then the youngest comes: that was no container whose files all go.
        self._is_thinned = self._is_thinned or bool(gone and rotated and max(gone) < min(rotated))
        self._retention.note(rotated, is_full=bool(self._is_thinned and self._rotated and new))
        self._is_thinned = self._is_thinned and not new
        self._rotated = rotated
        self.kept_bytes = self._retention.kept_bytes(sizes)

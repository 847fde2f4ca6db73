"""
Regular expressions that people write, matched in time that grows with the line alone (RE2).

Python's own engine backtracks: `(a+)+$` on forty letters holds a thread, and the interpreter's lock with it, for hours.
A deadline would need a process that can be killed; RE2 needs none, lets go of the lock, and on our lines is twenty
times as fast besides. What it does not know, back-references and look-around, cannot be had in linear time.
"""

import re2

MAX_CHARACTERS = 512
_MEMORY_BYTES = 4 * 2**20
"""Of one compiled pattern with its caches; past it RE2 is slower, and still linear."""


class BadPattern(ValueError):
    """A pattern that is too long, or not one; the message says why."""


class Pattern:
    """One pattern, for lines as bytes of UTF-8. `text` is how it was written."""

    __slots__ = ("_regexp", "text")

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise BadPattern(f"a pattern of {len(text)} characters, at most {MAX_CHARACTERS} are taken")
        self.text = text
        self._regexp = compiled(text.encode("utf-8", "surrogatepass"))

    def is_in(self, line: bytes) -> bool:
        """Tell whether *line* holds a match."""
        return self._regexp.search(line) is not None

    def replaced(self, line: bytes, mark: bytes) -> bytes:
        """Return *line* with *mark* in place of every match; an empty match is none."""
        replaced: bytes = self._regexp.sub(lambda match: mark if match.end() > match.start() else b"", line)
        return replaced


def compiled(pattern: bytes, *, is_text: bool = True) -> "re2._Regexp[bytes]":
    """
    Return *pattern* compiled, without its groups.

    Unless *is_text* it is matched byte by byte: classes that exclude something match whatever is not UTF-8, too. Raises
    BadPattern.
    """
    options = re2.Options()
    options.max_mem = _MEMORY_BYTES
    options.log_errors = False
    options.never_capture = True
    if not is_text:
        options.encoding = re2.Options.Encoding.LATIN1
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        raise BadPattern(said.decode(errors="replace") if isinstance(said, bytes) else str(said)) from error

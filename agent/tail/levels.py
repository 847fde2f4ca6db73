"""
How many lines of a container are of each level, cheaply: what a line says is kubescribe.lines.levels' to tell.

Services write the level's word at the same place of each line. Where it was found last is looked at first, for all
lines of a block at once; only a line that has another word there is asked. Of lines that can say no level at all none
is.
"""

import re
from collections import Counter
from collections.abc import Sequence

from kubescribe.lines.levels import level_of

_HEAD_BYTES = 256
_JSON_BYTES = 4096
_HINTS = (b"err", b"warn", b"wrn", b"inf", b"debug", b"dbg", b"trac", b"notice", b"level", b"lvl", b"everi")
_RARE_HINTS = (b"fatal", b"ftl", b"crit", b"panic", b"alert", b"emerg", b"exception", b"caused by", b"trc", b"dbug")
"""What every level's word holds, in small letters; LOG, and klog's letter, are looked for beside them."""
_KLOG = re.compile(rb"[IWEFD]\d{4} ")

_WORD = re.compile(rb"(?<![A-Za-z0-9])(?:[A-Za-z]{3,13}|[1-6]0)(?![A-Za-z0-9])")
_LOOK = 5
"""The byte in front of the word, and enough of it to tell it from the others."""
_MAX_PLACES = 4
_MAX_LEARNED = 64


class Levels:
    """Counts the levels of the lines of one container, which look alike."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        # Where words of levels were found, the most useful first: what stands there, and which level that is.
        self._places: list[tuple[int, dict[bytes, str]]] = []

    def count(self, texts: Sequence[bytes]) -> Counter[str]:
        """Return how many of *texts* say each level."""
        counts: Counter[str] = Counter()
        best = 0
        for place in tuple(self._places):
            before = len(texts)
            texts = _count_at(place, texts, counts)
            if not texts:
                break
            if before - len(texts) > best:
                best = before - len(texts)
                self._places.remove(place)
                self._places.insert(0, place)
        if texts and _can_say(texts):
            counts.update(map(self.find, texts))
        elif texts:
            counts[""] += len(texts)
        return counts

    def find(self, text: bytes) -> str:
        """Return the level that *text* says."""
        for start, known in self._places:
            level = known.get(text[start : start + _LOOK])
            if level is not None:
                return level
        level = level_of(text)
        if level:
            self._learn(text, level)
        return level

    def _learn(self, text: bytes, level: str) -> None:
        for word in _WORD.finditer(text, 0, _HEAD_BYTES):
            # Alone behind a name it is told as in the line; 30 is a level of JSON only.
            found = word.group()
            if level_of(b'{"level":%s}' % (found if found.isdigit() else b'"%s"' % found)) == level:
                # With the byte in front: half of another word is another text.
                start = max(0, word.start() - 1)
                break
        else:
            return
        known = next((known for place, known in self._places if place == start), {})
        if len(known) < _MAX_LEARNED:
            known[text[start : start + _LOOK]] = level
        rest = [place for place in self._places if place[0] != start]
        self._places = [(start, known), *rest][:_MAX_PLACES]


def _can_say(texts: Sequence[bytes]) -> bool:
    """Tell whether any of *texts* can say a level; much cheaper than asking each."""
    heads = b"\n".join([text[: _JSON_BYTES if text[:1] == b"{" else _HEAD_BYTES] for text in texts])
    lowered = heads.lower()
    return (
        any(hint in lowered for hint in _HINTS)
        or any(hint in lowered for hint in _RARE_HINTS)
        or b"LOG" in heads
        or any(map(_KLOG.match, texts))
    )


def _count_at(place: tuple[int, dict[bytes, str]], texts: Sequence[bytes], counts: Counter[str]) -> Sequence[bytes]:
    """Count those of *texts* that have a known word at *place*, and return the others."""
    start, known = place
    end = start + _LOOK
    strange = set()
    for head, count in Counter([text[start:end] for text in texts]).items():
        if head in known:
            counts[known[head]] += count
        else:
            strange.add(head)
    return [text for text in texts if text[start:end] in strange] if strange else ()

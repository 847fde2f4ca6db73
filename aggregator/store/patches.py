"""
The difference between two versions of an object, as JSON: stored instead of the whole, and served as the API's `diff`.

A patch is `[{path, old, new}, …]`. `path` holds strings for fields, objects such as `{"name":"app"}` for list items
told apart by their merge key, and numbers for the items of plain lists. In the stored form a missing `old` means that
there was nothing and a missing `new` that there is nothing now, so that an explicit null stays one; `at` is the place
of an inserted list item. `render` makes the served form, where both are null.

Values are compared and kept as the bytes they are, never as numbers or texts of Python: 1.0 stays 1.0 and a number of
thirty digits keeps them all. Rebuilding is exact but for the order of an object's fields, which JSON gives no meaning.
Only what differs is decoded, level by level.
"""

from collections.abc import Sequence
from functools import lru_cache

import msgspec
from msgspec import Raw

from aggregator.store.merging import WHOLE, key_of, selectors_of

_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_ITEMS = msgspec.json.Decoder(list[Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, Raw]])
_TEXT = msgspec.json.Decoder(str)
_encode = msgspec.json.Encoder().encode

_ABSENT = Raw(b"")
_NULL = Raw(b"null")

_MAX_DEPTH = 60
"""Below this a value is compared as a whole: API objects are some 15 deep, and hostile ones must not fill our stack."""


class PatchMisfit(ValueError):
    """A patch names something that the object it is applied to does not have."""


class _Step(msgspec.Struct, frozen=True, gc=False):
    path: list[Raw]
    old: Raw = _ABSENT
    new: Raw = _ABSENT
    at: int | None = None


class _Shown(msgspec.Struct, frozen=True, gc=False):
    path: Raw
    old: Raw = _NULL
    new: Raw = _NULL


_STEPS = msgspec.json.Decoder(list[_Step])
_SHOWN = msgspec.json.Decoder(list[_Shown])


def diff(old: bytes, new: bytes) -> bytes:
    """Return the stored patch that makes *new* of *old*, `[]` when they say the same. Raises msgspec.DecodeError."""
    comparison = _Comparison()
    if old != new:
        comparison.compare(b"", "", old, new, 0)
    return b"[%b]" % b",".join(comparison.steps)


def apply(body: bytes, patch: bytes) -> bytes:
    """Return the object that *patch* makes of *body*. Raises PatchMisfit, msgspec.DecodeError."""
    steps = _STEPS.decode(patch)
    if not steps:
        return body
    return _rebuild(Raw(body), "", steps, 0)


def render(patch: bytes) -> bytes:
    """Return the served form of a stored patch: null for added and for removed."""
    return _encode(_SHOWN.decode(patch))


class _Comparison:
    """
    What differs, as JSON, step by step; `path` is the JSON of a path's elements, `field` the last named one.

    This is most of what a change costs the aggregator: what is equal is never decoded, what differs once.
    """

    def __init__(self) -> None:
        self.steps: list[bytes] = []

    def compare(self, path: bytes, field: str, old: bytes, new: bytes, depth: int) -> None:
        """Append what differs between two values that are not the same bytes."""
        opening = old[:1]
        if depth < _MAX_DEPTH and opening == new[:1]:
            if opening == b"{":
                self._compare_fields(path, _FIELDS.decode(old), _FIELDS.decode(new), depth)
                return
            if opening == b"[" and field not in WHOLE and self._compare_items(path, field, old, new, depth):
                return
        self.steps.append(b'{"path":[%b],"old":%b,"new":%b}' % (path, old, new))

    def _compare_fields(self, path: bytes, before: dict[str, Raw], after: dict[str, Raw], depth: int) -> None:
        for name, value in before.items():
            now = after.get(name)
            if now is None:
                self.steps.append(b'{"path":[%b],"old":%b}' % (_below(path, _quoted(name)), bytes(value)))
            elif now != value:
                self.compare(_below(path, _quoted(name)), name, bytes(value), bytes(now), depth + 1)
        for name, value in after.items():
            if name not in before:
                self.steps.append(b'{"path":[%b],"new":%b}' % (_below(path, _quoted(name)), bytes(value)))

    def _compare_items(self, path: bytes, field: str, old: bytes, new: bytes, depth: int) -> bool:
        """Append the differences of two lists; False when only the whole can be said."""
        key = key_of(field)
        if key is not None and self._compare_paired(path, key, old, new, depth):
            return True
        before, after = _ITEMS.decode(old), _ITEMS.decode(new)
        selectors = selectors_of(field, old)
        if selectors is not None:
            now = selectors_of(field, new)
            return now is not None and self._compare_keyed(
                path, dict(zip(selectors, before, strict=True)), dict(zip(now, after, strict=True)), depth
            )
        if len(before) == len(after):
            for index, (was, is_now) in enumerate(zip(before, after, strict=True)):
                if was != is_now:
                    self.compare(_below(path, b"%d" % index), "", bytes(was), bytes(is_now), depth + 1)
            return True
        return self._compare_spliced(path, before, after)

    def _compare_paired(self, path: bytes, key: str, old: bytes, new: bytes, depth: int) -> bool:
        """Append the differences of two lists with the same items in the same order; False when they are not that."""
        try:
            before, after = _OBJECTS.decode(old), _OBJECTS.decode(new)
        except msgspec.ValidationError:
            return False
        keys = [item.get(key) for item in before]
        if depth + 1 >= _MAX_DEPTH or None in keys or keys != [item.get(key) for item in after]:
            return False
        values = [bytes(value) for value in keys if value is not None]
        if len(set(values)) < len(values):
            return False
        for value, was, is_now in zip(values, before, after, strict=True):
            if was != is_now:
                self._compare_fields(_below(path, b'{"%b":%b}' % (key.encode(), value)), was, is_now, depth + 1)
        return True

    def _compare_keyed(self, path: bytes, before: dict[bytes, Raw], after: dict[bytes, Raw], depth: int) -> bool:
        if [key for key in before if key in after] != [key for key in after if key in before]:
            return False
        for key, value in before.items():
            now = after.get(key)
            if now is None:
                self.steps.append(b'{"path":[%b],"old":%b}' % (_below(path, key), bytes(value)))
            elif now != value:
                self.compare(_below(path, key), "", bytes(value), bytes(now), depth + 1)
        for index, (key, value) in enumerate(after.items()):
            if key not in before:
                self.steps.append(b'{"path":[%b],"new":%b,"at":%d}' % (_below(path, key), bytes(value), index))
        return True

    def _compare_spliced(self, path: bytes, before: list[Raw], after: list[Raw]) -> bool:
        """Tell plain lists apart by one run of items put in or taken out; anything else is said as a whole."""
        shorter = min(len(before), len(after))
        start = 0
        while start < shorter and before[start] == after[start]:
            start += 1
        tail = shorter - start
        if tail and before[len(before) - tail :] != after[len(after) - tail :]:
            return False
        if len(after) > len(before):
            for index in range(start, len(after) - tail):
                self.steps.append(b'{"path":[%b],"new":%b}' % (_below(path, b"%d" % index), bytes(after[index])))
        else:
            for index in range(start, len(before) - tail):
                self.steps.append(b'{"path":[%b],"old":%b}' % (_below(path, b"%d" % index), bytes(before[index])))
        return True


@lru_cache(maxsize=4096)
def _quoted(name: str) -> bytes:
    return _encode(name)


def _below(path: bytes, element: bytes) -> bytes:
    return b"%b,%b" % (path, element) if path else element


def _rebuild(value: Raw, field: str, steps: Sequence[_Step], depth: int) -> bytes:
    """Return *value* as *steps* make it; the first *depth* elements of their paths lead to it."""
    first = steps[0]
    if len(first.path) == depth:
        return bytes(first.new)
    groups: dict[bytes, list[_Step]] = {}
    for step in steps:
        groups.setdefault(bytes(step.path[depth]), []).append(step)
    opening = bytes(value)[:1]
    if opening == b"{":
        return _rebuild_fields(value, groups, depth + 1)
    if opening == b"[":
        return _rebuild_items(value, field, groups, depth + 1)
    raise PatchMisfit("the patch leads into a value that has no parts")


def _rebuild_fields(value: Raw, groups: dict[bytes, list[_Step]], depth: int) -> bytes:
    fields = _FIELDS.decode(value)
    for element, steps in groups.items():
        name = _TEXT.decode(element)
        first = steps[0]
        if len(first.path) > depth:
            if name not in fields:
                raise PatchMisfit(f"the patch changes field {name[:64]!r}, which is not there")
            fields[name] = Raw(_rebuild(fields[name], name, steps, depth))
        elif first.new == _ABSENT:
            fields.pop(name, None)
        else:
            fields[name] = first.new
    return _encode(fields)


def _rebuild_items(value: Raw, field: str, groups: dict[bytes, list[_Step]], depth: int) -> bytes:
    """Take items out by their old places, change what stays, then put items in by their new places, ascending."""
    items: list[Raw | None] = list(_ITEMS.decode(value))
    selectors = selectors_of(field, value)
    places = {selector: index for index, selector in enumerate(selectors or ())}
    added: list[tuple[int, Raw]] = []
    for element, steps in groups.items():
        first = steps[0]
        index = places.get(element, -1) if element[:1] == b"{" else int(element)
        if len(first.path) == depth and first.old == _ABSENT:
            added.append((index if first.at is None else first.at, first.new))
            continue
        item = items[index] if 0 <= index < len(items) else None
        if item is None:
            raise PatchMisfit(f"the patch names list item {element[:64]!r}, which is not there")
        items[index] = (
            None if len(first.path) == depth and first.new == _ABSENT else Raw(_rebuild(item, "", steps, depth))
        )
    kept = [item for item in items if item is not None]
    for index, item in sorted(added, key=lambda it: it[0]):
        kept.insert(index, item)
    return _encode(kept)

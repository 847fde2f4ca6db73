"""
Payment card numbers in a line: by their issuer's prefix and length, how people group them, and the Luhn check.

Times in nanoseconds begin with 1, which no card does; fractions and digests are not looked into.
"""

import re

CARD = b"[scrubbed card]"

CANDIDATE = r"[0-9]([ -]?[0-9]){12}"
"""As many digits in a row as the shortest card number has."""

_RUN = re.compile(rb"[0-9]+(?:[ -][0-9]+)*")
_LENGTHS = (
    (re.compile(rb"4"), (13, 16, 19)),
    (re.compile(rb"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|35"), (16,)),
    (re.compile(rb"3[47]"), (15,)),
    (re.compile(rb"30[0-5]|3[68]"), (14,)),
    (re.compile(rb"6"), (16, 17, 18, 19)),
)
_GROUPED = frozenset(((4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4)))
_DIGEST_BYTES = 32
_WORD = re.compile(rb"[0-9A-Za-z]*")
_HEX = re.compile(rb"[0-9a-fA-F]+")
_DOUBLED = bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9))


def hide_cards(line: bytes) -> bytes:
    """Return *line* with CARD in place of every card number."""
    return _RUN.sub(lambda match: _hidden(line, match.start(), match.group()), line)


def is_card(digits: bytes) -> bool:
    """Tell whether *digits* are a number that a card may have."""
    return any(prefix.match(digits) and len(digits) in lengths for prefix, lengths in _LENGTHS) and _is_luhn(digits)


def _hidden(line: bytes, start: int, run: bytes) -> bytes:
    """Return *run* (digits, grouped by single spaces or dashes) without the card numbers in it."""
    if len(run) < 13:
        return run
    parts = re.split(rb"([ -])", run)
    groups, at, out = parts[::2], 0, b""
    separators = [b"", *parts[1::2]]
    places = [start]
    for group in groups:
        places.append(places[-1] + len(group) + 1)
    while at < len(groups):
        taken = _card_at(groups, separators, at)
        if taken and not (taken == 1 and _is_part_of_another(line, places[at], len(groups[at]))):
            out += separators[at] + CARD
            at += taken
        else:
            out += separators[at] + groups[at]
            at += 1
    return out


def _card_at(groups: list[bytes], separators: list[bytes], at: int) -> int:
    """Return how many groups from *at* on are one card number, 0 for none."""
    if is_card(groups[at]):
        return 1
    for count in (5, 4, 3):
        some = groups[at : at + count]
        if (
            tuple(map(len, some)) in _GROUPED
            and len(set(separators[at + 1 : at + count])) == 1
            and is_card(b"".join(some))
        ):
            return count
    return 0


def _is_part_of_another(line: bytes, start: int, size: int) -> bool:
    """Tell whether the digits are a fraction, or lie within a digest."""
    if start >= 2 and line[start - 1 : start] == b"." and line[start - 2 : start - 1].isdigit():
        return True
    first = start
    while first > 0 and line[first - 1 : first].isalnum() and start - first < 2 * _DIGEST_BYTES:
        first -= 1
    found = _WORD.match(line, first)
    word = found.group() if found is not None else b""
    return len(word) >= _DIGEST_BYTES and len(word) > size and _HEX.fullmatch(word) is not None


def _is_luhn(digits: bytes) -> bool:
    numbers = [digit - 48 for digit in digits]
    return (sum(numbers[-1::-2]) + sum(_DOUBLED[number] for number in numbers[-2::-2])) % 10 == 0

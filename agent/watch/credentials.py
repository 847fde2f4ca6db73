"""
Does a name or a value look like a credential? Pure guesses, on the safe side: not sure means yes.

Specs repeat their strings from pod to pod, so the last answers are remembered.

Three ways to be found: by the name of the key, by a pattern that an issuer gave its tokens, by entropy. Whoever may
write an object writes these strings, a megabyte long if they like, so none of it takes longer than in proportion:
values are searched by RE2 (a URL's form takes Python's engine two seconds for 32 KB of letters), and what the other
patterns try at each place has a longest match.
"""

import math
import re
from collections import Counter
from functools import lru_cache

from kubescribe.lines.credentials import NAMED, PRIVATE_KEY, SCHEMED, TOKENS, URL_PASSWORD
from kubescribe.lines.patterns import compiled

MAX_REMEMBERED_CHARACTERS = 1024
"""Of a string whose answer is remembered: thousands of long ones would be hundreds of megabytes."""

_NAME = re.compile(
    r"pass(wd|word|phrase|code)?(?![a-z])|pwd|secret|token|credential|api[-_.]?key|access[-_.]?key|"
    r"private|signing|encrypt|auth(?!or)|bearer|cookie|session|salt|signature|dsn|conn(ection)?[-_.]?str|"
    r"(^|[-_.])(key|pw|pin|pat|jwt|otp|hmac|cert)s?($|[-_.\d])|(?<=[a-z])Key$|license",
    re.IGNORECASE,
)

_NAME_OF_HASH = re.compile(r"sha|commit|revision|digest|checksum|hash|etag|image|version|build|uid|uuid", re.IGNORECASE)

# Byte by byte: a class that excludes something has to match half a character, too.
_VALUE = compiled("|".join((*TOKENS, PRIVATE_KEY, URL_PASSWORD, SCHEMED, NAMED)).encode(), is_text=False)

_RUN = re.compile(r"[A-Za-z0-9+/_=-]{20,}")
_PIECE = re.compile(r"[A-Za-z0-9+=]{16,}")
_HEX = re.compile(r"[0-9a-fA-F]{32,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


def is_credential_name(name: str) -> bool:
    """Tell whether a key called *name* holds a credential, as far as its name says."""
    return _is_name(name) if len(name) <= MAX_REMEMBERED_CHARACTERS else _NAME.search(name) is not None


def has_credential(value: str) -> bool:
    """Tell whether *value* contains something of the form of a known kind of credential."""
    return _has(value) if len(value) <= MAX_REMEMBERED_CHARACTERS else _is_found_in(value)


@lru_cache(maxsize=8192)
def _is_name(name: str) -> bool:
    return _NAME.search(name) is not None


@lru_cache(maxsize=8192)
def _has(value: str) -> bool:
    return _is_found_in(value)


def _is_found_in(value: str) -> bool:
    return _VALUE.search(value.encode("utf-8", "surrogatepass")) is not None


def is_random(name: str, value: str) -> bool:
    """Tell whether *value* contains what only a generator writes, unless *name* says that it is a checksum or an id."""
    if len(value) < 16:
        return False
    if _HEX.search(value) or _UUID.search(value):
        return _NAME_OF_HASH.search(name) is None
    if any(_is_random_piece(piece) for piece in _PIECE.findall(value)):
        return True
    return any(_is_random_run(run) for run in _RUN.findall(value))


def _is_random_piece(piece: str) -> bool:
    digits = sum(char.isdigit() for char in piece)
    if digits == len(piece) or digits == 0:
        return digits == 0 and len(piece) >= 24 and _is_mixed(piece) and entropy(piece) >= 4.0
    if _is_mixed(piece):
        return entropy(piece) >= 3.2
    return digits >= 4 and len(piece) >= 20 and entropy(piece) >= 3.5


def _is_random_run(run: str) -> bool:
    """Tell it of a run with separators, as base64url has them; words joined by dashes have fewer kinds of letters."""
    return len(run) >= 32 and _is_mixed(run) and any(char.isdigit() for char in run) and entropy(run) >= 4.5


def _is_mixed(text: str) -> bool:
    return any(char.isupper() for char in text) and any(char.islower() for char in text)


def entropy(text: str) -> float:
    """Return the Shannon entropy of *text* in bits a character."""
    size = len(text)
    return -sum(count / size * math.log2(count / size) for count in Counter(text).values())

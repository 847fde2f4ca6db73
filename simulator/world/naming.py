"""Names, hashes and stamps as the real components form them; all randomness comes from the caller's Random."""

import json
import random
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

# k8s.io/apimachinery/pkg/util/rand: no vowels, so that no word forms; no 0, 1, 3, which look like letters.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def suffix(rng: random.Random, length: int = 5) -> str:
    """Return the random end of a generated name."""
    return "".join(rng.choices(_ALPHABET, k=length))


def safe_encoded(text: str) -> str:
    """Map each character into the alphabet of generated names (rand.SafeEncodeString)."""
    return "".join(_ALPHABET[ord(char) % len(_ALPHABET)] for char in text)


def template_hash(template: Mapping[str, Any]) -> str:
    """
    Return a pod-template-hash: a checksum of the template, as decimal digits, safely encoded.

    The real one is an FNV hash of a Go dump of the struct, so the digits differ; form and stability are the same.
    """
    return safe_encoded(str(zlib.crc32(json.dumps(template, sort_keys=True, separators=(",", ":")).encode())))


def hexadecimal(rng: random.Random, digits: int) -> str:
    """Return *digits* random hexadecimal digits."""
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


def uuid(rng: random.Random) -> str:
    """Return a random identifier in the form of a version 4 UUID."""
    digits = hexadecimal(rng, 32)
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def stamp(seconds: float) -> str:
    """Return metav1.Time: RFC 3339 in whole seconds, UTC."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_stamp(seconds: float) -> str:
    """Return metav1.MicroTime: RFC 3339 with six digits, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_stamp(text: str) -> float:
    """Return the seconds since 1970 of a metav1.Time."""
    return datetime.fromisoformat(text).timestamp()

"""
Who may speak to us: a file of static tokens, read again when it changes, and where a request carries one.

Without a token file nothing is asked for, and then listeners bind to loopback only.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

import structlog

_MAX_FILE_BYTES = 2**20
_LOOK_SECONDS = 1.0

_log = structlog.get_logger()


class TokenFileUnusable(Exception):
    """The token file cannot be read or holds no token; the message names it and says what to do."""


class Tokens:
    """
    The tokens of one file: one on each line, or `name:token`; empty lines and those that start with # do not count.

    The file is looked at most once a second, and read when it changed. A file that has become unusable leaves the
    tokens as they were: losing everybody's access is not what a half-written file should do.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._looked_at = clock()
        self._stamp = self._stamp_now()
        self._tokens = _read(path)

    def name_of(self, token: str) -> str | None:
        """Return the name that *token* stands under, "" for a nameless one, None when it is not among ours."""
        self._look()
        digest = hashlib.sha256(token.encode()).digest()
        found: str | None = None
        # Every token is compared, in constant time: how long it takes tells nothing.
        for known, name in self._tokens:
            if hmac.compare_digest(known, digest):
                found = name
        return found

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._tokens = _read(self._path)
        except TokenFileUnusable as error:
            _log.warning("tokens.reread_failed", error=str(error))
        else:
            _log.info("tokens.reread", count=len(self._tokens))

    def _stamp_now(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_size, found.st_ino)


def _read(path: Path) -> list[tuple[bytes, str]]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise TokenFileUnusable(f"token file {path}: {error.strerror}; give a readable file") from error
    if len(data) > _MAX_FILE_BYTES:
        raise TokenFileUnusable(f"token file {path}: larger than {_MAX_FILE_BYTES} bytes")
    tokens = []
    for line in data.decode(errors="replace").splitlines():
        entry = line.strip()
        if entry and not entry.startswith("#"):
            name, colon, token = entry.partition(":")
            tokens.append((hashlib.sha256((token if colon else name).strip().encode()).digest(), name if colon else ""))
    if not tokens:
        raise TokenFileUnusable(f"token file {path}: holds no token; write one on each line, or name:token")
    return tokens


def token_of(authorization: str, *, takes_basic: bool) -> str:
    """
    Return the token that an Authorization header presents, "" for a header that presents none.

    With *takes_basic* also the password of basic authentication, whatever the user: not every shipper can do the other.
    """
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if takes_basic and scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return ""

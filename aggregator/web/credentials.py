"""
Who may speak to us: a file of static tokens, read again when it changes.

Without a token file nothing is asked for, and then listeners bind to loopback only: the settings ask `is_loopback`.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

BEARER_SUBPROTOCOL = "kubescribe.bearer."
"""A browser can set no header on a websocket; it offers its token as a subprotocol, base64url without padding."""

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


def bearer_of(authorization: str | None, subprotocols: Iterable[str]) -> str | None:
    """Return the token that a request presents in its header or as a subprotocol, None when it presents none."""
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""
    for offered in subprotocols:
        if offered.startswith(BEARER_SUBPROTOCOL):
            text = offered.removeprefix(BEARER_SUBPROTOCOL)
            try:
                return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            except (binascii.Error, ValueError):
                return ""
    return None


def is_loopback(host: str) -> bool:
    """Tell whether *host* (a name or an address, as in HOST:PORT) is reached from this machine only."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

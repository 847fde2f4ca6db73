"""Who we are to Loki: the header of basic or bearer authentication, from files that are read anew when they change."""

import base64
from pathlib import Path

from kubescribe.loki.config import LokiConfig
from kubescribe.loki.errors import CredentialsUnusable

_MAX_BYTES = 64 * 1024
"""No token is larger; a header of this size is refused everywhere."""


class SecretFile:
    """The content of one file without the white space around it; looked at each time, read when it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._content = ""

    def read(self) -> str:
        """Return the content. Raises CredentialsUnusable with a line that names the file."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                with self._path.open("rb") as file:
                    self._content = file.read(_MAX_BYTES).decode().strip()
                self._stamp = stamp
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise CredentialsUnusable(f"{self._path}: {reason}; give a readable file") from error
        if not self._content or not self._content.isprintable():
            raise CredentialsUnusable(f"{self._path}: empty or more than one line; write the secret alone into it")
        return self._content


class Credentials:
    """The headers that prove who sends; a bearer token goes before a password where both are given."""

    def __init__(self, config: LokiConfig) -> None:
        self._username = config.username
        self._password = SecretFile(config.password_file) if config.password_file else None
        self._bearer = SecretFile(config.bearer_token_file) if config.bearer_token_file else None

    def headers(self) -> dict[str, str]:
        """Return them as the files are now. Raises CredentialsUnusable."""
        if self._bearer is not None:
            return {"Authorization": f"Bearer {self._bearer.read()}"}
        if self._username or self._password is not None:
            password = self._password.read() if self._password is not None else ""
            both = f"{self._username}:{password}".encode()
            return {"Authorization": f"Basic {base64.b64encode(both).decode()}"}
        return {}

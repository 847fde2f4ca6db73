"""
The redaction key, once it is there: an agent that was never welcomed has none and must not let anything out.

The key comes from the journal in the first Welcome and is kept beside the spool by the app.
"""

import asyncio

from agent.watch.redaction import Mode, Redactor


class Keyring:
    """Shared by the watchers of a process; gives each a redactor of its own kind of mode."""

    def __init__(self, mode: Mode = "balanced", key: bytes = b"") -> None:
        self._mode: Mode = mode
        self._redactor: Redactor | None = None
        self._came = asyncio.Event()
        if key:
            self.provide(key)

    def provide(self, key: bytes) -> None:
        """Take the key of a Welcome. A key once there stays for the life of the process: hashes must be comparable."""
        if self._redactor is None:
            self._redactor = Redactor(key, self._mode)
            self._came.set()

    @property
    def has_key(self) -> bool:
        """Tell whether the key is there."""
        return self._redactor is not None

    async def wait(self) -> None:
        """Wait until the key is there."""
        await self._came.wait()

    @property
    def redactor(self) -> Redactor:
        """The redactor, shared so that its memory of specs is too. Raises RuntimeError before the key is there."""
        if self._redactor is None:
            raise RuntimeError("the redaction key has not come yet")
        return self._redactor

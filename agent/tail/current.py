"""The file of an instance that is read now, and how far."""

from dataclasses import dataclass

from agent.tail.generations import Generation, GenerationFile


@dataclass(slots=True, kw_only=True)
class Current:
    """
    `offset` is where `fragment`, the beginning of a line whose end is not there, begins; `seen` is how long it was.

    When it `is_done`, nothing more will be read of it.
    """

    generation: Generation
    file: GenerationFile
    inode: tuple[int, int]
    order: int
    offset: int
    fragment: bytes = b""
    seen: int = 0
    is_done: bool = False

    @property
    def read_to(self) -> int:
        """Up to where it was read, its fragment included."""
        return self.offset + len(self.fragment)

    def finish(self) -> None:
        """Let go of it, read or not."""
        self.fragment = b""
        self.is_done = True
        self.file.close()

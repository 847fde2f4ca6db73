"""The file of an instance that is open and being read, and how far."""

from dataclasses import dataclass

from agent.tail.generations import Generation, GenerationFile


@dataclass(slots=True, kw_only=True)
class Current:
    """The file that is read; `offset` is where `fragment`, the beginning of a line whose end is not there, begins."""

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
        """The byte up to which it is read."""
        return self.offset + len(self.fragment)

"""Whose answer a request gets: the files', where there is a folder of logs, else the API server's."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from agent.kube.session import ApiSession
from agent.lines.answering import LineReader
from agent.lines.counting import LineNumbers
from agent.lines.served import ServedLines
from kubescribe.lines.scrubbing import Scrubber


class FilesOrServer:
    """Decides at each request: a folder may come later than the agent."""

    def __init__(self, folder: Path, files: LineReader, server: ServedLines) -> None:
        self._folder = folder
        self._files = files
        self._server = server

    @property
    def numbers(self) -> LineNumbers:
        """What both count."""
        return self._files.numbers

    def handle(self, arguments: bytes) -> AsyncIterator[bytes]:
        """Answer one request."""
        answerer = self._files if self._folder.is_dir() else self._server
        return answerer.handle(arguments)


@contextmanager
def open_lines(
    folder: Path, scrub: Sequence[str], session: ApiSession, *, scope: str
) -> Iterator[LineReader | FilesOrServer | None]:
    """
    Yield what answers requests for lines to an agent of *scope*, with the own patterns *scrub*; the block owns threads.

    A cluster agent has no node whose files to read. One that stands for every node, on a machine that is none of them,
    asks the API server.
    """
    if scope == "cluster":
        yield None
        return
    scrubber = Scrubber(scrub)
    with closing(LineReader(folder, scrubber)) as files:
        if scope == "node":
            yield files
        else:
            yield FilesOrServer(folder, files, ServedLines(session, scrubber, files.numbers))

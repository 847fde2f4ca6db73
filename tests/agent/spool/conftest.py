"""Small spools in temporary folders, and records to put into them."""

import random

import pytest

from agent.spool.limits import SpoolLimits
from agent.spool.marks import StreamMark
from agent.spool.spool import Spool
from kubescribe.runtime.room import Room
from kubescribe.wire.codec import decode_records
from kubescribe.wire.records import Change


class Kit:
    """What the tests of the spool do again and again."""

    limits = SpoolLimits(linger_seconds=0.0005, idle_linger_seconds=0.001, retry_seconds=0.01)

    @staticmethod
    def change(version, *, stream="pods/node=a", size=20):
        body = random.Random(version).randbytes(size)
        return Change(
            stream=stream,
            term=1,
            kind="Pod",
            name="web",
            uid="u",
            resource_version=version,
            observed_at=1_000 + version,
            body=body,
        )

    @staticmethod
    def mark(version, *, stream="pods/node=a"):
        return StreamMark(stream=stream, resource_version=version, term=1, seen_at=1_000 + version)

    async def open(self, path, *, limits=None, room=None, boot="boot-1"):
        enough = lambda _: Room(1.0, 1.0)  # noqa: E731
        return await Spool.open(path, agent="node-a", limits=limits or self.limits, room=room or enough, boot=boot)

    async def put(self, spool, versions, *, size=20, stream="pods/node=a"):
        """Put each version as a frame of its own."""
        for version in versions:
            await spool.put([self.change(version, size=size, stream=stream)], self.mark(version, stream=stream))
            await spool.flush()

    async def records(self, spool, after=0):
        return [record for frame in await self.frames(spool, after) for record in decode_records(frame.batch)]

    @staticmethod
    async def frames(spool, after=0):
        found = []
        while spool.last_n > after:
            found += await spool.read_after(after)
            after = found[-1].n
        return found


@pytest.fixture
def kit():
    return Kit()

"""A pipeline over each store, and an agent's records in a few words."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from aggregator.ingest.ledger import Ledger
from aggregator.ingest.pipeline import Committed, Pipeline
from aggregator.records import JournalState, RecordQuery
from aggregator.store.opening import open_journal
from kubescribe.wire.link import Claim, StreamClaim
from tests.aggregator.ingest.house import Clock


def a_ledger(**state) -> Ledger:
    """Return the ledger of a journal that knows its cluster and nothing else, or what *state* says."""
    return Ledger.of(JournalState(journal_id="j", redaction_key=b"k", cluster_uid="c", cluster="c", **state))


@dataclass
class Scribe:
    """One agent with one spool, as the link would speak for it."""

    pipeline: Pipeline
    spool: str = "spool-a"
    n: int = 0
    committed: list[Committed] = field(default_factory=list)

    async def claim(self, *streams: str, kind: str = "Pod"):
        claims = tuple(StreamClaim(name=name, kind=kind) for name in streams)
        return (await self.pipeline.claim(self.spool, Claim(streams=claims))).streams

    async def send(self, *records) -> int:
        self.n += 1
        return await (await self.pipeline.submit(self.spool, self.n, list(records)))

    def other(self, spool: str) -> "Scribe":
        return Scribe(self.pipeline, spool)


@asynccontextmanager
async def writing(journal, committed: list):
    """Run a pipeline over *journal* for the length of the block."""
    state = await journal.open()
    pipeline = Pipeline(journal, state, now_ns=Clock(), on_committed=committed.append)
    task = asyncio.create_task(pipeline.run(), name="pipeline")
    try:
        yield pipeline
    finally:
        await pipeline.stop()
        await task
        await journal.close()


@pytest.fixture(params=["memory", "sqlite"])
def url(request, tmp_path):
    return "memory:" if request.param == "memory" else str(tmp_path / "journal.db")


@pytest.fixture
async def journal(url):
    return open_journal(url)


@pytest.fixture
async def scribe(journal):
    committed: list[Committed] = []
    async with writing(journal, committed) as pipeline:
        yield Scribe(pipeline, committed=committed)


@pytest.fixture
def versions(journal):
    """Return the stored (epoch, resourceVersion, verb) of an object, in the order of its history."""

    async def read(uid: str):
        import msgspec

        items: list[dict] = []
        place: int | None = 0
        # A read on a busy machine may end early, with a page that another follows.
        while place is not None:
            page = await journal.history(uid, RecordQuery(after=place, limit=1000, ascending=True))
            items += [msgspec.json.decode(item) for item in page.items] if page else []
            place = page.last if page else None
        return [(item["epoch"], int(item["resourceVersion"]), item["verb"]) for item in items]

    return read


@pytest.fixture
def reopen():
    """Return a context of a scribe over the journal of a URL, opened anew each time."""

    @asynccontextmanager
    async def opened(url: str):
        async with writing(open_journal(url), []) as pipeline:
            yield Scribe(pipeline)

    return opened

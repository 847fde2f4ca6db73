"""A feed from before the horizon of a real journal tells its gap, and then all that is left above it."""

from contextlib import nullcontext

import pytest

from aggregator.outlets.catchup import Origin
from aggregator.store.opening import open_journal
from tests.aggregator.store.story import Story


@pytest.fixture(params=["memory:", "journal.db"])
async def journal(request, tmp_path):
    store = open_journal(request.param if request.param == "memory:" else str(tmp_path / request.param))
    await store.open()
    yield store
    await store.close()


async def test_a_feed_from_before_the_horizon_tells_a_gap(journal, bench_of, feed, subscribe, until):
    story = Story()
    for rv in range(1, 10):
        story.pod("web-1", rv)
        await journal.commit(story.take())
    await journal.prune(before=1_006_000, max_bytes=0, step=100, forgetting=lambda _: nullcontext())
    bench = bench_of()
    bench.journal = journal
    bench.seq = 9
    bench.make_hub()
    feed(bench.hub.run())

    for origin, start in ((Origin(seq=2), 2), (Origin(time=1_001_500), None)):
        client, wire = bench.client()
        subscribe(bench, client, origin=origin)
        await until(lambda wire=wire: wire.seqs()[-3:] == [7, 8, 9])
        gap = wire.messages()[0]
        assert (gap["type"], gap["cause"], gap["fromSeq"], gap["toSeq"]) == ("gap", "retention", start, 6)
    client, wire = bench.client()
    subscribe(bench, client, origin=Origin(seq=6))
    await until(lambda: wire.seqs() == [7, 8, 9])
    assert all(message["type"] != "gap" for message in wire.messages())

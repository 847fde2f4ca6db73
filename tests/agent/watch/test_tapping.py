"""What a part of the agent needs to know of a record is kept before the record counts as seen."""

from agent.spool.marks import StreamMark
from agent.watch.tapping import TappedSink
from kubescribe.wire.records import Change, Progress

CHANGE = Change(
    stream="pods",
    term=1,
    kind="Pod",
    name="web",
    namespace="shop",
    uid="u",
    resource_version=1,
    observed_at=1,
    gone=False,
    body=b"{}",
)
PROGRESS = Progress(stream="pods", term=1, resource_version=2, observed_at=2)


async def test_what_was_learned_of_a_change_is_kept_before_the_mark_moves() -> None:
    order: list[object] = []

    class Spool:
        async def put(self, records: object, mark: object) -> None:
            order.append(("put", records, mark))

    class Learner:
        def observe(self, change: Change) -> None:
            order.append(change)

        def pass_mark(self, stream: str, *, is_listing: bool) -> None:
            order.append((stream, is_listing))

    async def keep() -> None:
        order.append("keep")

    mark = StreamMark(stream="pods", resource_version=2, listing=True)

    await TappedSink(Spool(), Learner(), keep).put([CHANGE, PROGRESS], mark)

    assert order == [CHANGE, ("pods", True), "keep", ("put", [CHANGE, PROGRESS], mark)]

"""Retention runs by itself: small steps while something is due, then rest, and no end with a disk that fails."""

import asyncio
from contextlib import nullcontext

from aggregator.errors import StoreUnavailable
from aggregator.store.base import Pruned
from aggregator.store.retention import Retention

NS = 1_000_000_000


class Script:
    """Answers `prune` with what it was given, and ends the run when that is used up."""

    def __init__(self, *answers: Pruned | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[int, int, int]] = []
        self.slept: list[float] = []
        self.counted: list[int] = []

    async def prune(self, *, before, max_bytes, step, forgetting):  # noqa: ARG002 - as Journal.prune
        self.asked.append((before, max_bytes, step))
        if not self.answers:
            raise asyncio.CancelledError
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def run(self) -> None:
        retention = Retention(
            self,
            age_seconds=100.0,
            max_bytes=7,
            now_ns=lambda: 1000 * NS,
            forgetting=lambda _: nullcontext(),
            on_pruned=lambda done: self.counted.append(done.records),
            sleep=self.sleep,
        )
        await asyncio.gather(retention.run(), return_exceptions=True)


def pruned(records: int, *, more: bool, seconds: float = 0.02) -> Pruned:
    return Pruned(records=records, horizon_seq=1, horizon_at=1, more=more, seconds=seconds)


async def test_steps_follow_each_other_with_pauses_until_nothing_is_due():
    script = Script(pruned(9, more=True), pruned(4, more=False), pruned(0, more=False))

    await script.run()

    assert {asked[:2] for asked in script.asked} == {(900 * NS, 7)}
    assert script.slept == [0.02, 60.0, 60.0]
    assert script.counted == [9, 4, 0]


async def test_a_step_is_as_large_as_the_disk_is_fast():
    quick, slow = pruned(9, more=True, seconds=0.001), pruned(9, more=True, seconds=0.4)
    script = Script(*[quick] * 4, *[slow] * 9)

    await script.run()

    steps = [step for _, _, step in script.asked]
    assert steps[:5] == [250, 500, 1000, 1000, 1000]
    assert steps[-1] == 10
    # Commits get as much time as a step took.
    assert script.slept[-1] == 0.4


async def test_a_disk_that_does_not_serve_is_tried_again_in_a_minute_with_little():
    script = Script(StoreUnavailable("disk full"), pruned(3, more=False))

    await script.run()

    assert script.slept == [60.0, 60.0]
    assert [step for _, _, step in script.asked][1] == 10

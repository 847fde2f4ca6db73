"""Parts run together, end in order, and none is waited for for ever."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

import pytest

from kubescribe.runtime.errors import PartEnded, StopTimedOut
from kubescribe.runtime.tasks import Part, run_parts, run_until


class Recorder:
    """Parts that tell when they ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def part(self, name: str) -> Part:
        """Run until cancelled."""

        async def run() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.append(name)

        return Part(name=name, run=run)

    def draining(self, name: str) -> Part:
        """Run until asked, then finish by itself."""
        asked = asyncio.Event()

        async def run() -> None:
            await asked.wait()
            await asyncio.sleep(0.01)
            self.ended.append(name)

        async def stop() -> None:
            asked.set()

        return Part(name=name, run=run, stop=stop)


def failing(name: str, error: Exception | None) -> Part:
    async def run() -> None:
        await asyncio.sleep(0)
        if error is not None:
            raise error

    return Part(name=name, run=run)


def stubborn(name: str, release: asyncio.Event) -> Part:
    async def run() -> None:
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()

    return Part(name=name, run=run)


async def stopped_soon(run: Coroutine[None, None, None], stop: asyncio.Event) -> None:
    asyncio.get_running_loop().call_later(0.02, stop.set)
    async with asyncio.timeout(10):
        await run


async def test_a_stop_ends_the_parts_in_order_sources_first() -> None:
    recorder, stop = Recorder(), asyncio.Event()
    parts = [recorder.part("watch"), recorder.draining("spool"), recorder.part("link"), recorder.part("web")]

    await stopped_soon(run_parts(stop, parts), stop)

    assert recorder.ended == ["watch", "spool", "link", "web"]


async def test_a_part_that_fails_stops_the_others_and_its_error_is_raised() -> None:
    recorder = Recorder()

    with pytest.raises(ZeroDivisionError):
        await run_parts(
            asyncio.Event(), [recorder.part("a"), failing("b", ZeroDivisionError()), recorder.draining("c")]
        )

    assert recorder.ended == ["a", "c"]


async def test_a_part_that_returns_is_an_error() -> None:
    recorder = Recorder()

    with pytest.raises(PartEnded, match="quiet"):
        await run_parts(asyncio.Event(), [recorder.part("a"), failing("quiet", None)])

    assert recorder.ended == ["a"]


async def test_a_part_that_cancels_itself_is_an_error() -> None:
    async def run() -> None:
        raise asyncio.CancelledError

    with pytest.raises(PartEnded, match="odd"):
        await run_parts(asyncio.Event(), [Part(name="odd", run=run)])


async def test_several_failures_are_all_told() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await run_parts(asyncio.Event(), [failing("a", ValueError()), failing("b", KeyError())])

    assert {type(error) for error in caught.value.exceptions} == {ValueError, KeyError}


async def test_a_stuck_part_is_named_and_the_others_still_end() -> None:
    recorder, stop, release = Recorder(), asyncio.Event(), asyncio.Event()
    parts = [recorder.part("watch"), stubborn("stuck", release), recorder.part("web")]

    with pytest.raises(StopTimedOut) as caught:
        await stopped_soon(run_parts(stop, parts, stop_seconds=0.05), stop)

    # What had no turn before the deadline is cut off too, and said.
    assert caught.value.names[0] == "stuck"
    assert recorder.ended == ["watch", "web"]
    release.set()
    await asyncio.sleep(0.01)


async def test_a_part_whose_stop_fails_does_not_keep_the_others_running() -> None:
    recorder, stop = Recorder(), asyncio.Event()

    async def refuse() -> None:
        raise OSError("disk")

    parts = [Part(name="spool", run=recorder.part("spool").run, stop=refuse), recorder.part("link")]

    with pytest.raises(OSError, match="disk"):
        await stopped_soon(run_parts(stop, parts), stop)

    assert recorder.ended == ["spool", "link"]


async def test_a_cancelled_run_takes_its_parts_with_it() -> None:
    recorder = Recorder()
    task = asyncio.create_task(run_parts(asyncio.Event(), [recorder.part("a"), recorder.draining("b")]))
    await asyncio.sleep(0.01)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert recorder.ended == ["a"]


async def test_two_parts_of_one_name_are_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="same name"):
        await run_parts(asyncio.Event(), [failing("a", None), failing("a", None)])


async def test_work_runs_until_its_end_comes() -> None:
    end, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            end.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    await run_until(end.wait(), work())

    assert ended.is_set()


async def test_work_that_fails_before_its_end_is_told() -> None:
    async def work() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await run_until(asyncio.Event().wait(), work())


async def test_work_is_cancelled_with_who_waits_for_it() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(run_until(asyncio.Event().wait(), work()))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert ended.is_set()

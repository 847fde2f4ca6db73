"""A worker does what it is given in order, tells how it went, and holds nothing when it has nothing to do."""

import asyncio
import threading
import weakref
from functools import partial

import pytest

from kubescribe.runtime.worker import Worker


async def test_jobs_are_done_one_after_the_other_in_a_thread_of_that_name():
    seen = []
    with Worker("disk") as worker:
        jobs = [worker.run(partial(seen.append, n)) for n in range(5)]
        assert await worker.run(lambda: threading.current_thread().name) == "disk"
        assert await asyncio.gather(*jobs) == [None] * 5

    assert seen == [0, 1, 2, 3, 4]


async def test_what_a_job_raises_is_raised_where_it_is_awaited_and_the_next_one_is_done():
    with Worker("disk") as worker:
        failing, next_one = worker.run(lambda: 1 / 0), worker.run(lambda: 2)
        with pytest.raises(ZeroDivisionError):
            await failing
        assert await next_one == 2


async def test_a_stop_iteration_is_told_too_though_no_future_holds_one():
    with Worker("disk") as worker, pytest.raises(RuntimeError) as caught:
        async with asyncio.timeout(5):
            await worker.run(lambda: next(iter(())))

    assert isinstance(caught.value.__cause__, StopIteration)


async def test_a_job_that_is_cancelled_before_its_turn_is_left_out_and_a_later_one_tells_nobody():
    going, done = threading.Event(), []
    with Worker("disk") as worker:
        first, second = worker.run(lambda: going.wait(10)), worker.run(lambda: done.append(2))
        third = worker.run(lambda: done.append(3))
        second.cancel()
        first.cancel()
        going.set()
        await third

    assert done == [3]


async def test_what_was_given_is_done_at_the_end_and_nothing_is_taken_after_it():
    done = []
    with Worker("disk") as worker:
        for n in range(3):
            worker.run(partial(done.append, n))

    assert done == [0, 1, 2]
    with pytest.raises(RuntimeError, match="disk takes no job"):
        worker.run(lambda: None)


async def test_it_holds_nothing_of_what_it_has_done():
    class Body:
        def __call__(self):
            return None

    body = Body()
    gone = weakref.ref(body)
    with Worker("disk") as worker:
        done = worker.run(body)
        await done
        del body, done
        async with asyncio.timeout(10):
            while gone() is not None:
                await asyncio.sleep(0)


def test_a_loop_that_was_closed_meanwhile_stops_no_worker():
    going = threading.Event()

    async def give(job):
        return worker.run(job)

    async def ask():
        return await worker.run(lambda: 5)

    with Worker("disk") as worker:
        asyncio.run(give(lambda: going.wait(10)))
        going.set()
        assert asyncio.run(ask()) == 5

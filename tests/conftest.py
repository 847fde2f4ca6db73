"""
Guards for every test: no task and no thread outlives it, and nothing of this machine's environment reaches it.

Leaked sockets and files show as warnings, which are errors. Guards only; what tests share lies nearer to them.
"""

import asyncio
import inspect
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest
import pytest_asyncio
import structlog

# How long an example takes says how busy the machine is, and nothing of what is tested.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

THREAD_SECONDS = 2.0
"""A thread that was told to end may still be ending, on a busy machine."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("KUBESCRIBE_", "KUBERNETES_")) or name == "KUBECONFIG":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def fresh_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + THREAD_SECONDS
    left = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in left:
        thread.join(max(0.0, deadline - time.monotonic()))
    living = sorted(thread.name for thread in left if thread.is_alive())
    if living:
        pytest.fail(f"threads left running, which keep a process from ending: {living}")


@pytest_asyncio.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    # Two turns: one for what was cancelled to see it, one for what waited on that.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    own = asyncio.current_task()
    left = {task for task in asyncio.all_tasks() - before if not task.done() and task is not own}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=1)
        pytest.fail(f"tasks left running: {sorted(task.get_name() for task in left)}")


@pytest.fixture(autouse=True)
def guard_tasks(request: pytest.FixtureRequest, no_leaked_threads: None) -> None:
    """Only for coroutines: a test that is none has no loop, and may start one of its own."""
    function = getattr(request.function, "hypothesis", None)
    inner = getattr(function, "inner_test", request.function)
    if inspect.iscoroutinefunction(inner):
        request.getfixturevalue("no_leaked_tasks")


LONGEST_FIRST = (
    "tests/chaos/test_faults.py",
    "tests/chaos/",
    "tests/project/test_dockerfile.py",
    "tests/monitoring/test_contract.py",
    "tests/monitoring/",
    "tests/e2e/",
)
"""What takes a minute or half of one. Of several processes one must not begin with it when the others are done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((n for n, place in enumerate(LONGEST_FIRST) if item.nodeid.startswith(place)), len(LONGEST_FIRST))

    items.sort(key=rank)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End although a failed test left a thread that would keep the interpreter: aiosqlite's are no daemons."""
    left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]:
        sys.stdout.write(f"ended in spite of threads left running: {left}\n")
        sys.stdout.flush()
        os._exit(int(getattr(config, "stash", {}).get(_EXIT, 1)))


_EXIT = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_EXIT] = max(int(exitstatus), 1)

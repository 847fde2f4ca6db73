"""An agent that starts while the API server is away knows its pods."""

import asyncio
from pathlib import Path

from agent.pods.book import PodBook
from agent.pods.keeping import BookKeeper
from kubescribe.wire.records import Change


def pod(uid: str, *, gone: bool = False) -> Change:
    body = b'{"metadata":{"name":"web","uid":"%s","namespace":"shop","labels":{"app":"web"}}}' % uid.encode()
    return Change(
        stream="pods",
        term=1,
        kind="Pod",
        name="web",
        namespace="shop",
        uid=uid,
        resource_version=1,
        observed_at=1,
        gone=gone,
        body=body,
    )


async def life(path: Path, *changes: Change, now: int = 10**18) -> PodBook:
    book = PodBook(now_ns=lambda: now)
    keeper = BookKeeper(book, path)
    await keeper.open()
    running = asyncio.create_task(keeper.run())
    for change in changes:
        book.observe(change)
    if changes:
        book.welcome({"n1": "z-1"})
    await keeper.stop()
    await running
    return book


async def test_what_was_known_is_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "data" / "pods"
    before = await life(path, pod("u-1"), pod("u-2"), pod("u-2", gone=True))

    after = await life(path)

    assert after.of_uid("u-1") == before.of_uid("u-1")
    assert after.of_uid("u-2") is not None
    assert after.zone_of("n1") == "z-1"
    assert after.zone_of("n2") == ""


async def test_the_dead_are_forgotten_after_a_day_also_across_restarts(tmp_path: Path) -> None:
    path = tmp_path / "pods"
    await life(path, pod("u-1"), pod("u-1", gone=True))
    await life(path, now=10**18 + 25 * 3600 * 10**9)

    assert (await life(path)).of_uid("u-1") is None


async def test_a_file_that_a_crash_tore_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "pods"
    await life(path, pod("u-1"))
    with path.open("ab") as file:
        file.write(b"00000000 {torn")

    assert (await life(path)).of_uid("u-1") is not None


async def test_a_book_without_a_pod_says_that_it_has_to_be_told_of_them_all(tmp_path: Path) -> None:
    path = tmp_path / "book"
    first = BookKeeper(PodBook(now_ns=lambda: 10**18), path)
    await first.open()
    await first.stop()
    await first.run()
    await life(path, pod("u-1"))
    second = BookKeeper(PodBook(now_ns=lambda: 10**18), path)
    await second.open()
    await second.stop()
    await second.run()

    assert (first.is_new, second.is_new) == (True, False)

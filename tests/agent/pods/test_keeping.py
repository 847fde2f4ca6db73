"""An agent that starts while the API server is away knows its pods."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.pods.book import PodBook
from agent.pods.keeping import BookKeeper, forget_book
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


@asynccontextmanager
async def kept(path: Path) -> AsyncIterator[PodBook]:
    """Keep a book in *path* while the block runs."""
    book = PodBook(now_ns=lambda: 10**18)
    keeper = BookKeeper(book, path)
    await keeper.open()
    running = asyncio.create_task(keeper.run())
    yield book
    await keeper.stop()
    await running


async def test_what_was_known_is_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "data" / "pods"
    before = await life(path, pod("u-1"), pod("u-2"), pod("u-2", gone=True))

    after = await life(path)

    assert after.of_uid("u-1") == before.of_uid("u-1")
    assert after.of_uid("u-2") is not None
    assert after.zone_of("n1") == "z-1"
    assert not after.is_zone_coming("n2")


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


async def test_a_stream_whose_list_ended_is_whole_also_in_the_next_life(tmp_path: Path) -> None:
    path = tmp_path / "book"
    async with kept(path) as book:
        book.pass_mark("pods/node=n1", is_listing=True)
        book.observe(pod("u-1"))
        assert book.whole == set()
        book.pass_mark("pods/node=n1", is_listing=False)
    async with kept(path) as book:
        assert book.whole == {"pods/node=n1"}
        # Where the next list is cut off, the stream's own mark says so.
        book.pass_mark("pods/node=n1", is_listing=True)
        book.observe(pod("u-2"))

    async with kept(path) as book:
        assert book.whole == {"pods/node=n1"}


async def test_a_stream_is_not_whole_by_a_change_or_by_a_list_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "book"
    async with kept(path) as book:
        book.observe(pod("u-1"))
        book.pass_mark("pods/node=n1", is_listing=False)
        book.pass_mark("nodes", is_listing=True)
        book.pass_mark("nodes", is_listing=False)
        book.pass_mark("pods/node=n2", is_listing=True)

    async with kept(path) as book:
        assert (book.of_uid("u-1") is not None, book.whole) == (True, set())


async def test_a_book_that_nobody_keeps_is_not_believed_by_the_next_who_does(tmp_path: Path) -> None:
    path = tmp_path / "book"
    async with kept(path) as book:
        book.pass_mark("pods", is_listing=True)
        book.pass_mark("pods", is_listing=False)

    await forget_book(path)
    await forget_book(path)

    async with kept(path) as book:
        assert book.whole == set()


async def test_who_finds_nothing_new_waits_for_what_another_is_writing(tmp_path: Path) -> None:
    book = PodBook(now_ns=lambda: 10**18)
    keeper = BookKeeper(book, tmp_path / "book")
    await keeper.open()
    book.observe(pod("u-1"))

    first, second = asyncio.create_task(keeper.save()), asyncio.create_task(keeper.save())
    await second

    assert first.done()
    await keeper.stop()
    await keeper.run()

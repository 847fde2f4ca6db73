"""Containers are found from the folders alone."""

import itertools
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.tail.discovery import Discovery, Finds
from agent.tail.inotify import Inotify

UID = "2f5a3c1e-8f7d-4b6a-9c0d-1e2f3a4b5c6d"
POD = f"shop_web-0_{UID}"


def make(folder: Path, name: str, *, text: str = "x") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def told(finds):
    for found in finds.found:
        for opened in found.opened:
            os.close(opened.descriptor)
    return {(each.pod.pod, each.container, tuple(sorted(each.restarts))) for each in finds.found}


def test_containers_and_their_restarts_are_found_and_told_when_they_change(tmp_path: Path) -> None:
    make(tmp_path, f"{POD}/app/0.log")
    make(tmp_path, f"{POD}/app/1.log")
    make(tmp_path, f"{POD}/init/0.log.20260102-030405.gz")
    make(tmp_path, "lost+found/x/0.log")
    make(tmp_path, "abc.log")
    discovery = Discovery(tmp_path, None)

    assert told(discovery.look_everywhere()) == {("web-0", "app", (0, 1)), ("web-0", "init", (0,))}
    assert told(discovery.look_everywhere()) == set()
    make(tmp_path, f"{POD}/app/2.log")
    assert told(discovery.look_everywhere()) == {("web-0", "app", (0, 1, 2))}


def test_a_folder_that_is_gone_is_told_once(tmp_path: Path) -> None:
    make(tmp_path, f"{POD}/app/0.log")
    discovery = Discovery(tmp_path, None)
    discovery.look_everywhere()
    (tmp_path / POD / "app" / "0.log").unlink()
    (tmp_path / POD / "app").rmdir()
    (tmp_path / POD).rmdir()

    assert told(discovery.look_everywhere()) == {("web-0", "app", ())}
    assert told(discovery.look_everywhere()) == set()


def test_without_inotify_the_numbers_tell_of_instances_that_came_and_went(tmp_path: Path) -> None:
    make(tmp_path, f"{POD}/app/0.log")
    discovery = Discovery(tmp_path, None)
    told(discovery.look_everywhere())
    make(tmp_path, f"{POD}/app/2.log")
    assert missed(discovery.look_everywhere()) == [("web-0", "app", 1)]
    make(tmp_path, f"{POD}/app/3.log")
    (tmp_path / POD / "app" / "0.log").unlink()
    assert missed(discovery.look_everywhere()) == []
    make(tmp_path, f"{POD}/app/9.log")

    # One stands for all of them.
    assert missed(discovery.look_everywhere()) == [("web-0", "app", 8)]


def test_what_cannot_be_listed_for_now_is_not_gone(tmp_path: Path) -> None:
    make(tmp_path, f"{POD}/app/0.log")
    discovery = Discovery(tmp_path, None)
    told(discovery.look_everywhere())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        assert told(discovery.look_everywhere()) == set()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert told(discovery.look_everywhere()) == set()
    remove(tmp_path / POD)
    assert told(discovery.look_everywhere()) == {("web-0", "app", ())}


def test_a_folder_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    assert told(Discovery(tmp_path / "pods", None).look_everywhere()) == set()


def test_inotify_tells_what_is_new_at_every_depth(tmp_path: Path) -> None:
    notifier = Inotify()
    try:
        discovery = Discovery(tmp_path, notifier)
        discovery.look_everywhere()
        make(tmp_path, f"{POD}/app/0.log")
        found = discovery.look_at_changes()
        make(tmp_path, f"{POD}/side/0.log")
        make(tmp_path, f"{POD}/app/1.log")
        later = discovery.look_at_changes()
    finally:
        notifier.close()

    assert told(found) == {("web-0", "app", (0,))}
    assert told(later) == {("web-0", "app", (0, 1)), ("web-0", "side", (0,))}


def test_a_folder_that_cannot_be_watched_is_no_error(tmp_path: Path) -> None:
    notifier = Inotify()
    try:
        assert not notifier.watch(tmp_path / "none")
        assert notifier.watch(tmp_path)
        assert notifier.read().names == frozenset()
    finally:
        notifier.close()


@pytest.mark.parametrize("name", ["a", "ä" * 40])
def test_names_are_told_whole(tmp_path: Path, name: str) -> None:
    notifier = Inotify()
    try:
        notifier.watch(tmp_path)
        (tmp_path / name).mkdir()
        assert notifier.read().names == {(tmp_path, name)}
    finally:
        notifier.close()


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def missed(finds: Finds) -> list[tuple[str, str, int]]:
    told(finds)
    return [(each.pod, each.container, each.restart) for each in finds.missed]


@pytest.fixture
def notifier() -> Iterator[Inotify]:
    made = Inotify()
    yield made
    made.close()


@pytest.fixture
def discovery(tmp_path: Path, notifier: Inotify) -> Discovery:
    """One that has looked once."""
    made = Discovery(tmp_path, notifier)
    told(made.look_everywhere())
    return made


def test_what_is_new_is_open_before_anybody_looks_at_it(tmp_path: Path, discovery: Discovery) -> None:
    make(tmp_path, f"{POD}/app/0.log", text="hello")

    (found,) = discovery.look_at_changes().found
    remove(tmp_path / POD)

    (opened,) = found.opened
    assert os.pread(opened.descriptor, 10, 0) == b"hello"
    os.close(opened.descriptor)


def test_a_pod_that_is_gone_before_its_folder_is_listed_is_missed_once(tmp_path: Path, discovery: Discovery) -> None:
    make(tmp_path, f"{POD}/app/0.log")
    remove(tmp_path / POD)

    assert missed(discovery.look_at_changes()) == [("web-0", "", 0)]
    assert missed(discovery.look_at_changes()) == []
    assert missed(discovery.look_everywhere()) == []


def test_a_container_that_is_gone_before_its_folder_is_listed_is_missed(tmp_path: Path, discovery: Discovery) -> None:
    make(tmp_path, f"{POD}/app/0.log")
    told(discovery.look_at_changes())
    make(tmp_path, f"{POD}/debug/0.log")
    remove(tmp_path / POD / "debug")

    assert missed(discovery.look_at_changes()) == [("web-0", "debug", 0)]
    assert missed(discovery.look_everywhere()) == []


def test_an_instance_whose_file_is_gone_before_it_is_opened_is_missed(tmp_path: Path, discovery: Discovery) -> None:
    make(tmp_path, f"{POD}/app/0.log")
    told(discovery.look_at_changes())
    make(tmp_path, f"{POD}/app/1.log")
    (tmp_path / POD / "app" / "1.log").unlink()

    assert missed(discovery.look_at_changes()) == [("web-0", "app", 1)]
    assert missed(discovery.look_everywhere()) == []


def test_a_container_that_was_gone_while_its_folder_was_looked_into_is_missed(
    tmp_path: Path, discovery: Discovery
) -> None:
    (tmp_path / POD / "app").mkdir(parents=True)
    assert missed(discovery.look_at_changes()) == []
    remove(tmp_path / POD)

    assert missed(discovery.look_at_changes()) == [("web-0", "app", 0)]


def test_what_was_found_and_ends_as_it_should_is_not_missed(tmp_path: Path, discovery: Discovery) -> None:
    make(tmp_path, f"{POD}/app/0.log")
    told(discovery.look_at_changes())
    (tmp_path / POD / "app" / "0.log").rename(tmp_path / POD / "app" / "0.log.20260102-030405")
    make(tmp_path, f"{POD}/app/0.log")
    make(tmp_path, f"{POD}/app/0.log.20260102-030405.tmp")
    (tmp_path / POD / "app" / "0.log.20260102-030405.tmp").unlink()
    finds = discovery.look_at_changes()
    # The file that was made by the rotation is open as well.
    assert [len(found.opened) for found in finds.found] == [1]
    assert missed(finds) == []
    make(tmp_path, f"{POD}/app/1.log")
    told(discovery.look_at_changes())
    remove(tmp_path / POD)

    assert missed(discovery.look_at_changes()) == []
    assert missed(discovery.look_everywhere()) == []


def test_a_pod_that_was_gone_but_for_its_folder_is_missed(tmp_path: Path, discovery: Discovery) -> None:
    (tmp_path / POD).mkdir()
    assert missed(discovery.look_at_changes()) == []
    remove(tmp_path / POD)

    assert missed(discovery.look_at_changes()) == [("web-0", "", 0)]
    assert missed(discovery.look_everywhere()) == []


@pytest.mark.parametrize("is_folder_gone", [False, True], ids=["file", "folder"])
@pytest.mark.parametrize("texts", [[""], ["x"], ["", ""], ["x", ""], ["", "x"]], ids=repr)
def test_a_container_that_was_gone_at_once_is_missed_if_it_wrote_anything(
    tmp_path: Path, discovery: Discovery, texts: list[str], is_folder_gone: bool
) -> None:
    (tmp_path / POD / "app").mkdir(parents=True)
    told(discovery.look_at_changes())
    for text in texts:
        make(tmp_path, f"{POD}/app/0.log", text=text)
        (tmp_path / POD / "app" / "0.log").unlink()
    if is_folder_gone:
        remove(tmp_path / POD)

    assert missed(discovery.look_at_changes()) == ([("web-0", "app", 0)] if any(texts) else [])
    assert missed(discovery.look_everywhere()) == []


def test_writes_are_not_told_any_more_once_a_container_has_a_file(
    tmp_path: Path, discovery: Discovery, notifier: Inotify
) -> None:
    (tmp_path / POD / "app").mkdir(parents=True)
    told(discovery.look_at_changes())
    make(tmp_path, f"{POD}/app/0.log")
    told(discovery.look_at_changes())
    with (tmp_path / POD / "app" / "0.log").open("a") as file:
        file.write("x")

    with pytest.raises(BlockingIOError):
        os.read(notifier.descriptor, 1024)


@pytest.mark.parametrize("name", [POD, f"{POD}/app"])
def test_what_never_started_a_container_is_not_missed(tmp_path: Path, notifier: Inotify, name: str) -> None:
    seconds = itertools.count(0, 10)
    discovery = Discovery(tmp_path, notifier, now_ns=lambda: next(seconds) * 10**9)
    discovery.look_everywhere()
    (tmp_path / name).mkdir(parents=True)
    assert missed(discovery.look_at_changes()) == []
    remove(tmp_path / POD)

    assert missed(discovery.look_at_changes()) == []


def test_older_generations_of_what_is_new_are_open_as_well(tmp_path: Path) -> None:
    make(tmp_path, f"{POD}/app/0.log")
    make(tmp_path, f"{POD}/app/0.log.20260102-030405")
    make(tmp_path, f"{POD}/app/0.log.20260102-030404")
    make(tmp_path, f"{POD}/app/0.log.20260102-030404.gz")

    (found,) = (finds := Discovery(tmp_path, None).look_everywhere()).found

    assert [opened.is_gzip for opened in found.opened] == [False, False, False]
    told(finds)


def test_an_overflow_is_told_and_everything_is_to_be_looked_at(tmp_path: Path, discovery: Discovery) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 65_536:
        pytest.skip("this machine queues too many events for a test")
    for _ in range(limit // 2 + 1):
        (tmp_path / "x").mkdir()
        (tmp_path / "x").rmdir()
    make(tmp_path, f"{POD}/app/0.log")

    finds = discovery.look_at_changes()

    assert finds.is_overflown
    (lost,) = finds.missed
    assert tuple(lost.instance)[:4] == ("*", "*", "*", "*")
    assert told(discovery.look_everywhere()) == {("web-0", "app", (0,))}


def test_new_pods_are_looked_for_again_and_again_while_watches_are_refused(tmp_path: Path, notifier: Inotify) -> None:
    class Exhausted(Inotify):
        def watch(self, folder: Path, *, with_writes: bool = False) -> bool:
            self.refused += folder != tmp_path
            return folder == tmp_path and super().watch(folder, with_writes=with_writes)

    exhausted = Exhausted()
    try:
        discovery = Discovery(tmp_path, exhausted)
        discovery.look_everywhere()
        assert discovery.is_told
        make(tmp_path, f"{POD}/app/0.log")
        assert told(discovery.look_everywhere()) == {("web-0", "app", (0,))}
        assert not discovery.is_told
    finally:
        exhausted.close()


def test_no_more_files_are_open_than_may_be(tmp_path: Path) -> None:
    for number in range(3):
        make(tmp_path, f"{POD}/app-{number}/0.log")
    highest = os.open(tmp_path, os.O_RDONLY)
    os.close(highest)

    finds = Discovery(tmp_path, None, max_files=highest + 2).look_everywhere()

    assert sum(len(found.opened) for found in finds.found) <= 2
    assert len(told(finds)) == 3


MADE = st.sampled_from(["pod", "container", "file", "rotate", "restart", "remove", "look", "scan"])


@settings(max_examples=60)
@given(st.lists(st.tuples(MADE, st.integers(0, 2)), max_size=30))
@example([("file", 0), ("remove", 0), ("pod", 0)])
@example([("file", 0), ("remove", 0), ("file", 0), ("remove", 0), ("container", 0)])
@example([("file", 0), ("look", 0), ("remove", 0), ("file", 0)])
@example([("file", 0), ("look", 0), ("remove", 0), ("file", 0), ("remove", 0)])
def test_every_file_is_opened_or_missed_and_nothing_else_is_missed(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root, notifier = Path(name), Inotify()
        try:
            discovery = Discovery(root, notifier)
            told(discovery.look_everywhere())
            # Of each container's folder in its turn: whether it ever had a file.
            opened: set[bytes] = set()
            missing: set[str] = set()
            written: dict[bytes, str] = {}
            known: set[str] = set()
            for number, (step, which) in enumerate([*steps, ("look", 0), ("scan", 0)]):
                pod = root / f"shop_web-{which}_{UID}"
                file = pod / "app" / "0.log"
                if step == "pod":
                    pod.mkdir(exist_ok=True)
                elif step in ("container", "file"):
                    file.parent.mkdir(parents=True, exist_ok=True)
                    if step == "file" and not file.exists():
                        file.write_bytes(b"%d" % number)
                        written[b"%d" % number] = f"web-{which}"
                elif step == "rotate" and file.exists():
                    file.rename(file.with_name(f"0.log.20260102-{number:06d}"))
                elif step == "remove" and pod.exists():
                    shutil.rmtree(pod)
                elif step in ("look", "scan"):
                    finds = discovery.look_at_changes() if step == "look" else discovery.look_everywhere()
                    for found in finds.found:
                        opened |= {os.pread(each.descriptor, 10, 0) for each in found.opened}
                    missing |= {each.pod for each in finds.missed}
                    if number < len(steps):
                        known |= {found.pod.pod for found in finds.found}
                    told(finds)
            # Under the name of a file that is read already another one is the reader's to find, as a rotated one is.
            there = [path.read_bytes() for path in root.glob("*/app/0.log")]
            opened |= {text for text in there if written[text] in known}
        finally:
            notifier.close()

    # What was rotated before anybody opened it is the reader's to find; what was deleted must be known here.
    assert {pod for text, pod in written.items() if text not in opened} <= missing | {
        f"web-{which}" for step, which in steps if step == "rotate"
    }

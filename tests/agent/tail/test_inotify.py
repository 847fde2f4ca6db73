"""Watched folders that go while a file in them is open, as those of pods that wait for Loki: the kernel keeps them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.tail.discovery import Discovery, Finds
from agent.tail.inotify import Inotify

POD = "shop_web-0_u-1"


@pytest.fixture
def notifier() -> Iterator[Inotify]:
    made = Inotify()
    yield made
    made.close()


def make(root: Path, path: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text("a line\n")


def opened(finds: Finds) -> list[int]:
    return [each.descriptor for found in finds.found for each in found.opened]


def containers(finds: Finds) -> set[str]:
    for descriptor in opened(finds):
        os.close(descriptor)
    return {found.container for found in finds.found}


def watches() -> int:
    """Return how many watches the kernel keeps for this process."""
    told = [path.read_text() for path in Path("/proc/self/fdinfo").iterdir() if path.exists()]
    return sum(line.startswith("inotify wd:") for text in told for line in text.splitlines())


def test_a_folder_that_is_made_again_while_a_file_of_the_former_is_open_is_watched(tmp_path: Path, notifier: Inotify):
    discovery = Discovery(tmp_path, notifier)
    discovery.look_everywhere()
    make(tmp_path, f"{POD}/app/0.log")
    held = opened(discovery.look_at_changes())
    # A static pod: its uid stays, and so does its folder's name.
    shutil.rmtree(tmp_path / POD)
    make(tmp_path, f"{POD}/app/0.log")
    assert containers(discovery.look_at_changes()) == {"app"}

    make(tmp_path, f"{POD}/side/0.log")
    assert containers(discovery.look_at_changes()) == {"side"}
    make(tmp_path, f"{POD}/app/1.log")
    assert containers(discovery.look_at_changes()) == {"app"}

    for descriptor in held:
        os.close(descriptor)


def test_pods_that_wait_unread_take_no_watches_of_the_system(tmp_path: Path, notifier: Inotify):
    discovery = Discovery(tmp_path, notifier)
    discovery.look_everywhere()
    before, held = watches(), []
    for number in range(10):
        make(tmp_path, f"shop_job-{number}_u-{number}/app/0.log")
        held += opened(discovery.look_at_changes())
        shutil.rmtree(tmp_path / f"shop_job-{number}_u-{number}")
    assert len(held) == 10
    discovery.look_at_changes()

    assert watches() == before
    for descriptor in held:
        os.close(descriptor)


def test_what_a_folder_told_before_it_was_watched_no_more_still_comes(tmp_path: Path, notifier: Inotify):
    folder = tmp_path / "app"
    folder.mkdir()
    notifier.watch(folder, with_writes=True)
    (folder / "0.log").touch()
    notifier.unwatch(folder)

    changed = notifier.read()

    assert changed.names == changed.empty == {(folder, "0.log")}
    assert notifier.watch(folder)

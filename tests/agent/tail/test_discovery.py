"""Containers are found from the folders alone."""

from pathlib import Path

import pytest

from agent.tail.discovery import Discovery
from agent.tail.inotify import Inotify

UID = "2f5a3c1e-8f7d-4b6a-9c0d-1e2f3a4b5c6d"
POD = f"shop_web-0_{UID}"


def make(folder: Path, name: str, *, text: str = "x") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def told(found):
    return {(each.pod.pod, each.container, tuple(sorted(each.restarts))) for each in found}


def test_containers_and_their_restarts_are_found_and_told_when_they_change(tmp_path: Path) -> None:
    make(tmp_path, f"{POD}/app/0.log")
    make(tmp_path, f"{POD}/app/1.log")
    make(tmp_path, f"{POD}/init/0.log.20260102-030405.gz")
    make(tmp_path, "lost+found/x/0.log")
    make(tmp_path, "abc.log")
    discovery = Discovery(tmp_path, None)

    assert told(discovery.look_everywhere()) == {("web-0", "app", (0, 1)), ("web-0", "init", (0,))}
    assert discovery.look_everywhere() == []
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
    assert discovery.look_everywhere() == []


def test_a_folder_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    assert Discovery(tmp_path / "pods", None).look_everywhere() == []


def test_inotify_tells_what_is_new_at_every_depth(tmp_path: Path) -> None:
    notifier = Inotify()
    try:
        discovery = Discovery(tmp_path, notifier)
        discovery.look_everywhere()
        make(tmp_path, f"{POD}/app/0.log")
        found = discovery.look_at(notifier.read().names)
        make(tmp_path, f"{POD}/side/0.log")
        make(tmp_path, f"{POD}/app/1.log")
        later = discovery.look_at(notifier.read().names)
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

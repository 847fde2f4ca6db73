"""The window and the state of a cache, and what a restart leaves of it."""

import pytest

from simulator.etcd import Etcd
from simulator.history import History
from simulator.resources import ResourceTable
from simulator.watchcache import Expired, WatchCaches, Watcher


def opened(path=None, window=100):
    etcd = Etcd(ResourceTable(), History(path))
    etcd.open()
    caches = WatchCaches(etcd, window)
    caches.open()
    return etcd, caches


def told(events):
    return [(event.type, event.version.name) for event in events]


def test_the_window_tells_what_came_after_a_version(pod):
    etcd, caches = opened()
    cache = caches.of(etcd.table.find("pods"))
    begun = etcd.revision
    for name in "abc":
        etcd.create("pods", pod(name), manager="m")

    assert told(cache.since(begun + 1)) == [("ADDED", "b"), ("ADDED", "c")]
    assert told(cache.since(begun + 99)) == []


def test_a_full_window_forgets_its_oldest_and_says_from_where_it_serves(pod):
    etcd, caches = opened(window=2)
    cache = caches.of(etcd.table.find("pods"))
    for name in "abcd":
        etcd.create("pods", pod(name), manager="m")

    assert told(cache.since(etcd.revision - 2)) == [("ADDED", "c"), ("ADDED", "d")]
    with pytest.raises(Expired) as raised:
        cache.since(etcd.revision - 3)
    assert raised.value.floor == etcd.revision - 2


def test_an_older_state_is_found_by_undoing_the_window(pod):
    etcd, caches = opened()
    cache = caches.of(etcd.table.find("pods"))
    obj = etcd.create("pods", pod("a"), manager="m")
    etcd.create("pods", pod("b"), manager="m")
    then = etcd.revision
    obj["metadata"]["labels"]["x"] = "y"
    etcd.update("pods", obj, manager="m")
    etcd.delete("pods", "shop", "b")
    etcd.create("pods", pod("c"), manager="m")

    state = cache.at(then)

    assert {("shop", "a"), ("shop", "b")} == set(state)
    assert "x" not in state["shop", "a"].facts.labels


def test_writes_elsewhere_move_the_revision_of_every_cache(pod):
    etcd, caches = opened()

    etcd.create("pods", pod("a"), manager="m")

    assert {etcd.revision} == {cache.revision for cache in caches.matching(None)}


def test_after_a_restart_only_events_can_be_watched_from_before_it(tmp_path, pod):
    etcd, _ = opened(tmp_path / "history")
    begun = etcd.revision
    etcd.create("pods", pod("a"), manager="m")
    etcd.create("events", {"metadata": {"name": "e", "namespace": "shop"}}, manager="m")
    etcd.close()

    etcd, caches = opened(tmp_path / "history")

    assert told(caches.of(etcd.table.find("events")).since(begun)) == [("ADDED", "e")]
    with pytest.raises(Expired):
        caches.of(etcd.table.find("pods")).since(begun)
    assert told(caches.of(etcd.table.find("pods")).since(etcd.revision)) == []
    etcd.close()


def test_a_watcher_that_lies_too_far_behind_is_ended_once(pod):
    etcd, caches = opened()
    cache = caches.of(etcd.table.find("pods"))
    watcher, ended = Watcher(limit=2), []
    watcher.on_overflow = lambda: ended.append(True)
    cache.watch(watcher)

    for name in "abcd":
        etcd.create("pods", pod(name), manager="m")

    assert (watcher.overflowed, watcher.take(), ended) == (True, [], [True])

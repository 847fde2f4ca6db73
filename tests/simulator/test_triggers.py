"""The index by one field: who is told of a write, and what a list by it looks at."""

from simulator.etcd import Etcd
from simulator.history import History
from simulator.resources import ResourceTable
from simulator.watchcache import WatchCaches, Watcher


def opened(path=None):
    etcd = Etcd(ResourceTable(), History(path))
    etcd.open()
    caches = WatchCaches(etcd, 100)
    caches.open()
    return etcd, caches.of(etcd.table.find("pods"))


class Counted(Watcher):
    """A watcher that counts how often it was disturbed."""

    def __init__(self):
        super().__init__(limit=100)
        self.offers = 0

    def offer(self, events):
        self.offers += 1
        super().offer(events)


def watchers(cache, *values):
    found = {value: Counted() for value in values}
    for value, watcher in found.items():
        cache.watch(watcher, value)
    return found


def told(events):
    return [(event.type, event.version.name) for event in events]


def test_a_write_is_told_to_the_watchers_of_its_old_and_its_new_value_and_to_nobody_else(pod):
    etcd, cache = opened()
    found = watchers(cache, "", *(f"n{number}" for number in range(200)), None)
    obj = etcd.create("pods", pod("a"), manager="m")
    obj["spec"]["nodeName"] = "n1"
    obj = etcd.update("pods", obj, manager="m", subresource="binding")
    obj["status"] = {"phase": "Running"}
    etcd.update("pods", obj, manager="m", subresource="status")
    etcd.delete("pods", "shop", "a")

    assert told(found[""].take()) == [("ADDED", "a"), ("MODIFIED", "a")]
    assert told(found["n1"].take()) == [("MODIFIED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert told(found[None].take()) == [("ADDED", "a"), ("MODIFIED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert sum(watcher.offers for value, watcher in found.items() if value not in {"", "n1", None}) == 0


def test_a_watch_that_ended_is_told_nothing_more(pod):
    etcd, cache = opened()
    found = watchers(cache, "n1", "n2")
    cache.unwatch(found["n1"], "n1")

    for node in ("n1", "n2"):
        etcd.create("pods", pod(node, node=node), manager="m")

    assert (found["n1"].offers, found["n2"].offers) == (0, 1)


def test_the_objects_of_a_value_are_those_that_have_it_now(pod):
    etcd, cache = opened()
    for name, node in (("a", "n1"), ("b", "n1"), ("c", "n2"), ("d", "")):
        etcd.create("pods", pod(name, node=node), manager="m")
    obj = etcd.get("pods", "shop", "d")
    obj["spec"]["nodeName"] = "n2"
    etcd.update("pods", obj, manager="m", subresource="binding")
    etcd.delete("pods", "shop", "a")

    assert [sorted(name for _, name in cache.of_value(value)) for value in ("n1", "n2", "", "n3")] == [
        ["b"],
        ["c", "d"],
        [],
        [],
    ]
    assert cache.of_value(None) is cache.state


def test_a_delete_that_the_cache_lost_stays_in_the_index_too(pod):
    """kubernetes#123072: the index follows the cache, not the store."""
    etcd, cache = opened()
    etcd.create("pods", pod("a", node="n1"), manager="m")
    cache.deletes_to_lose = 1
    etcd.delete("pods", "shop", "a")

    assert [name for _, name in cache.of_value("n1")] == ["a"]


def test_the_window_of_a_value_tells_what_was_about_it(pod):
    etcd, cache = opened()
    begun = etcd.revision
    for name, node in (("a", "n1"), ("b", "n2"), ("c", "n1")):
        etcd.create("pods", pod(name, node=node), manager="m")

    assert told(cache.since(begun, "n1")) == [("ADDED", "a"), ("ADDED", "c")]
    assert told(cache.since(begun + 1, "n1")) == [("ADDED", "c")]


def test_the_index_is_there_again_after_a_restart(tmp_path, pod):
    etcd, _ = opened(tmp_path / "history")
    etcd.create("pods", pod("a", node="n1"), manager="m")
    etcd.close()

    etcd, cache = opened(tmp_path / "history")

    assert [name for _, name in cache.of_value("n1")] == ["a"]
    etcd.close()


def test_what_is_changed_in_an_object_after_it_was_stored_does_not_reach_the_index(pod):
    etcd, cache = opened()
    sent = pod("a", node="n1", app="web")
    etcd.create("pods", sent, manager="m")
    sent["metadata"]["labels"]["app"] = "other"

    (version,) = cache.of_value("n1").values()

    assert version.facts.labels == {"app": "web"}

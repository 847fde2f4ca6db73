"""Watches: where they begin, what they say, how they end."""

import json

import pytest

WATCHLIST = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


def told(events):
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


async def test_a_watch_from_a_version_tells_what_came_after_it(cluster, pod):
    cluster.etcd.create("pods", pod("a"), manager="m")
    then = cluster.etcd.revision
    obj = cluster.etcd.create("pods", pod("b"), manager="m")

    async with cluster.watch(f"/api/v1/pods?watch=1&resourceVersion={then}") as watch:
        obj["metadata"]["labels"]["x"] = "y"
        cluster.etcd.update("pods", obj, manager="m")
        cluster.etcd.delete("pods", "shop", "b")

        assert told(await watch.events(3)) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]


async def test_a_watch_without_a_version_or_from_zero_begins_with_the_state(cluster, pod):
    cluster.etcd.create("pods", pod("a"), manager="m")

    for query in ("watch=1", "watch=1&resourceVersion=0"):
        async with cluster.watch(f"/api/v1/pods?{query}") as watch:
            assert told(await watch.events(1)) == [("ADDED", "a")]


async def test_a_delete_carries_its_own_resource_version(cluster, pod):
    created = cluster.etcd.create("pods", pod("a"), manager="m")
    async with cluster.watch(f"/api/v1/pods?watch=1&resourceVersion={cluster.etcd.revision}") as watch:
        cluster.etcd.delete("pods", "shop", "a")

        event = await watch.event()

    assert event["object"]["metadata"]["resourceVersion"] == str(cluster.etcd.revision)
    assert event["object"]["metadata"]["uid"] == created["metadata"]["uid"]
    assert int(created["metadata"]["resourceVersion"]) < cluster.etcd.revision


async def test_an_object_that_stops_matching_is_deleted_as_it_was_with_the_new_version(cluster, pod):
    obj = cluster.etcd.create("pods", pod("a"), manager="m")
    query = f"watch=1&fieldSelector=spec.nodeName%3D&resourceVersion={cluster.etcd.revision}"
    async with cluster.watch(f"/api/v1/pods?{query}") as watch:
        obj["spec"]["nodeName"] = "n1"
        bound = cluster.etcd.update("pods", obj, manager="scheduler")
        event = await watch.event()

    assert event["type"] == "DELETED"
    assert "nodeName" not in event["object"]["spec"]
    assert event["object"]["metadata"]["resourceVersion"] == bound["metadata"]["resourceVersion"]


async def test_an_object_that_begins_to_match_is_added(cluster, pod):
    obj = cluster.etcd.create("pods", pod("a"), manager="m")
    query = f"watch=1&fieldSelector=spec.nodeName%3Dn1&resourceVersion={cluster.etcd.revision}"
    async with cluster.watch(f"/api/v1/pods?{query}") as watch:
        obj["spec"]["nodeName"] = "n1"
        obj = cluster.etcd.update("pods", obj, manager="scheduler")
        cluster.etcd.create("pods", pod("elsewhere", node="n2"), manager="m")
        obj["status"] = {"phase": "Running"}
        cluster.etcd.update("pods", obj, manager="kubelet", subresource="status")

        assert told(await watch.events(2)) == [("ADDED", "a"), ("MODIFIED", "a")]


async def test_watch_list_sends_the_state_then_its_end_then_events(cluster, pod, recorded):
    wanted = recorded("pods.watchlist.ndjson")
    cluster.etcd.create("pods", pod("a"), manager="m")
    async with cluster.watch(f"/api/v1/pods?{WATCHLIST}") as watch:
        added, end = await watch.events(2)
        cluster.etcd.create("pods", pod("b"), manager="m")
        later = await watch.until("ADDED")

    recorded_end = next(event for event in wanted if event["type"] == "BOOKMARK")
    recorded_end["object"]["metadata"]["resourceVersion"] = end["object"]["metadata"]["resourceVersion"]
    assert told([added, later]) == [("ADDED", "a"), ("ADDED", "b")]
    assert recorded_end == end
    assert int(end["object"]["metadata"]["resourceVersion"]) >= int(added["object"]["metadata"]["resourceVersion"])


async def test_watch_list_of_events_ends_its_state_too_and_has_no_later_bookmark(cluster):
    async with cluster.watch(f"/api/v1/events?{WATCHLIST}&timeoutSeconds=1") as watch:
        lines = (await watch.rest()).splitlines()

    assert [b"initial-events-end" in line for line in lines] == [True]
    assert json.loads(lines[0])["object"]["kind"] == "Event"


async def test_bookmarks_come_shortly_and_then_periodically(cluster):
    async with cluster.watch("/api/v1/pods?watch=1&allowWatchBookmarks=true") as watch:
        first, second = await watch.events(2)

    assert [first["type"], second["type"]] == ["BOOKMARK", "BOOKMARK"]
    assert first["object"]["metadata"] == {"resourceVersion": str(cluster.etcd.revision)}


async def test_a_test_that_cannot_wait_asks_for_the_bookmark_now(start, pod):
    cluster = await start(bookmark_seconds=60)
    async with cluster.watch("/api/v1/pods?watch=1&allowWatchBookmarks=true") as watch:
        await watch.until("BOOKMARK")
        cluster.etcd.create("pods", pod("a"), manager="m")

        assert await cluster.control.bookmark("pods") == 1

        added, bookmark = await watch.events(2)
    assert [added["type"], bookmark["type"]] == ["ADDED", "BOOKMARK"]
    assert bookmark["object"]["metadata"] == {"resourceVersion": str(cluster.etcd.revision)}


async def test_without_being_asked_for_there_is_no_bookmark(cluster):
    async with cluster.watch("/api/v1/pods?watch=1&timeoutSeconds=1") as watch:
        assert await watch.rest() == b""


async def test_a_version_that_is_too_old_is_the_recorded_error_in_the_stream(start, recorded, pod):
    cluster = await start(window_events=2)
    for name in "abcd":
        cluster.etcd.create("pods", pod(name), manager="m")

    status, body = await cluster.get("/api/v1/pods?watch=1&resourceVersion=5")

    wanted = recorded("410.watch.ndjson")[0]
    floor = cluster.etcd.revision - 2
    wanted["object"]["message"] = f"too old resource version: 5 ({floor})"
    assert (200, wanted) == (status, json.loads(body))


async def test_a_version_in_the_future_waits_silently(cluster):
    async with cluster.watch("/api/v1/pods?watch=1&resourceVersion=99999999&timeoutSeconds=1") as watch:
        assert (watch.response.status, await watch.rest()) == (200, b"")


async def test_a_metadata_watch_shows_metadata_and_bookmarks_of_that_kind(cluster, pod):
    async with cluster.watch("/api/v1/pods?watch=1&allowWatchBookmarks=true", Accept=METADATA) as watch:
        bookmark = await watch.event()
        cluster.etcd.create("pods", pod("a"), manager="m")
        added = await watch.until("ADDED")

    assert json.dumps(bookmark, separators=(",", ":")).encode() == (
        b'{"type":"BOOKMARK","object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",'
        b'"metadata":{"resourceVersion":"4"}}}'
    )
    assert list(added["object"]) == ["kind", "apiVersion", "metadata"]


async def test_one_namespace_and_one_name_can_be_watched(cluster, pod):
    async with (
        cluster.watch("/api/v1/namespaces/shop/pods?watch=1") as namespace,
        cluster.watch("/api/v1/pods?watch=1&fieldSelector=metadata.name%3Db") as name,
    ):
        cluster.etcd.create("pods", pod("a", namespace="other"), manager="m")
        cluster.etcd.create("pods", pod("b", namespace="other"), manager="m")
        cluster.etcd.create("pods", pod("c"), manager="m")

        assert told([await namespace.event()]) == [("ADDED", "c")]
        assert told([await name.event()]) == [("ADDED", "b")]


async def test_after_a_lost_delete_a_new_object_of_the_name_is_modified(cluster, pod):
    cluster.etcd.create("pods", pod("a"), manager="m")
    async with cluster.watch(f"/api/v1/pods?watch=1&resourceVersion={cluster.etcd.revision}") as watch:
        await cluster.control.lose_deletes("pods")
        cluster.etcd.delete("pods", "shop", "a")
        created = cluster.etcd.create("pods", pod("a"), manager="m")

        event = await watch.event()

    assert (event["type"], event["object"]["metadata"]["uid"]) == ("MODIFIED", created["metadata"]["uid"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sendInitialEvents=true", "resourceVersionMatch"),
        ("resourceVersionMatch=NotOlderThan", "resourceVersionMatch"),
    ],
)
async def test_options_that_contradict_each_other_are_invalid(cluster, query, field):
    status, body = await cluster.get(f"/api/v1/pods?watch=1&{query}")

    assert status == 422
    assert json.loads(body)["details"]["causes"][0]["field"] == field


async def test_a_client_that_does_not_read_is_cut_off(start, pod):
    cluster = await start(watcher_events=50)
    big = pod("a")
    big["metadata"]["annotations"] = {"padding": "x" * 500_000}
    obj = cluster.etcd.create("pods", big, manager="m")
    async with cluster.watch(f"/api/v1/pods?watch=1&resourceVersion={cluster.etcd.revision}") as watch:
        for number in range(200):
            obj["metadata"]["labels"]["n"] = str(number)
            obj = cluster.etcd.update("pods", obj, manager="m")
            cluster.etcd.flush()

        with pytest.raises(Exception, match=r"(?i)payload|reset|closed"):
            await watch.rest()

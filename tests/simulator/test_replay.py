"""Recorded answers, byte for byte."""

import pytest

from simulator.errors import BadSettings
from simulator.replay import Replay


async def test_a_recorded_list_and_watch_are_served_byte_for_byte(start, recordings):
    cluster = await start(replay=recordings)

    for path, name in (("/api/v1/pods", "pods"), ("/apis/autoscaling/v2/horizontalpodautoscalers", "hpas")):
        listed = (recordings / f"{name}.list.json").read_bytes()
        watched = (recordings / f"{name}.watch.ndjson").read_bytes()
        assert await cluster.get(path) == (200, listed)
        async with cluster.watch(f"{path}?watch=1&resourceVersion=302") as watch:
            assert watched == await watch.response.content.readexactly(len(watched))


async def test_watch_list_and_both_groups_of_events_are_served(start, recordings):
    cluster = await start(replay=recordings)
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"

    wanted = (recordings / "pods.watchlist.ndjson").read_bytes()
    async with cluster.watch(f"/api/v1/pods?{query}") as watch:
        assert wanted == await watch.response.content.readexactly(len(wanted))
    assert (await cluster.get("/apis/events.k8s.io/v1/events"))[1] == (recordings / "events-v1.list.json").read_bytes()


async def test_what_was_not_recorded_is_empty_and_silent(start, recordings):
    cluster = await start(replay=recordings)

    answer = await cluster.json("/api/v1/limitranges")

    assert (answer["kind"], answer["items"]) == ("LimitRangeList", [])
    async with cluster.watch("/api/v1/limitranges?watch=1&resourceVersion=1&timeoutSeconds=1") as watch:
        assert await watch.rest() == b""


async def test_a_recorded_object_can_be_got_by_name(start, recordings):
    cluster = await start(replay=recordings)

    assert (await cluster.json("/api/v1/namespaces/kube-system"))["metadata"]["name"] == "kube-system"
    assert (await cluster.get("/api/v1/namespaces/nope"))[0] == 404


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadSettings, match="there is no such folder"):
        Replay(tmp_path / "nope")

"""The rules of watching against the pretend cluster, over real sockets."""

import asyncio
import json

import pytest

from agent.spool.marks import StreamMark
from agent.watch.keyring import Keyring
from agent.watch.kinds import EVENTS, PODS, wanted_kinds
from kubescribe.wire.link import Grant
from kubescribe.wire.records import Change, Departed, Occurrence, Progress, Snapshot

KINDS = {kind.kind: kind for kind in wanted_kinds()}


def grant(version=0, *, term=1, epoch=1, snapshot=False, name="pods"):
    return Grant(name=name, term=term, epoch=epoch, resource_version=version, snapshot=snapshot)


async def revision(world):
    return (await world.control.state())["revision"]


async def test_a_first_grant_gives_a_snapshot_in_its_phases(world, wait):
    pods = [await world.add_pod(f"web-{number}") for number in range(3)]

    await world.live()

    end = (await wait(lambda: world.sink.ends))[0]
    phases = [record.phase for record in world.sink.of(Snapshot)]
    assert phases == ["begin", "part", "end"]
    assert {type(record) for record in world.sink.records[1:4]} == {Change}
    assert all(change.listed for change in world.sink.changes)
    part = world.sink.of(Snapshot)[1]
    assert set(part.uids) == {pod["metadata"]["uid"] for pod in pods}
    assert (end.count, end.consistent, end.epoch, end.term) == (3, True, 1, 1)
    assert len({record.id for record in world.sink.of(Snapshot)}) == 1
    assert end.resource_version >= max(change.resource_version for change in world.sink.changes)


async def test_the_mark_says_listing_until_the_snapshot_has_ended(world, wait):
    await world.add_pod("web")

    watcher = await world.live()
    await wait(lambda: world.sink.ends)

    assert world.sink.marks[0].listing
    last = next(mark for mark in world.sink.marks if not mark.listing)
    assert last.resource_version == world.sink.ends[0].resource_version
    assert watcher.health().resource_version >= last.resource_version


async def test_changes_arrive_in_order_with_verb_actor_and_body(world, wait):
    await world.live()

    pod = await world.add_pod("web")
    await world.label(pod, "one")
    await world.control.delete("pods", "shop", "web")

    changes = await wait(lambda: len(world.sink.changes) >= 3 and world.sink.changes)
    assert [change.gone for change in changes] == [False, False, True]
    assert [change.resource_version for change in changes] == sorted(change.resource_version for change in changes)
    assert [change.actor.manager for change in changes[:2]] == ["kubectl-create", "kubectl-edit"]
    assert changes[2].actor is None
    body = json.loads(changes[1].body)
    assert body["metadata"]["labels"] == {"step": "one"}
    assert not {"managedFields", "resourceVersion", "generation", "selfLink"} & set(body["metadata"])
    assert changes[0].node == "node-1"


async def test_a_stream_goes_on_from_its_own_mark_without_listing(world, wait):
    await world.add_pod("before")
    at = await revision(world)
    await world.add_pod("after")

    watcher = world.watcher(own=StreamMark(stream="pods", resource_version=at, epoch=1, term=1, seen_at=5))
    watcher.granted(grant(1))
    world.run(watcher)

    await wait(lambda: world.sink.changes)
    assert world.sink.names() == ["after"]
    assert world.sink.of(Snapshot) == []
    assert all(gap.outcome != "lost" for gap in world.sink.gaps)


async def test_the_journals_point_wins_over_an_older_own_mark(world, wait):
    await world.add_pod("before")
    at = await revision(world)
    await world.add_pod("after")

    watcher = world.watcher(own=StreamMark(stream="pods", resource_version=1, epoch=1, seen_at=5))
    watcher.granted(grant(at))
    world.run(watcher)

    await wait(lambda: world.sink.changes)
    assert world.sink.names() == ["after"]


async def test_a_mark_from_within_a_listing_is_listed_again(world, wait):
    await world.add_pod("web")

    own = StreamMark(stream="pods", resource_version=1, epoch=1, listing=True, seen_at=7)
    watcher = world.watcher(own=own)
    watcher.granted(grant(1))
    world.run(watcher)

    await wait(lambda: world.sink.ends)
    lost = [gap for gap in world.sink.gaps if gap.outcome == "lost"]
    assert (lost[0].cause, lost[0].start) == ("listing_interrupted", 7)


async def test_a_mark_of_an_older_epoch_is_void(world, wait):
    await world.add_pod("web")
    at = await revision(world)

    watcher = world.watcher(own=StreamMark(stream="pods", resource_version=999, epoch=1))
    watcher.granted(grant(at, epoch=2))
    world.run(watcher)
    await wait(lambda: watcher.health().state == "live")

    assert watcher.health().resource_version == at


async def test_without_a_grant_it_goes_on_from_its_own_mark_after_the_grace(world, wait):
    at = await revision(world)
    await world.add_pod("web")

    world.run(world.watcher(own=StreamMark(stream="pods", resource_version=at, epoch=3, term=4)))

    change = (await wait(lambda: world.sink.changes))[0]
    assert change.term == 4
    assert world.sink.marks[-1].epoch == 3


async def test_an_agent_that_was_never_welcomed_waits_and_says_so(world, wait):
    await world.add_pod("web")
    world.keyring = Keyring()
    watcher = world.watcher()
    world.run(watcher)

    gap = (await wait(lambda: world.sink.gaps))[0]
    assert (gap.cause, gap.outcome) == ("not_welcomed", "open")
    assert world.sink.changes == []

    world.keyring.provide(b"key")
    watcher.granted(grant(snapshot=True))
    await wait(lambda: world.sink.ends)
    closed = await wait(lambda: [gap for gap in world.sink.gaps if gap.to is not None])
    assert closed[0].id == gap.id


async def test_a_new_grant_changes_only_the_term(world, wait):
    watcher = await world.live()

    watcher.granted(grant(1, term=9))
    await world.add_pod("web")

    change = (await wait(lambda: world.sink.changes))[0]
    assert change.term == 9
    assert len(world.sink.ends) == 1


async def test_a_relist_order_interrupts_the_watch_and_carries_the_new_epoch(world, wait):
    watcher = await world.live()
    await world.add_pod("web")
    await wait(lambda: world.sink.changes)

    watcher.relist(2, "a new epoch")

    await wait(lambda: len(world.sink.ends) == 2)
    assert world.sink.ends[1].epoch == 2
    assert world.sink.ends[1].consistent


@pytest.mark.parametrize("shape", ["stream", "http"])
@pytest.mark.parametrize("watchlist", ["allowed", "gate-off"])
async def test_each_shape_of_410_is_a_lost_gap_and_a_snapshot(world, wait, shape, watchlist):
    await world.control.watchlist(watchlist)
    pod = await world.add_pod("web")
    await world.live()

    await world.control.freeze("pods")
    await world.label(pod, "unseen")
    await world.control.expire("pods", shape=shape)

    await wait(lambda: len(world.sink.ends) == 2)
    lost = await wait(lambda: [gap for gap in world.sink.gaps if gap.cause == "expired"])
    assert lost[0].outcome == "lost"
    assert lost[0].start < lost[0].to
    assert json.loads(world.sink.changes[-1].body)["metadata"]["labels"] == {"step": "unseen"}


@pytest.mark.parametrize("shape", ["stream", "http", "empty"])
async def test_each_shape_of_410_of_events_lists_them_again(world, wait, shape):
    watcher = await world.live(EVENTS)
    event = {
        "metadata": {"name": "web.1", "namespace": "shop"},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web"},
        "reason": "BackOff",
        "type": "Warning",
        "message": "back-off",
    }
    await world.control.create("events", event)
    await wait(lambda: world.sink.of(Occurrence))
    await world.add_pod("moves-the-revision")

    await world.control.expire("events", shape=shape)

    listed = await wait(lambda: [record for record in world.sink.of(Occurrence) if record.listed])
    assert listed[0].reason == "BackOff"
    await wait(lambda: [gap for gap in world.sink.gaps if gap.cause == "expired" and gap.outcome == "lost"])
    assert {(it.phase, it.uids, it.count) for it in world.sink.of(Snapshot)} == {("begin", (), 0), ("end", (), 0)}
    await wait(lambda: watcher.health().state == "live")


async def test_events_are_listed_in_pages_and_marked_after_the_last(world, wait):
    for number in range(5):
        await world.control.create("events", {"metadata": {"name": f"e.{number}", "namespace": "shop"}, "reason": "R"})

    await world.live(EVENTS, page_items=2)

    await wait(lambda: len(world.sink.of(Occurrence)) == 5)
    assert [mark.listing for mark in world.sink.marks][-1] is False
    assert world.sink.marks[0].listing
    assert world.session.requests["list events"] >= 3


@pytest.mark.parametrize("where", ["now", "line"])
async def test_a_cut_stream_goes_on_without_loss_or_repeat(world, wait, where):
    await world.live()

    await world.control.drop("pods", where=where)
    pods = [await world.add_pod(f"web-{number}") for number in range(5)]

    await wait(lambda: len(world.sink.changes) >= 5)
    assert [change.uid for change in world.sink.changes] == [pod["metadata"]["uid"] for pod in pods]
    assert len(world.sink.ends) == 1
    assert all(gap.outcome != "lost" for gap in world.sink.gaps)


async def test_a_half_open_stream_is_noticed_by_its_silence(world, wait):
    await world.live(silence_seconds=(0.6, 0.7))
    await world.add_pod("seen")
    await wait(lambda: world.sink.changes)
    await wait(lambda: world.counters.bookmarks)

    await world.control.freeze("pods", count=1)
    await world.add_pod("unseen")

    await wait(lambda: "unseen" in world.sink.names())
    gaps = [gap for gap in world.sink.gaps if gap.cause == "watch_disconnected"]
    assert [gap.outcome for gap in gaps] == ["open", "recovered"]
    assert gaps[0].id == gaps[1].id
    assert len(world.sink.ends) == 1


async def test_a_stream_without_bookmarks_is_not_thought_dead_for_its_silence(start_world, wait):
    world = await start_world(bookmark_seconds=1000.0)
    watcher = await world.live(silence_seconds=(0.2, 0.25))

    await wait(lambda: world.counters.restarts["silent"] == 1)
    await asyncio.sleep(0.5)

    assert world.counters.restarts["silent"] == 1
    assert watcher.health().state == "live"


async def test_being_blind_for_long_is_an_open_gap_that_closes_as_recovered(world, wait):
    await world.live()

    await world.control.fail("pods", code=503, count=10_000)
    await world.control.drop("pods")
    opened = (await wait(lambda: world.sink.gaps))[0]
    assert (opened.cause, opened.outcome, opened.to) == ("watch_disconnected", "open", None)
    await world.control.mend()

    closed = await wait(lambda: [gap for gap in world.sink.gaps if gap.to is not None])
    assert (closed[0].id, closed[0].outcome) == (opened.id, "recovered")
    assert len(world.sink.ends) == 1


async def test_being_blind_until_it_expires_closes_as_lost(world, wait):
    await world.live()
    await world.control.fail("pods", code=503, count=10_000)
    await world.control.drop("pods")
    opened = (await wait(lambda: world.sink.gaps))[0]

    await world.add_pod("unseen")
    await world.control.expire("pods")
    await world.control.mend()

    await wait(lambda: len(world.sink.ends) == 2)
    closed = [gap for gap in world.sink.gaps if gap.id == opened.id and gap.to is not None]
    assert [gap.outcome for gap in closed] == ["lost"]


async def test_a_429_waits_as_told_and_watches_on_from_the_same_version(world, wait):
    await world.live()

    await world.control.fail("pods", verb="watch", code=429, count=1, retry_after=1)
    started = asyncio.get_running_loop().time()
    await world.control.drop("pods")
    await world.add_pod("web")

    await wait(lambda: world.sink.changes)
    assert asyncio.get_running_loop().time() - started >= 0.9
    assert world.counters.restarts["throttled"] == 1
    assert len(world.sink.ends) == 1


async def test_a_500_in_the_stream_is_retried_then_relisted(world, wait):
    await world.live(internal_error_seconds=0.0)

    await world.control.error("pods", code=500)
    await world.add_pod("web")
    await wait(lambda: world.sink.changes)
    assert len(world.sink.ends) == 1

    await world.control.fail("pods", verb="watch", code=500, count=3)
    await world.control.drop("pods")
    await wait(lambda: len(world.sink.ends) == 2)


async def test_a_load_balancers_page_is_retried(world, wait):
    await world.live()

    await world.control.fail("pods", verb="watch", code=502, count=2)
    await world.control.drop("pods")
    await world.add_pod("web")

    await wait(lambda: world.sink.changes)
    assert world.counters.restarts["unavailable"] == 2
    assert len(world.sink.ends) == 1


async def test_a_kind_that_is_served_no_more_says_so_and_is_watched_when_it_returns(world, wait):
    await world.control.custom("argoproj.io")
    watcher = await world.live(KINDS["Application"])

    await world.control.custom("argoproj.io", on=False)
    await world.control.drop("applications")
    await wait(lambda: watcher.health().state == "notServed")

    await world.control.custom("argoproj.io")
    await wait(lambda: watcher.health().state == "live")


async def test_a_failing_relist_never_ends_the_loop(world, wait):
    await world.control.fail("pods", code=500, count=4)
    await world.add_pod("web")

    await world.live()

    assert world.sink.names() == ["web"]


async def test_a_401_renews_the_credentials(world, wait):
    await world.live()

    world.token.token = "expired"
    await world.control.drop("pods")
    await world.add_pod("web")

    await wait(lambda: world.sink.changes)
    assert world.token.renewals >= 1
    assert len(world.sink.ends) == 1


async def test_a_403_is_shown_as_state_and_tried_again(world, wait):
    await world.control.forbid("pods")
    watcher = world.watcher()
    watcher.granted(grant(snapshot=True))
    world.run(watcher)

    await wait(lambda: watcher.health().state == "forbidden")
    assert "forbidden" in watcher.health().detail
    await world.control.forbid("pods", on=False)

    await wait(lambda: watcher.health().state == "live")
    assert not world.traits.refuses_watch_list


async def test_a_restored_store_is_noticed_and_sends_a_snapshot(world, wait):
    await world.add_pod("old")
    at = await revision(world)
    await world.live()
    for number in range(5):
        await world.add_pod(f"new-{number}")
    await wait(lambda: len(world.sink.changes) == 6)

    await world.control.restore(at)

    await wait(lambda: len(world.sink.ends) == 2)
    end = world.sink.ends[1]
    assert end.consistent
    assert end.resource_version < world.sink.changes[5].resource_version
    assert end.count == 1
    assert [gap.outcome for gap in world.sink.gaps if gap.cause == "store_restored"] == ["lost"]
    await world.add_pod("after")
    await wait(lambda: world.sink.names()[-1] == "after")


async def test_a_restore_is_proved_although_the_store_passes_the_point_again_before_the_list_is_made(world, wait):
    at = await revision(world)
    await world.live(initial_silence_seconds=1.0)
    for number in range(5):
        await world.add_pod(f"new-{number}")
    await wait(lambda: len(world.sink.changes) == 5)
    point = world.sink.changes[-1].resource_version
    asked = world.session.requests["watch pods"]
    await world.control.hang("pods", verb="watch", count=1)

    await world.control.restore(at)
    await wait(lambda: world.session.requests["watch pods"] > asked)
    for _ in range(10):
        world.simulator.etcd.touch()

    await wait(lambda: len(world.sink.ends) == 2)
    proof, begin = [it for it in world.sink.of(Snapshot) if it.phase == "begin"][1:]
    assert proof.consistent
    assert proof.resource_version < point < begin.resource_version == world.sink.ends[1].resource_version


async def test_a_store_that_was_restored_while_the_agent_was_away_is_noticed(world, wait):
    watcher = world.watcher(own=StreamMark(stream="pods", resource_version=10_000, epoch=1, seen_at=3))
    watcher.granted(grant(9_000))
    world.run(watcher)

    await wait(lambda: world.sink.ends)
    gap = next(gap for gap in world.sink.gaps if gap.cause == "store_restored")
    assert gap.start == 3


@pytest.mark.parametrize("mode", ["gate-off", "no-progress"])
async def test_watchlist_that_is_refused_falls_back_to_a_list_and_is_remembered(world, wait, mode):
    await world.control.watchlist(mode)
    await world.add_pod("web")

    await world.live()
    assert world.sink.names() == ["web"]
    assert world.traits.refuses_watch_list

    await world.live(KINDS["Node"])
    assert world.session.requests["list nodes"] == 1


async def test_watchlist_that_never_ends_falls_back_for_its_resource_only(world, wait):
    await world.control.hang("pods", verb="watch", count=1)

    await world.live(initial_silence_seconds=0.2)

    assert world.traits.endless_resources == {"pods"}
    assert not world.traits.refuses_watch_list


async def test_a_malformed_line_harms_nothing_beside_it(world, wait):
    await world.live()

    await world.control.send("pods", "<html>502 Bad Gateway</html>\n")
    await world.control.send("pods", '{"type":"ADDED","object":{"kind":"Table","metadata":{}}}\n')
    await world.add_pod("web")

    await wait(lambda: world.sink.changes)
    assert world.counters.undecodable == 2
    gaps = [gap for gap in world.sink.gaps if gap.cause == "undecodable"]
    assert {gap.outcome for gap in gaps} == {"lost"}
    assert sum(gap.count for gap in gaps) == 2
    assert world.counters.restarts.total() == 0


async def test_an_oversized_object_is_known_by_name_and_harms_nothing(world, wait):
    await world.live(KINDS["ConfigMap"], max_line_bytes=64 * 1024)

    made = await world.control.oversized(size=256 * 1024)
    await world.control.create("configmaps", {"metadata": {"name": "small", "namespace": "shop"}, "data": {"a": "1"}})

    await wait(lambda: "small" in world.sink.names())
    change = world.sink.changes[0]
    assert (change.name, change.uid) == ("oversized", made["uid"])
    assert json.loads(change.body)["kubescribe.io/truncated"]["bytes"] > 256 * 1024
    assert [gap.outcome for gap in world.sink.gaps if gap.cause == "oversized"] == ["lost"]
    assert world.counters.restarts.total() == 0


async def test_an_oversized_object_that_is_listed_is_not_taken_for_gone(world, wait):
    made = await world.control.oversized(size=256 * 1024)

    await world.live(KINDS["ConfigMap"], max_line_bytes=64 * 1024)

    await wait(lambda: world.sink.ends)
    parts = [record for record in world.sink.of(Snapshot) if record.phase == "part"]
    assert made["uid"] in parts[0].uids


async def test_bookmarks_make_progress_and_move_the_mark(world, wait):
    watcher = await world.live()
    for number in range(3):
        await world.control.create("configmaps", {"metadata": {"name": f"c-{number}", "namespace": "shop"}})
    at = await revision(world)

    await wait(lambda: [record for record in world.sink.of(Progress) if record.resource_version >= at])
    assert world.sink.marks[-1].resource_version >= at
    assert watcher.health().resource_version >= at


async def test_a_slow_sink_holds_the_stream_up_and_loses_nothing(world, wait):
    await world.live()
    world.sink.open.clear()

    pods = [await world.add_pod(f"web-{number}") for number in range(20)]
    await asyncio.sleep(0.05)
    world.sink.open.set()

    await wait(lambda: len(world.sink.changes) == 20)
    assert world.sink.names() == [pod["metadata"]["name"] for pod in pods]


async def test_a_node_stream_holds_the_pods_of_its_node(world, wait):
    await world.add_pod("here", node="node-1")
    await world.add_pod("there", node="node-2")

    await world.live(PODS, "node-1")
    await world.add_pod("also-here", node="node-1")

    await wait(lambda: len(world.sink.changes) == 2)
    assert world.sink.names() == ["here", "also-here"]
    assert {change.stream for change in world.sink.changes} == {"pods/node=node-1"}
    assert {change.node for change in world.sink.changes} == {"node-1"}


async def test_leaving_the_unscheduled_watch_is_a_departure_and_no_delete(world, wait):
    bound = await world.add_pod("bound", node="")
    await world.add_pod("deleted", node="")
    await world.live(PODS, "")

    bound["spec"]["nodeName"] = "node-1"
    bound["metadata"].pop("resourceVersion")
    await world.control.update("pods", bound)
    await world.control.delete("pods", "shop", "deleted")

    await wait(lambda: len(world.sink.of(Departed)) == 2)
    assert {record.name for record in world.sink.of(Departed)} == {"bound", "deleted"}
    assert [change for change in world.sink.changes if change.gone] == []


async def test_metadata_only_kinds_are_asked_for_as_such(world, wait):
    await world.live(KINDS["ReplicaSet"])

    made = await world.control.create(
        "replicasets.apps", {"metadata": {"name": "web-1", "namespace": "shop"}, "spec": {"replicas": 1}}
    )

    change = (await wait(lambda: world.sink.changes))[0]
    assert change.uid == made["metadata"]["uid"]
    body = json.loads(change.body)
    assert "spec" not in body
    assert (body["kind"], body["apiVersion"]) == ("ReplicaSet", "apps/v1")


async def test_an_order_to_list_outlives_the_agent_until_a_list_has_answered_it(world, wait):
    watcher = await world.live()
    await world.control.fail("pods", code=503, count=10_000)
    watcher.relist(0, "spool_dropped")

    await wait(lambda: world.sink.gaps)  # put while the order waits for the server: its mark is what a restart finds
    assert world.sink.marks[-1].listing
    await world.control.mend()
    await wait(lambda: len(world.sink.ends) == 2)
    assert not world.sink.marks[-1].listing


@pytest.mark.parametrize("node", ["node-1", ""])
async def test_before_131_a_list_with_a_node_selector_is_answered_by_the_cache(world, wait, node):
    world.traits.minor = 30
    world.traits.refuses_watch_list = True

    await world.live(PODS, node)

    lists = [row["query"] for row in await world.control.requests() if row["verb"] == "list"]
    assert lists == ["fieldSelector&resourceVersion=0&resourceVersionMatch=NotOlderThan"]


async def test_a_stream_of_a_node_asks_for_the_servers_version_before_it_lists(world):
    await world.live(PODS, "node-1")

    assert world.traits.minor > 0
    assert world.session.requests["get version"] == 1


async def test_a_quiet_stream_that_goes_on_says_so_although_nothing_comes(world, wait):
    at = await revision(world)
    watcher = world.watcher(EVENTS, own=StreamMark(stream="events", resource_version=at, epoch=1, term=1, seen_at=5))
    watcher.granted(grant(1, name="events"))
    world.run(watcher)

    progress = (await wait(lambda: world.sink.of(Progress)))[0]

    assert (progress.stream, progress.resource_version, progress.term) == ("events", at, 1)

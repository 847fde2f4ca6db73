"""Load: what it changes is what a kubelet would have written."""

import asyncio
import json
import time
from contextlib import suppress

from simulator.load import WRITTEN


async def test_each_change_is_a_well_formed_status_update_of_the_next_revision(cluster):
    await cluster.control.load(changes=3)
    async with cluster.watch(f"/api/v1/pods?watch=1&resourceVersion={cluster.etcd.revision}") as watch:
        await cluster.control.load(changes=80)
        events = await watch.events(80)

    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == list(range(versions[0], versions[0] + 80))
    pods = {}
    for event in events:
        obj = event["object"]
        before = pods.get(obj["metadata"]["uid"], obj)
        pods[obj["metadata"]["uid"]] = obj
        assert obj["spec"] == before["spec"]
        assert (
            obj["status"]["containerStatuses"][0]["restartCount"]
            >= before["status"]["containerStatuses"][0]["restartCount"]
        )
        assert {"kubelet", "kube-controller-manager"} == {e["manager"] for e in obj["metadata"]["managedFields"]}
        assert "@" not in json.dumps(obj["metadata"]["managedFields"]) + json.dumps(obj["status"]["conditions"])


async def test_a_changed_pod_is_about_four_kilobytes(cluster):
    await cluster.control.load(changes=1)

    assert 3_800 < len((await cluster.get("/api/v1/namespaces/load/pods/load-00000"))[1]) < 4_600


async def test_a_rendered_version_is_what_the_slow_path_would_have_stored(cluster):
    await cluster.control.load(changes=3)
    obj = await cluster.json("/api/v1/namespaces/load/pods/load-00001")
    revision = cluster.etcd.revision

    assert cluster.etcd.update("pods", obj, manager="anybody") == obj
    assert revision == cluster.etcd.revision


async def test_each_change_tells_when_it_was_written(cluster):
    await cluster.control.load(changes=3)
    began = time.time_ns()
    await cluster.control.load(changes=80)

    obj = await cluster.json("/api/v1/namespaces/load/pods/load-00001")
    ready = next(condition for condition in obj["status"]["conditions"] if condition["type"] == "Ready")

    assert ready["message"].startswith(WRITTEN)
    assert began <= int(ready["message"].removeprefix(WRITTEN)) <= time.time_ns()


async def test_the_rate_is_kept_and_can_be_changed_while_it_runs(cluster):
    load = cluster.simulator.load
    task = asyncio.create_task(load.run())
    await cluster.control.load(1000)
    await cluster.control.until(lambda state: state["load"]["changes"] >= 100)
    await cluster.control.load(0)
    await asyncio.sleep(0.06)
    stopped = load.changes
    await asyncio.sleep(0.06)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert stopped == load.changes


async def test_a_restored_store_gets_its_load_back(cluster):
    await cluster.control.restore(cluster.etcd.revision)
    await cluster.control.load(changes=5)
    await cluster.control.restore(4)

    await cluster.control.load(changes=5)

    assert cluster.etcd.get("pods", "load", "load-00000")


async def test_the_pods_are_made_a_few_at_a_time_before_the_first_change(start):
    cluster = await start(pods=300, rate=1000.0)
    task = asyncio.create_task(cluster.simulator.load.run())
    counts = []
    while not (state := await cluster.control.state())["load"]["changes"]:
        counts.append(state["objects"].get("pods", 0))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert state["objects"]["pods"] == 300
    assert len(set(counts)) > 5  # it was looked at in between
    assert counts == sorted(counts)


async def test_the_pods_are_spread_over_the_nodes_that_there_are_but_for_those_of_fargate(start):
    cluster = await start(pods=6)
    for name in ("n1", "n2"):
        await cluster.control.node(name)
    await cluster.control.node("f1", fargate=True)

    await cluster.control.load(changes=1)

    pods = (await cluster.json("/api/v1/namespaces/load/pods"))["items"]
    assert [pod["spec"]["nodeName"] for pod in pods] == ["n1", "n2"] * 3


async def test_a_pod_that_a_test_deletes_or_makes_anew_is_changed_as_it_is_then(start):
    cluster = await start(pods=2)
    await cluster.control.load(changes=2)
    await cluster.control.delete("pods", "load", "load-00000")
    anew = await cluster.control.recreate("load", "load-00001", node="n9")

    await cluster.control.load(changes=4)

    pods = (await cluster.json("/api/v1/namespaces/load/pods"))["items"]
    assert [pod["metadata"]["name"] for pod in pods] == ["load-00000", "load-00001"]
    assert pods[1]["metadata"]["uid"] == anew["metadata"]["uid"]
    assert pods[1]["spec"]["nodeName"] == "n9"

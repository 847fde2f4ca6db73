"""What a test does with nodes and pods, and what watchers are told of it."""

import pytest

from simulator.control import VerbRefused


@pytest.fixture
async def nodes(cluster):
    """Two nodes, the second in another zone."""
    zone = "topology.kubernetes.io/zone"
    return [await cluster.control.node(name, labels={zone: name + "-zone"}) for name in ("n1", "n2")]


def from_now(cluster, resource="pods", selector=""):
    return f"/api/v1/{resource}?watch=1&resourceVersion={cluster.etcd.revision}{selector}"


def told(event):
    obj = event["object"]
    return event["type"], obj["metadata"]["name"], obj["spec"].get("nodeName", "")


async def test_a_pod_is_bound_in_one_write_that_nobody_owns(cluster, nodes, pod):
    created = await cluster.control.create("pods", pod("a"))
    async with cluster.watch(from_now(cluster)) as watch:
        bound = await cluster.control.bind("shop", "a", "n2")
        assert told(await watch.event()) == ("MODIFIED", "a", "n2")

    assert bound["metadata"]["uid"] == created["metadata"]["uid"]
    assert bound["metadata"]["managedFields"] == created["metadata"]["managedFields"]
    assert bound["metadata"]["labels"]["topology.kubernetes.io/zone"] == "n2-zone"
    (condition,) = bound["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("PodScheduled", "True")
    with pytest.raises(VerbRefused, match="pod a is already assigned to node"):
        await cluster.control.bind("shop", "a", "n1")


async def test_a_binding_looks_like_the_recorded_ones(cluster, recorded, pod):
    seen, bindings = {}, []
    for event in recorded("pods.watch.ndjson"):
        obj = event["object"]
        before = seen.get(obj["metadata"].get("uid"))
        if before and "nodeName" in obj["spec"] and "nodeName" not in before["spec"]:
            bindings.append((before, obj))
        seen[obj["metadata"].get("uid")] = obj
    assert bindings
    await cluster.control.create("pods", pod("a"))
    ours = await cluster.control.bind("shop", "a", "n1")

    ours["status"]["conditions"][0]["lastTransitionTime"] = ""
    for before, after in bindings:
        changed = {key for key in after["metadata"] if after["metadata"][key] != before["metadata"].get(key)}
        assert changed <= {"resourceVersion", "labels"}
        (theirs,) = after["status"]["conditions"]
        assert ours["status"]["conditions"] == [{**theirs, "lastTransitionTime": ""}]


@pytest.mark.parametrize(("node", "where"), [(None, "n1"), ("n2", "n2"), ("", "")])
async def test_a_pod_is_made_anew_under_its_name_with_another_uid(cluster, nodes, pod, node, where):
    old = await cluster.control.create("pods", pod("web-0", node="n1"))
    async with cluster.watch(from_now(cluster)) as watch:
        new = await cluster.control.recreate("shop", "web-0", node=node)
        events = await watch.events(4 if where else 3)

    kinds = ["MODIFIED", "DELETED", "ADDED", *(["MODIFIED"] if where else [])]
    assert [event["type"] for event in events] == kinds
    assert [event["object"]["metadata"]["uid"] == old["metadata"]["uid"] for event in events[:3]] == [True, True, False]
    assert events[0]["object"]["metadata"]["deletionGracePeriodSeconds"] == 0
    assert told(events[2]) == ("ADDED", "web-0", "")
    assert new == events[-1]["object"]
    assert new["spec"].get("nodeName", "") == where
    assert new["metadata"]["labels"].get("app") == "web"
    assert new["status"]["phase"] == "Pending"


async def test_a_vanished_nodes_pods_are_failed_told_to_go_and_deleted(cluster, nodes, pod):
    await cluster.control.create("pods", {**pod("a", node="n1"), "status": {"phase": "Running"}})
    await cluster.control.create("pods", pod("b", node="n2"))
    async with (
        cluster.watch(from_now(cluster)) as pods,
        cluster.watch(from_now(cluster, "nodes")) as seen,
    ):
        await cluster.control.vanish("n1")
        gone = await seen.event()
        failed, going, deleted = await pods.events(3)

    assert (gone["type"], gone["object"]["metadata"]["uid"]) == ("DELETED", nodes[0]["metadata"]["uid"])
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in (gone, failed, going, deleted)]
    assert versions == sorted(versions)
    assert failed["object"]["status"]["phase"] == "Failed"
    condition = failed["object"]["status"]["conditions"][-1]
    assert (condition["type"], condition["reason"]) == ("DisruptionTarget", "DeletionByPodGC")
    assert "deletionTimestamp" in going["object"]["metadata"]
    assert told(deleted) == ("DELETED", "a", "n1")
    assert [item["metadata"]["name"] for item in (await cluster.json("/api/v1/pods"))["items"]] == ["b"]


async def test_a_vanished_nodes_pods_follow_after_the_delay(cluster, nodes, pod):
    await cluster.control.create("pods", pod("a", node="n1"))

    await cluster.control.vanish("n1", pods_after=0.1)

    assert (await cluster.control.state())["objects"]["pods"] == 1
    await cluster.control.until(lambda state: "pods" not in state["objects"])


async def test_a_vanished_nodes_pods_may_never_follow(cluster, nodes, pod):
    await cluster.control.create("pods", pod("a", node="n1"))
    await cluster.control.vanish("n1", pods_after=None)
    # The delay of the other is over, so that of the first would be too.
    await cluster.control.create("pods", pod("b", node="n2"))
    await cluster.control.vanish("n2", pods_after=0.1)
    await cluster.control.until(lambda state: state["objects"]["pods"] == 1)

    (left,) = (await cluster.json("/api/v1/pods"))["items"]
    assert (left["metadata"]["name"], left["spec"]["nodeName"]) == ("a", "n1")


async def test_a_node_that_is_back_in_time_has_another_uid_and_keeps_its_pods(cluster, nodes, pod):
    await cluster.control.create("pods", pod("a", node="n1"))
    await cluster.control.vanish("n1", pods_after=0.1)

    back = await cluster.control.return_node("n1")

    old = nodes[0]["metadata"]
    assert (back["metadata"]["name"], back["metadata"]["labels"]) == (old["name"], old["labels"])
    assert back["metadata"]["uid"] != old["uid"]
    await cluster.control.vanish("n2", pods_after=0.2)
    await cluster.control.create("pods", pod("b", node="n2"))
    state = await cluster.control.until(lambda state: state["objects"]["pods"] == 1)
    assert state["objects"]["nodes"] == 1
    assert cluster.etcd.get("pods", "shop", "a") is not None


async def test_only_a_node_that_vanished_returns(cluster, nodes):
    with pytest.raises(VerbRefused):
        await cluster.control.return_node("n1")
    await cluster.control.vanish("n1")
    await cluster.control.return_node("n1")
    with pytest.raises(VerbRefused):
        await cluster.control.return_node("n1")


async def test_a_node_of_fargate_says_so_and_keeps_others_off(cluster):
    node = await cluster.control.node("fargate-1", fargate=True)

    assert node["metadata"]["labels"]["eks.amazonaws.com/compute-type"] == "fargate"
    assert node["status"]["allocatable"]["pods"] == "1"
    assert [taint["effect"] for taint in node["spec"]["taints"]] == ["NoSchedule"]

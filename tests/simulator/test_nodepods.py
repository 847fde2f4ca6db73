"""Watches by node, as a DaemonSet of agents and one agent for the unscheduled keep them: who is told what."""

import json
from contextlib import AsyncExitStack
from urllib.parse import quote

import pytest

WATCHLIST = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"


def told(event):
    metadata = event["object"]["metadata"]
    return event["type"], metadata["name"], event["object"]["spec"].get("nodeName", ""), metadata["resourceVersion"]


@pytest.fixture
async def watching(cluster):
    """Open watches of pods by a field selector, from now on or with their state; they are closed at the end."""
    async with AsyncExitStack() as stack:

        async def open_one(selector, *, query=""):
            query = query or f"watch=1&resourceVersion={cluster.etcd.revision}"
            path = f"/api/v1/pods?fieldSelector={quote(selector)}&{query}"
            return await stack.enter_async_context(cluster.watch(path))

        yield open_one


@pytest.fixture
def bind(cluster):
    def to(name, node):
        obj = cluster.etcd.get("pods", "shop", name)
        obj["spec"]["nodeName"] = node
        return cluster.etcd.update("pods", obj, manager="kube-scheduler", subresource="binding")

    return to


async def test_a_bound_pod_leaves_the_unscheduled_and_joins_its_node_with_one_version(cluster, watching, bind, pod):
    """What leaves is the object as it was, with the version of the binding (convertToWatchEvent)."""
    created = cluster.etcd.create("pods", pod("a"), manager="m")
    unscheduled, node = await watching("spec.nodeName="), await watching("spec.nodeName=n1")

    bound = bind("a", "n1")

    version = bound["metadata"]["resourceVersion"]
    left = await unscheduled.event()
    assert told(left) == ("DELETED", "a", "", version)
    assert left["object"] == {**created, "metadata": {**created["metadata"], "resourceVersion": version}}
    joined = await node.event()
    assert told(joined) == ("ADDED", "a", "n1", version)
    assert joined["object"] == bound


async def test_changes_and_the_end_of_a_pod_are_told_to_its_node_only(cluster, watching, pod):
    created = cluster.etcd.create("pods", pod("a", node="n1"), manager="m")
    cluster.etcd.create("pods", pod("b", node="n2"), manager="m")
    own, other, unscheduled = [await watching(f"spec.nodeName={node}") for node in ("n1", "n2", "")]
    created["status"] = {"phase": "Running"}
    cluster.etcd.update("pods", created, manager="kubelet", subresource="status")
    cluster.etcd.delete("pods", "shop", "a")
    deleted = str(cluster.etcd.revision)
    # What comes next on the others is the first that they are told at all.
    cluster.etcd.delete("pods", "shop", "b")
    cluster.etcd.create("pods", pod("c"), manager="m")

    assert [told(event)[:3] for event in await own.events(2)] == [("MODIFIED", "a", "n1"), ("DELETED", "a", "n1")]
    assert int(deleted) > int(created["metadata"]["resourceVersion"])
    assert told(await other.event())[:2] == ("DELETED", "b")
    assert told(await unscheduled.event())[:2] == ("ADDED", "c")


async def test_a_delete_carries_its_own_version_to_the_node(cluster, watching, pod):
    cluster.etcd.create("pods", pod("a", node="n1"), manager="m")
    node = await watching("spec.nodeName=n1")

    cluster.etcd.delete("pods", "shop", "a")

    assert told(await node.event()) == ("DELETED", "a", "n1", str(cluster.etcd.revision))


@pytest.mark.parametrize("operator", ["=", "=="])
async def test_a_node_is_listed_and_watched_from_its_own_share(cluster, watching, pod, operator):
    for name, node in (("a", "n1"), ("b", "n2"), ("c", "n1"), ("d", "")):
        cluster.etcd.create("pods", pod(name, node=node), manager="m")

    for node, names in (("n1", ["a", "c"]), ("n2", ["b"]), ("", ["d"]), ("n3", [])):
        selector = f"spec.nodeName{operator}{node}"
        listed = await cluster.json(f"/api/v1/pods?fieldSelector={quote(selector)}")
        assert [item["metadata"]["name"] for item in listed["items"]] == names
        assert listed["metadata"]["resourceVersion"] == str(cluster.etcd.revision)
        watch = await watching(selector, query=WATCHLIST)
        assert [told(await watch.event())[1] for _ in names] == names
        assert (await watch.event())["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_node_is_listed_in_pages_and_at_an_older_version(cluster, pod):
    for name in "abc":
        cluster.etcd.create("pods", pod(name, node="n1"), manager="m")
    cluster.etcd.create("pods", pod("z", node="n2"), manager="m")
    then = cluster.etcd.revision
    cluster.etcd.delete("pods", "shop", "b")

    old = f"/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&resourceVersion={then}&resourceVersionMatch=Exact"
    assert [item["metadata"]["name"] for item in (await cluster.json(old))["items"]] == ["a", "b", "c"]
    first = await cluster.json("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&limit=1")
    token = first["metadata"]["continue"]
    assert "remainingItemCount" not in first["metadata"]
    second = await cluster.json(f"/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&limit=1&continue={token}")
    assert [page["items"][0]["metadata"]["name"] for page in (first, second)] == ["a", "c"]
    assert "continue" not in second["metadata"]


async def test_not_on_a_node_is_everything_else(cluster, watching, bind, pod):
    for name, node in (("a", "n1"), ("b", "n2"), ("c", "")):
        cluster.etcd.create("pods", pod(name, node=node), manager="m")

    listed = await cluster.json(f"/api/v1/pods?fieldSelector={quote('spec.nodeName!=n1')}")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["b", "c"]
    watch = await watching("spec.nodeName!=n1")
    bind("c", "n1")
    cluster.etcd.delete("pods", "shop", "a")
    cluster.etcd.delete("pods", "shop", "b")
    assert [told(event)[:2] for event in await watch.events(2)] == [("DELETED", "c"), ("DELETED", "b")]


async def test_a_selector_may_ask_for_more_than_the_node(cluster, watching, pod):
    for name, phase in (("a", "Running"), ("b", "Pending")):
        cluster.etcd.create("pods", {**pod(name, node="n1"), "status": {"phase": phase}}, manager="m")

    selector = quote("spec.nodeName=n1,status.phase!=Pending")
    listed = await cluster.json(f"/api/v1/pods?fieldSelector={selector}")

    assert [item["metadata"]["name"] for item in listed["items"]] == ["a"]


async def test_one_namespace_of_one_node(cluster, pod):
    for namespace in ("shop", "data"):
        cluster.etcd.create("pods", pod("a", namespace=namespace, node="n1"), manager="m")

    listed = await cluster.json("/api/v1/namespaces/data/pods?fieldSelector=spec.nodeName%3Dn1")

    assert [item["metadata"]["namespace"] for item in listed["items"]] == ["data"]


async def test_a_watch_from_an_older_version_gets_its_nodes_share_of_what_came_after_it(cluster, watching, pod):
    then = cluster.etcd.revision
    for name, node in (("a", "n1"), ("b", "n2"), ("c", "n1")):
        cluster.etcd.create("pods", pod(name, node=node), manager="m")

    watch = await watching("spec.nodeName=n1", query=f"watch=1&resourceVersion={then}")

    assert [told(event)[1] for event in await watch.events(2)] == ["a", "c"]


async def test_one_node_is_listed_and_watched_by_its_name(cluster):
    for name in ("n1", "n2"):
        cluster.etcd.create("nodes", {"metadata": {"name": name}, "spec": {}}, manager="kubelet")
    listed = await cluster.json("/api/v1/nodes?fieldSelector=metadata.name%3Dn2")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["n2"]

    async with cluster.watch(
        f"/api/v1/nodes?fieldSelector=metadata.name%3Dn2&watch=1&resourceVersion={cluster.etcd.revision}"
    ) as watch:
        for name in ("n1", "n2"):
            cluster.etcd.delete("nodes", "", name)
        event = json.loads(await watch.line())
    assert (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", "n2")

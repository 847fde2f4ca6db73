"""What the journal adds to usage: over a journal in memory, with the pods that a test puts there."""

import json

import pytest

from aggregator.outlets.usage.index import MISSING_SECONDS, WHOLE_SECONDS, PodIndex
from aggregator.records import Facets, Published
from aggregator.store.memory import MemoryJournal
from tests.aggregator.store.story import Story


def body(name, uid, *, cpu="250m", node="n1"):
    resources = {"requests": {"cpu": cpu, "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    owner = {"kind": "ReplicaSet", "name": "web-5d5", "controller": True}
    return json.dumps(
        {
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": "shop",
                "uid": uid,
                "labels": {"pod-template-hash": "5d5"},
                "ownerReferences": [owner],
            },
            "spec": {
                "nodeName": node,
                "containers": [{"name": "app", "resources": resources}],
                "initContainers": [{"name": "once", "resources": resources}],
            },
        }
    ).encode()


def changed(uid, verb="modified", diff="null"):
    text = f'{{"verb":"{verb}","late":false,"diff":{diff}}}'.encode()
    return Published(seq=9, topic="changes", committed_at=1, facets=Facets(kind="Pod", uid=uid), json=text)


@pytest.fixture
async def world():
    """A journal with two pods and a node, an index over it, and what it said was gone."""
    journal, story = MemoryJournal(), Story()
    await journal.open()
    story.pod("web-1", 1, uid="u1", body=body("web-1", "u1"))
    story.pod("web-2", 2, uid="u2", body=body("web-2", "u2"))
    status = {"allocatable": {"cpu": "3920m", "memory": "15Gi"}}
    node = json.dumps({"kind": "Node", "metadata": {"name": "n1"}, "status": status}).encode()
    story.pod("n1", 3, uid="node-1", kind="Node", namespace="", node="", body=node)
    await journal.commit(story.take())
    clock, gone = [0.0], []
    index = PodIndex(journal, gone.append, now_seconds=lambda: clock[0])
    yield index, journal, story, clock, gone
    await journal.close()


async def test_a_pod_that_is_told_of_is_found_with_its_workload_and_what_it_may_use(world):
    index, *_ = world
    assert index.find("shop", "web-1", "") is None

    await index.look()

    pod = index.find("shop", "web-1", "u1")
    assert (pod.workload_kind, pod.workload, pod.node) == ("Deployment", "web", "n1")
    assert (pod.budget.cpu_request, pod.budget.cpu_limit) == (0.25, None)
    assert (pod.budget.memory_request, pod.budget.memory_limit) == (64 * 2**20, 128 * 2**20)
    assert index.node("n1").cpu == 3.92
    assert ("shop", "web-2") not in index._pods, "nobody told of it"


async def test_a_pod_that_is_told_of_by_its_uid_is_read_by_itself(world):
    index, _, _, clock, _ = world
    index.find("shop", "never", "")
    await index.look()
    clock[0] = 1.0

    index.find("shop", "web-2", "u2")
    await index.look()

    assert index.find("shop", "web-2", "u2").workload == "web"


async def test_a_pod_that_goes_is_told_at_once_and_one_of_its_name_is_another(world):
    index, _, _, _, gone = world
    index.find("shop", "web-1", "")
    await index.look()

    assert index.find("shop", "web-1", "another") is None
    index.committed([changed("u1", "deleted")])

    assert [pod.uid for pod in gone] == ["u1"]
    assert index.find("shop", "web-1", "u1") is None


async def test_resources_that_are_changed_in_place_are_read_again(world):
    index, journal, story, *_ = world
    index.find("shop", "web-1", "")
    await index.look()
    story.pod("web-1", 5, uid="u1", body=body("web-1", "u1", cpu="2"))
    await journal.commit(story.take())

    index.committed([changed("u1", diff='[{"path":["status","phase"]}]')])
    await index.look()
    assert index.find("shop", "web-1", "").budget.cpu_request == 0.25

    index.committed([changed("u1", diff='[{"path":["spec","containers",0,"resources","requests","cpu"]}]')])
    await index.look()
    assert index.find("shop", "web-1", "").budget.cpu_request == 2.0


async def test_what_never_was_is_looked_for_seldom(world):
    index, _, _, clock, _ = world
    asked = []
    index._look_for = lambda wanted: asked.append(list(wanted)) or _done()
    for seconds in (0, WHOLE_SECONDS, 2 * WHOLE_SECONDS, MISSING_SECONDS + 1):
        clock[0] = seconds
        index.find("shop", "never", "u9")
        await index.look()

    assert asked == [[("shop", "never")], [("shop", "never")]]


async def _done():
    return None


async def test_a_pod_that_nobody_tells_of_any_more_takes_no_memory(world):
    index, *_ = world
    index.find("shop", "web-1", "")
    await index.look()

    index.keep(set())

    assert (index._pods, index._by_uid) == ({}, {})

"""A node's gateway finds the pods that the agent has seen, by whatever a shipper tells of them."""

import json

import pytest

from agent.pods.book import PodBook
from agent.shipping.gateway import BookFinder
from kubescribe.labels.clues import Clue
from kubescribe.labels.enriching import NodeFacts
from kubescribe.wire.records import Change

ID = "0123456789abcdef" * 4


def pod(name, uid, body=None, **annotations):
    found = {
        "metadata": {"name": name, "namespace": "shop", "uid": uid, "annotations": annotations},
        "spec": {"nodeName": "n1"},
        "status": {"containerStatuses": [{"containerID": f"containerd://{ID}"}]},
    }
    return Change(
        stream="pods",
        term=1,
        kind="Pod",
        namespace="shop",
        name=name,
        uid=uid,
        resource_version=1,
        observed_at=1,
        node="n1",
        body=json.dumps(found, separators=(",", ":")).encode() if body is None else body,
    )


@pytest.fixture
def finder():
    book = PodBook(now_ns=lambda: 1)
    book.observe(pod("web", "u1", **{"kubernetes.io/config.mirror": "f" * 32}))
    book.observe(pod("huge", "u2", body=b""))
    book.welcome({"n1": "z1"})
    return BookFinder(book, cluster="prod", node="n1")


@pytest.mark.parametrize(
    ("clue", "name"),
    [
        (Clue(uid="u1"), "web"),
        (Clue(uid="f" * 32), "web"),
        (Clue(container_id=ID), "web"),
        (Clue(namespace="shop", pod="web"), "web"),
        # An id of another pod goes before a name that was used again.
        (Clue(uid="u9", namespace="shop", pod="web"), None),
        (Clue(container_id="0" * 64, namespace="shop", pod="web"), "web"),
        # Of a pod that was too large to be reported only the name is known: no better than what the shipper sent.
        (Clue(uid="u2"), None),
        (Clue(), None),
    ],
)
def test_a_clue_leads_to_its_pod(finder, clue, name):
    found = finder.find(clue)

    assert (found.name if found else None) == name


def test_a_pod_is_where_it_runs_and_everything_else_here(finder):
    assert finder.node_of(finder.find(Clue(uid="u1"))) == NodeFacts(cluster="prod", node="n1", zone="z1")
    assert finder.node_of(None) == NodeFacts(cluster="prod", node="n1", zone="z1")

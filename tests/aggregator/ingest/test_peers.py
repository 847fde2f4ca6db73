"""What a credential allows its holder to say that it is."""

import pytest

from aggregator.ingest.peers import Anybody, OneOf, Peer, complaint_about_usage, foreign_in
from kubescribe.wire.link import PROTOCOL_VERSION, Hello, Usage
from kubescribe.wire.records import Change, Gap, LineCounts, Occurrence, Presence, Progress
from kubescribe.wire.usage import NodeUsage


def a_hello(agent, scope, node="") -> Hello:
    return Hello(
        protocol=PROTOCOL_VERSION,
        agent=agent,
        scope=scope,
        version="1",
        instance="i",
        spool_id="s",
        cluster_uid="c",
        node=node,
    )


NODE = Peer(name="sa", scope="node", node="n1")
CLUSTER = Peer(name="sa", scope="cluster", node="n7")


@pytest.mark.parametrize(
    ("peer", "hello"),
    [
        (NODE, a_hello("node/n1", "node", "n1")),
        (CLUSTER, a_hello("cluster/kubescribe-0", "cluster")),
        (Peer(name="file"), a_hello("whatever", "all")),
    ],
)
def test_one_may_be_what_the_credential_says(peer, hello):
    assert peer.complaint(hello) == ""


@pytest.mark.parametrize(
    ("peer", "hello", "why"),
    [
        (NODE, a_hello("node/n2", "node", "n2"), "bound to the node 'n1'"),
        (NODE, a_hello("node/n2", "node", "n1"), "cannot be called 'node/n2'"),
        (NODE, a_hello("cluster/x", "cluster"), "may be an agent of scope node"),
        (NODE, a_hello("all", "all"), "may be an agent of scope node"),
        (CLUSTER, a_hello("node/n7", "node", "n7"), "may be an agent of scope cluster"),
        (CLUSTER, a_hello("node/n7", "cluster"), "cannot be called"),
    ],
)
def test_one_may_not_be_anything_else(peer, hello, why):
    assert why in peer.complaint(hello)


OWN = Usage(source="kubelet", node="n1", nodes=(NodeUsage(name="n1"),))
METRICS = Usage(source="metrics", nodes=(NodeUsage(name="n1"), NodeUsage(name="n2")))


def test_a_node_agent_tells_what_its_own_node_uses_and_no_other():
    assert complaint_about_usage(OWN, scope="node", node="n1") == ""
    assert complaint_about_usage(OWN, scope="node", node="n2")
    assert complaint_about_usage(METRICS, scope="node", node="n1")
    assert complaint_about_usage(Usage(source="kubelet", node="n1", nodes=METRICS.nodes), scope="node", node="n1"), (
        "a summary is of one node"
    )


@pytest.mark.parametrize("scope", ["cluster", "all"])
def test_who_sees_a_cluster_tells_what_metrics_k8s_io_says(scope):
    assert complaint_about_usage(METRICS, scope=scope, node="") == ""
    assert complaint_about_usage(OWN, scope=scope, node="")


AT = {"term": 1, "resource_version": 1, "observed_at": 1}
POD = {"stream": "pods/node=n1", "kind": "Pod", "name": "web", "uid": "u", **AT}


@pytest.mark.parametrize(
    "record",
    [
        Change(node="n1", **POD),
        Change(gone=True, **POD),
        Progress(stream="pods/node=n1", **AT),
        Gap(id="g", stream="pods/node=n1", cause="expired", start=1),
        Gap(id="g", stream="agent/node/n1", cause="away", start=1),
        Gap(id="g", stream="logs/shop/web/app", cause="rotated", start=1),
        LineCounts(source="s", n=1, observed_at=1),
    ],
)
def test_the_agent_of_a_node_tells_of_its_pods_and_of_its_own_losses(record):
    assert foreign_in([record], "n1") == ""


@pytest.mark.parametrize(
    "record",
    [
        Change(node="n2", **POD),
        Change(node="n1", **{**POD, "kind": "Node"}),
        Change(node="n2", **{**POD, "stream": "pods/node=n2"}),
        Progress(stream="deployments", **AT),
        Occurrence(stream="events", uid="u", name="e", **AT),
        Gap(id="g", stream="pods/node=n2", cause="expired", start=1, outcome="recovered"),
        Gap(id="g", stream="agent/node/n10", cause="away", start=1, outcome="recovered"),
        Presence(agent="node/n2", state="went", observed_at=1),
    ],
)
def test_it_cannot_write_another_s_history(record):
    assert foreign_in([Progress(stream="pods/node=n1", **AT), record], "n1") != ""


class Way:
    """Knows one token."""

    def __init__(self, token):
        self.token = token

    async def peer_of(self, token):
        return Peer(name=f"by {self.token}") if token == self.token else None


async def test_of_several_ways_the_first_that_knows_the_token_decides():
    ways = OneOf(Way("a"), Way("b"))

    assert [await ways.peer_of(token) for token in "abc"] == [Peer(name="by a"), Peer(name="by b"), None]


async def test_where_nobody_is_asked_everybody_may_be_anything():
    assert (await Anybody().peer_of("")).complaint(a_hello("x", "cluster")) == ""

"""What a credential allows its holder to say that it is."""

import pytest

from aggregator.ingest.peers import Anybody, OneOf, Peer
from kubescribe.wire.link import PROTOCOL_VERSION, Hello


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

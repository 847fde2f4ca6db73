"""Whose a service account token is: asked once a minute, bound to the node, refused on every doubt."""

import asyncio

import msgspec
import pytest

from aggregator.errors import PeersUnknown
from aggregator.ingest.peers import Peer
from aggregator.ingest.reviews import KEEP_SECONDS, REFUSED_SECONDS, TokenReviews

TOKEN = "head.payload.signature"
ACCOUNTS = {"node": ("kubescribe/agent",), "cluster": ("kubescribe/cluster-agent",)}


class ApiServer:
    """Answers reviews with `status`, and remembers what it was asked."""

    def __init__(self):
        self.asked: list[dict] = []
        self.status: dict = a_status()
        self.failure: Exception | None = None
        self.body: bytes | None = None

    async def post(self, path, body):
        assert path == "/apis/authentication.k8s.io/v1/tokenreviews"
        self.asked.append(msgspec.json.decode(body)["spec"])
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        return msgspec.json.encode({"kind": "TokenReview", "status": self.status}) if self.body is None else self.body


def a_status(*, account="agent", node="n1", audiences=("kubescribe",), authenticated=True) -> dict:
    extra = {"authentication.kubernetes.io/node-name": [node]} if node else {}
    user = {"username": f"system:serviceaccount:kubescribe:{account}", "uid": "u", "groups": [], "extra": extra}
    return {"authenticated": authenticated, "user": user, "audiences": list(audiences)}


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def server():
    return ApiServer()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reviews(server, clock):
    return TokenReviews(server.post, "kubescribe", ACCOUNTS, clock=clock)


async def test_a_token_of_a_node_agent_is_good_for_its_node_alone(reviews, server):
    assert await reviews.peer_of(TOKEN) == Peer(name="serviceaccount:kubescribe:agent", scope="node", node="n1")
    assert server.asked == [{"token": TOKEN, "audiences": ["kubescribe"]}]


async def test_the_account_decides_the_scope(reviews, server):
    server.status = a_status(account="cluster-agent", node="")

    assert (await reviews.peer_of(TOKEN)).scope == "cluster"


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"user": {}, "error": "invalid bearer token"},
        a_status(authenticated=False),
        a_status(audiences=()),
        a_status(audiences=("https://kubernetes.default.svc",)),
        a_status(account="somebody"),
        a_status(node=""),
    ],
)
async def test_whoever_is_not_proved_to_be_an_agent_is_nobody(reviews, server, status):
    server.status = status

    assert await reviews.peer_of(TOKEN) is None


async def test_what_is_no_token_of_an_account_is_not_shown_to_the_api_server(reviews, server):
    for token in ("", "static-token", "a.b", "a.b.c.d", "ä.b.c", "x" * 20_000 + ".b.c"):
        assert await reviews.peer_of(token) is None
    assert server.asked == []


async def test_an_answer_is_kept_for_a_minute_and_a_refusal_for_less(reviews, server, clock):
    await reviews.peer_of(TOKEN)
    clock.now += KEEP_SECONDS - 1
    await reviews.peer_of(TOKEN)
    assert len(server.asked) == 1

    clock.now += 2
    server.status = {}
    assert await reviews.peer_of(TOKEN) is None
    clock.now += REFUSED_SECONDS + 1
    server.status = a_status()
    assert await reviews.peer_of(TOKEN) is not None
    assert len(server.asked) == 3


async def test_many_connections_with_one_token_ask_once(reviews, server):
    peers = await asyncio.gather(*(reviews.peer_of(TOKEN) for _ in range(50)))

    assert len(server.asked) == 1
    assert len({peer.node for peer in peers}) == 1


async def test_a_failure_is_nobodys_refusal_and_is_not_kept(reviews, server):
    server.failure = PeersUnknown("away")
    with pytest.raises(PeersUnknown):
        await reviews.peer_of(TOKEN)
    server.failure = None
    server.body = b"<html>"
    with pytest.raises(PeersUnknown):
        await reviews.peer_of(TOKEN)
    server.body = None

    assert await reviews.peer_of(TOKEN) is not None
    assert reviews._under_way == {}

"""Agents prove themselves with service account tokens; the API server says whose they are."""

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from kubescribe.wire.codec import decode_from_aggregator, encode_message, encode_records
from kubescribe.wire.link import PROTOCOL_VERSION, Batch, Hello, Refused, Welcome
from kubescribe.wire.records import Change
from tests.e2e.processes import ANYWHERE, Cluster, Process, ask, ended, pretend_cluster, running

pytestmark = pytest.mark.timeout(90)

CLUSTER_UID = "of the attacker"


def a_token(mark: str) -> str:
    """Return something of the form of a JWT."""
    parts = ({"alg": "none"}, {"sub": mark})
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(it).encode()).rstrip(b"=").decode() for it in parts), "c2ln"]
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pretend_cluster(tmp_path_factory.mktemp("cluster"), "--quiet") as it:
        yield it


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("aggregator")
    with running(
        "aggregator",
        folder,
        *("--data", str(folder), *ANYWHERE, "--kubeconfig", str(cluster.kubeconfig)),
        *("--ingest-audience", "kubescribe", "--ingest-node-accounts", "kubescribe/node-agent"),
        *("--ingest-cluster-accounts", "kubescribe/cluster-agent"),
    ) as it:
        yield it


async def register(cluster: Cluster, mark: str, **claims: object) -> str:
    token = a_token(mark)
    async with cluster.control() as control:
        pod = {"pod": f"pod-{mark}", "pod_uid": f"uid-{mark}"}
        await control.token(token, namespace="kubescribe", **{"audiences": ["kubescribe"], **pod, **claims})  # type: ignore[arg-type]
    return token


def greeting(agent: str, scope: str, node: str = "") -> Hello:
    return Hello(
        protocol=PROTOCOL_VERSION,
        agent=agent,
        scope=scope,
        version="1",
        instance="i",
        spool_id=f"spool-{agent}",
        cluster_uid=CLUSTER_UID,
        node=node,
    )


async def hello(serving: Process, token: str, agent: str, scope: str, node: str = "") -> object:
    """Return the answer to a Hello, or the HTTP status that refused the connection."""
    message = greeting(agent, scope, node)
    url = serving.said["ingest"] + "/ingest/v1"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        try:
            async with session.ws_connect(url, max_msg_size=0) as socket:
                await socket.send_bytes(encode_message(message))
                frame = await socket.receive(20)
                return decode_from_aggregator(frame.data)
        except aiohttp.WSServerHandshakeError as error:
            return error.status


async def test_an_agent_is_let_in_as_who_its_token_says_and_as_nobody_else(cluster: Cluster, serving: Process) -> None:
    node = await register(cluster, "node", name="node-agent", node="n1")
    leader = await register(cluster, "leader", name="cluster-agent", node="n7")

    assert isinstance(await hello(serving, node, "node/n1", "node", "n1"), Welcome)
    assert isinstance(await hello(serving, leader, "cluster/a", "cluster"), Welcome)
    for token, agent, scope, of in (
        (node, "node/n2", "node", "n2"),
        (node, "cluster/a", "cluster", ""),
        (node, "all", "all", ""),
        (leader, "node/n7", "node", "n7"),
    ):
        refused = await hello(serving, token, agent, scope, of)
        assert isinstance(refused, Refused), (agent, scope)
        assert refused.code == "unauthorized"


async def test_what_a_node_agent_cannot_know_is_refused_and_stored_nowhere(cluster: Cluster, serving: Process) -> None:
    token = await register(cluster, "thief", name="node-agent", node="n1")
    forged = Change(
        stream="pods/node=n2", term=1, kind="Pod", name="forged", uid="forged", resource_version=9, observed_at=1
    )
    url = serving.said["ingest"] + "/ingest/v1"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.ws_connect(url, max_msg_size=0) as socket,
    ):
        await socket.send_bytes(encode_message(greeting("node/n1", "node", "n1")))
        assert isinstance(decode_from_aggregator((await socket.receive(20)).data), Welcome)
        await socket.send_bytes(encode_message(Batch(n=1, count=1, records=encode_records([forged]))))
        refused = decode_from_aggregator((await socket.receive(20)).data)

    assert isinstance(refused, Refused)
    assert refused.code == "unauthorized"
    assert "pods/node=n2" in refused.message
    assert b"forged" not in ask(serving.said["http"].rstrip("/") + "/api/v1/objects?includeDeleted=true").body


async def test_a_token_of_somebody_else_or_for_something_else_is_401(cluster: Cluster, serving: Process) -> None:
    somebody = await register(cluster, "somebody", name="default", node="n1")
    other = await register(cluster, "other", name="node-agent", node="n1", audiences=["vault"])

    for token in (somebody, other, a_token("unknown"), "static", ""):
        assert await hello(serving, token, "node/n1", "node", "n1") == 401


async def test_while_the_api_server_does_not_answer_an_agent_is_told_to_come_again(
    cluster: Cluster, serving: Process
) -> None:
    token = await register(cluster, "patient", name="node-agent", node="n3")
    async with cluster.control() as control:
        await control.forbid("tokenreviews", verb="create")
        assert await hello(serving, token, "node/n3", "node", "n3") == 503
        await control.forbid("tokenreviews", verb="create", on=False)

    assert isinstance(await hello(serving, token, "node/n3", "node", "n3"), Welcome)


async def test_a_real_agent_connects_with_its_projected_token(
    cluster: Cluster, serving: Process, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(await register(cluster, "real", name="node-agent", node="n9"))
    with running(
        "agent",
        tmp_path,
        *("--data", str(tmp_path), "--kubeconfig", str(cluster.kubeconfig), "--metrics", "127.0.0.1:0"),
        *("--aggregator", serving.said["ingest"], "--token-file", str(file), "--scope", "node", "--node", "n9"),
    ) as agent:
        async with asyncio.timeout(30):
            # The journal belongs to the cluster of the attackers above: refused for that, and not for its token.
            while not agent.events("link.ended"):
                await asyncio.sleep(0.05)
    assert "belongs to cluster" in agent.events("link.ended")[0]["reason"]


def test_what_does_not_fit_together_is_told_at_the_start(tmp_path: Path) -> None:
    def complaint(*options: str) -> str:
        done = ended("aggregator", "--check-config", "--data", str(tmp_path), *options)
        assert done.returncode == 2, done
        return done.stderr

    assert "nobody may connect" in complaint("--ingest-audience", "kubescribe")
    assert "--ingest-audience is missing" in complaint("--ingest-node-accounts", "a/b")
    assert "each scope has its own" in complaint(
        *("--ingest-audience", "x", "--ingest-node-accounts", "a/b", "--ingest-cluster-accounts", "a/b")
    )
    assert "namespace/name" in complaint("--ingest-audience", "x", "--ingest-node-accounts", "nobody")
    assert "no credential is configured" in complaint("--ingest", ":8081")

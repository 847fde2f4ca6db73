"""A node's gateway finds the pods that the agent has seen, by whatever a shipper tells of them."""

import json
from contextlib import AsyncExitStack

import aiohttp
import pytest

from agent.pods.book import PodBook
from agent.shipping.gateway import BookFinder, NodeGatewaySettings, open_node_gateway
from kubescribe.gateway.config import GatewayConfig
from kubescribe.labels.clues import Clue
from kubescribe.labels.enriching import NodeFacts
from kubescribe.runtime.values import HostPort
from kubescribe.wire.records import Change
from tests.kubescribe.loki.house import fake_loki, sending
from tests.ports import free_port

ID = "0123456789abcdef" * 4
SECOND = 10**9


CREATED = "2026-09-21T14:13:20Z"
CREATED_AT = 1_790_000_000 * SECOND


def pod(name, uid, body=None, *, container=ID, created=CREATED, **annotations):
    found = {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": uid,
            "annotations": annotations,
            "creationTimestamp": created,
        },
        "spec": {"nodeName": "n1"},
        "status": {"containerStatuses": [{"containerID": f"containerd://{container}"}]},
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
        (Clue(container_id="0" * 64, namespace="shop", pod="web"), None),
        # Of a pod that was too large to be reported only the name is known: no better than what the shipper sent.
        (Clue(uid="u2"), None),
        (Clue(), None),
    ],
)
def test_a_clue_leads_to_its_pod(finder, clue, name):
    found = finder.find(clue)

    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("container", "seconds", "uid"),
    [
        (ID, 60, "u2"),
        # Just started, and its status has not come yet.
        ("1" * 64, 60, "u2"),
        # The last words of the pod that had the name before: of a time when this one was not there, or hardly.
        ("1" * 64, -60, None),
        ("1" * 64, 0.9, None),
        # What is known of the former pod holds at any time.
        ("f" * 64, -60, "u1"),
        ("f" * 64, 60, "u1"),
    ],
)
def test_late_lines_of_a_container_that_nobody_knows_are_not_those_of_the_next_pod_of_its_name(container, seconds, uid):
    book = PodBook(now_ns=lambda: 1)
    book.observe(pod("db-0", "u1", container="f" * 64))
    book.observe(pod("db-0", "u2"))
    clue = Clue(container_id=container, namespace="shop", pod="db-0")

    found = BookFinder(book, cluster="prod", node="n1").find(clue, CREATED_AT + int(seconds * SECOND))

    assert (found.uid if found else None) == uid


@pytest.mark.parametrize(
    ("seconds", "uid"),
    [
        (-3600, "u3"),  # older than all of them: as good as no time
        (-59, "u1"),
        (30, "u2"),
        (60.5, "u2"),  # the next was made within that second, which the API rounds down
        (61, "u3"),
        (3600, "u3"),
    ],
)
def test_a_name_is_that_of_the_pod_that_had_it_when_the_line_was_written(seconds, uid):
    book = PodBook(now_ns=lambda: 1)
    for each, created in (("u1", "14:12:20"), ("u2", "14:13:20"), ("u3", "14:14:20")):
        book.observe(pod("db-0", each, container=each * 32, created=f"2026-09-21T{created}Z"))
    finder = BookFinder(book, cluster="prod", node="n1")

    assert finder.find(Clue(namespace="shop", pod="db-0"), CREATED_AT + int(seconds * SECOND)).uid == uid
    assert finder.find(Clue(namespace="shop", pod="db-0")).uid == "u3"


def test_a_static_pods_containers_may_be_older_than_it_is():
    book = PodBook(now_ns=lambda: 1)
    book.observe(pod("etcd-n1", "u1", **{"kubernetes.io/config.mirror": "f" * 32}))
    finder = BookFinder(book, cluster="prod", node="n1")

    assert finder.find(Clue(container_id="1" * 64, namespace="shop", pod="etcd-n1"), CREATED_AT + 60 * SECOND) is None
    assert finder.find(Clue(namespace="shop", pod="etcd-n1"), CREATED_AT - 60 * SECOND) is not None


@pytest.fixture
async def knock(tmp_path):
    """Return what opens a gateway on a book and pushes to it: the status, and when to come again."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        loki = await stack.enter_async_context(fake_loki())
        sender = await stack.enter_async_context(sending(loki.url))

        async def opened(book):
            port = free_port()
            settings = NodeGatewaySettings(
                gateway=GatewayConfig(),
                listen=HostPort("127.0.0.1", port),
                token_file=None,
                folder=tmp_path / str(port),
                tenant="",
                cluster="prod",
                node="n1",
                pod_labels=(),
                free_floor=0.0,
            )
            await stack.enter_async_context(open_node_gateway(settings, book, sender))

            async def push():
                body = {"streams": [{"stream": {"pod": "web"}, "values": [[str(CREATED_AT), "x"]]}]}
                async with session.post(f"http://127.0.0.1:{port}/loki/api/v1/push", json=body) as answer:
                    return answer.status, answer.headers.get("Retry-After")

            return push

        yield opened


async def test_nothing_is_taken_before_the_pods_are_known(knock):
    book = PodBook(now_ns=lambda: 1, first_list_seconds=3600.0)
    push = await knock(book)
    book.pass_mark("pods", is_listing=True)
    book.observe(pod("web", "u1"))
    assert await push() == (503, "1")

    book.pass_mark("pods", is_listing=False)

    assert (await push())[0] == 204


async def test_a_restart_and_an_api_server_that_is_away_keep_no_shipper_waiting_for_long(knock):
    known, unknown = PodBook(now_ns=lambda: 1, first_list_seconds=3600.0), PodBook(now_ns=lambda: 1)
    known.restore({}, None, ["pods"])

    assert (await (await knock(known))())[0] == 204
    assert (await (await knock(unknown))())[0] == 204


async def test_nothing_is_taken_before_the_zone_of_a_new_node_is_known(knock):
    book = PodBook(now_ns=lambda: 1, zone_seconds=3600.0)
    push = await knock(book)
    book.welcome({})
    assert await push() == (503, "1")

    book.welcome({"n1": "z1"})

    assert (await push())[0] == 204


def test_a_pod_is_where_it_runs_and_everything_else_here(finder):
    assert finder.node_of(finder.find(Clue(uid="u1"))) == NodeFacts(cluster="prod", node="n1", zone="z1")
    assert finder.node_of(None) == NodeFacts(cluster="prod", node="n1", zone="z1")

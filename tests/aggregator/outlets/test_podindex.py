"""The pods of a gateway's lines are found by whatever tells them, as soon as they are committed and for a day after."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from aggregator.outlets import podindex
from aggregator.outlets.podindex import DEAD_SECONDS, PodIndex
from aggregator.store.opening import open_journal
from kubescribe.labels.clues import Clue
from kubescribe.labels.enriching import NodeFacts
from kubescribe.wire.records import Change
from tests.aggregator.ingest.conftest import Scribe, writing
from tests.aggregator.ingest.house import SECOND

ROOT = Path(__file__).parents[3]
ID = "0123456789abcdef" * 4
CREATED = "2026-09-21T14:13:20Z"
CREATED_AT = 1_790_000_000 * SECOND


def pod(uid, name, version, *, gone=False, node="n1", ids=(), created=CREATED, **annotations):
    body = {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": uid,
            "annotations": annotations,
            "creationTimestamp": created,
        },
        "spec": {"nodeName": node, "containers": [{"name": "app", "image": "i:1"}]},
        "status": {"containerStatuses": [{"containerID": f"containerd://{each}"} for each in ids]},
    }
    return Change(
        stream="pods",
        term=1,
        kind="Pod",
        namespace="shop",
        name=name,
        uid=uid,
        resource_version=version,
        observed_at=version * SECOND,
        gone=gone,
        node=node,
        body=json.dumps(body, separators=(",", ":")).encode(),
    )


def node(name, zone, version):
    body = {"metadata": {"name": name, "uid": name, "labels": {"topology.kubernetes.io/zone": zone}}}
    return Change(
        stream="nodes",
        term=1,
        kind="Node",
        name=name,
        uid=name,
        resource_version=version,
        observed_at=version * SECOND,
        body=json.dumps(body, separators=(",", ":")).encode(),
    )


async def found(index, **clue):
    """Return the name of the pod behind a clue; asked in another thread, as a gateway does."""
    pod = await asyncio.to_thread(index.find, Clue(**clue))
    return pod.name if pod else None


@pytest.fixture(params=["memory", "sqlite"])
def url(request, tmp_path):
    return "memory:" if request.param == "memory" else str(tmp_path / "journal.db")


@pytest.fixture
def clock():
    return [1_000 * SECOND]


@pytest.fixture
async def followed(url, clock):
    journal = open_journal(url)
    committed = []
    async with writing(journal, committed) as pipeline:
        scribe = Scribe(pipeline)
        index = PodIndex(journal, now_ns=lambda: clock[0])

        async def send(*records):
            await scribe.send(*records)
            for each in committed:
                index.observe(each.seen)
            committed.clear()

        await scribe.claim("pods")
        await scribe.claim("nodes", kind="Node")
        yield index, send, scribe


async def test_a_pod_is_found_by_its_uid_its_files_its_containers_and_its_name(followed):
    index, send, _ = followed
    mirror = {"kubernetes.io/config.mirror": "f" * 32}
    await send(node("n1", "z1", 1), pod("u1", "web", 2, ids=[ID]), pod("u2", "etcd", 3, **mirror))

    assert await found(index, uid="u1") == "web"
    assert await found(index, uid="f" * 32) == "etcd"
    assert await found(index, container_id=ID) == "web"
    assert await found(index, namespace="shop", pod="web") == "web"
    assert await found(index, namespace="shop", pod="nobody") is None
    index.cluster = lambda: "prod"
    assert index.node_of(index.find(Clue(uid="u1"))) == NodeFacts(cluster="prod", node="n1", zone="z1")
    assert index.find(Clue(uid="u1")) is index.find(Clue(uid="u1"))


async def test_of_several_pods_of_a_name_the_latest_is_meant(followed):
    index, send, _ = followed
    await send(pod("u1", "db-0", 1))
    await send(pod("u1", "db-0", 2, gone=True), pod("u2", "db-0", 3))

    assert (await asyncio.to_thread(index.find, Clue(namespace="shop", pod="db-0"))).uid == "u2"
    assert await found(index, uid="u1") == "db-0"


async def test_a_name_is_that_of_the_pod_that_had_it_when_the_line_was_written(followed, clock, monkeypatch):
    index, send, _ = followed
    await send(pod("u1", "db-0", 1))
    await send(pod("u1", "db-0", 2, gone=True), pod("u2", "db-0", 3, created="2026-09-21T14:14:20Z"))

    async def uid(seconds=None):
        at = CREATED_AT + int(seconds * SECOND) if seconds is not None else 0
        return (await asyncio.to_thread(index.find, Clue(namespace="shop", pod="db-0"), at)).uid

    assert [await uid(it) for it in (None, 30, 60.5, 61)] == ["u2", "u1", "u1", "u2"]

    monkeypatch.setattr(podindex, "DEAD_SECONDS", 0)
    clock[0] += SECOND
    await send(pod("u3", "other", 4))
    assert (await uid(30), index._former) == ("u2", {})


async def test_late_lines_of_a_container_that_nobody_knows_are_not_those_of_the_next_pod_of_its_name(followed):
    index, send, _ = followed
    await send(pod("u1", "db-0", 1, ids=[ID]))
    await send(pod("u1", "db-0", 2, gone=True, ids=[ID]), pod("u2", "db-0", 3, ids=["f" * 64]))

    async def uid(container_id, seconds):
        clue = Clue(container_id=container_id, namespace="shop", pod="db-0")
        pod = await asyncio.to_thread(index.find, clue, CREATED_AT + seconds * SECOND)
        return pod.uid if pod else None

    assert [await uid(ID, -60), await uid(ID, 60)] == ["u1", "u1"]
    assert [await uid("1" * 64, -60), await uid("1" * 64, 0), await uid("1" * 64, 60)] == [None, None, "u2"]
    # Who is asked for and known lives: it is not forgotten with the dead.
    assert list(index._dead) == ["u1"]


async def test_a_dead_pod_is_forgotten_after_a_day_and_with_it_all_its_keys(followed, clock, monkeypatch):
    monkeypatch.setattr(podindex, "_FORGOTTEN_AT_ONCE", 1)
    index, send, _ = followed
    await send(pod("u1", "web", 1, ids=[ID]))
    assert await found(index, container_id=ID) == "web"
    await send(pod("u1", "web", 2, gone=True))
    clock[0] += (DEAD_SECONDS - 1) * SECOND
    await send(pod("u2", "other", 3))
    assert await found(index, uid="u1") == "web"

    clock[0] += 2 * SECOND
    await send(pod("u2", "other", 4))

    assert len(index) == 1
    assert [len(each) for each in (index._packed, index._names, index._containers)] == [1, 1, 0]


async def test_after_a_start_the_living_are_there_and_the_dead_are_asked_of_the_journal_once(url, tmp_path):
    if url == "memory:":
        pytest.skip("a journal in memory has no start")
    async with writing(open_journal(url), []) as pipeline:
        scribe = Scribe(pipeline)
        await scribe.claim("pods")
        await scribe.send(pod("u1", "web", 1, ids=[ID]), pod("u2", "job", 2))
        await scribe.send(pod("u2", "job", 3, gone=True))

    journal = open_journal(url)
    async with writing(journal, []):
        index = PodIndex(journal, now_ns=lambda: 1_000 * SECOND)
        await index.fill()

        assert len(index) == 1
        assert await found(index, container_id=ID) == "web"
        assert await found(index, namespace="shop", pod="job") == "job"
        assert await found(index, uid="u2") == "job"
        assert await found(index, uid="u9") is None
        assert await found(index, container_id="1" * 64, namespace="shop", pod="gone") is None
        assert Clue(uid="u9") in index._missed


class SlowJournal:
    """Knows no pod, and takes its time to say so."""

    def __init__(self):
        self.asked = 0

    async def object(self, _uid):
        self.asked += 1
        await asyncio.sleep(0.1)


async def test_whoever_makes_up_pods_does_not_keep_the_others_waiting_for_the_journal(clock, monkeypatch):
    monkeypatch.setattr(podindex, "ASKING_SECONDS", 0.3)
    journal = SlowJournal()
    index = PodIndex(journal, now_ns=lambda: clock[0])

    for number in range(1000):
        assert await found(index, uid=f"made-up-{number}") is None

    assert 3 <= journal.asked < 20


def test_no_label_that_names_a_workload_is_left_out():
    source = "".join((ROOT / "kubescribe/labels" / name).read_text() for name in ("workloads.py", "enriching.py"))
    asked = set(re.findall(r'"((?:app\.kubernetes\.io/|[a-z-]*hash|k8s-app|app")[a-z-]*)', source))

    assert {each.rstrip('"') for each in asked} == podindex.NAMING_LABELS

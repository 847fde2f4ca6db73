"""Pods are found by whatever a line tells of them, also when they are dead."""

import json
from typing import Any

import msgspec
import pytest

from agent.pods.book import DEAD_SECONDS, PodBook
from kubescribe.labels.pods import MIRROR
from kubescribe.wire.records import Change


class Now:
    def __init__(self) -> None:
        self.at = 10**18

    def __call__(self) -> int:
        return self.at

    def seconds(self) -> float:
        return self.at / 10**9


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def book(now: Now) -> PodBook:
    return PodBook(now_ns=now, max_dead=3)


def pod(name: str, uid: str, *, node: str = "n1", ids: tuple[str, ...] = (), gone: bool = False, **meta: Any) -> Change:
    body = {
        "metadata": {"name": name, "uid": uid, "namespace": "shop", **meta},
        "spec": {"nodeName": node, "containers": [{"name": "app", "image": "shop:1"}]},
        "status": {"containerStatuses": [{"name": "app", "containerID": f"containerd://{each}"} for each in ids]},
    }
    return Change(
        stream="pods",
        term=1,
        kind="Pod",
        name=name,
        namespace="shop",
        uid=uid,
        resource_version=1,
        observed_at=1,
        node=node,
        gone=gone,
        body=json.dumps(body, separators=(",", ":")).encode(),
    )


@pytest.mark.parametrize(("phase", "is_over"), [("Running", False), ("Succeeded", True), ("Failed", True)])
def test_a_pod_in_its_last_phase_is_over_but_never_a_static_one(book: PodBook, phase: str, is_over: bool) -> None:
    for name, meta in (("job-0", {}), ("etcd", {"annotations": {MIRROR: "f" * 32}})):
        change = pod(name, name, **meta)
        status = f'"status":{{"phase":"{phase}",'.encode()
        book.observe(msgspec.structs.replace(change, body=change.body.replace(b'"status":{', status)))

    assert book.is_over("job-0") is is_over
    assert not book.is_over("etcd")
    assert not book.is_over("f" * 32)


def test_a_pod_is_found_by_uid_name_and_container(book: PodBook) -> None:
    book.observe(pod("web-0", "u-1", ids=("ab" * 32,)))

    facts = book.of_uid("u-1")
    assert facts is not None
    assert facts.images == {"app": "shop:1"}
    assert book.of_file("u-1") is facts
    assert book.of_name("shop", "web-0") is facts
    assert book.of_container("ab" * 32) is facts
    assert book.of_container("cd" * 32) is None


def test_a_static_pod_is_found_by_the_uid_of_its_files(book: PodBook) -> None:
    book.observe(pod("etcd-n1", "u-1", annotations={MIRROR: "0123abcd"}))

    assert book.of_file("0123abcd") is book.of_uid("u-1") is not None


def test_what_is_known_of_a_pod_is_what_was_first_seen(book: PodBook) -> None:
    book.observe(pod("web-0", "u-1", labels={"team": "a"}))
    book.observe(pod("web-0", "u-1", labels={"team": "b"}, ids=("ab" * 32,)))

    facts = book.of_uid("u-1")
    assert facts is not None
    assert facts.labels == {"team": "a"}
    assert book.of_container("ab" * 32) is facts


def test_a_pod_that_was_seen_before_it_had_a_node_has_it_later(book: PodBook) -> None:
    book.observe(pod("web-0", "u-1", node=""))
    book.observe(pod("web-0", "u-1", node="n7"))

    facts = book.of_uid("u-1")
    assert facts is not None
    assert facts.node == "n7"


def test_a_dead_pod_is_found_for_a_day(book: PodBook, now: Now) -> None:
    book.observe(pod("web-0", "u-1", ids=("ab" * 32,)))
    book.observe(pod("web-0", "u-1", gone=True))
    now.at += (DEAD_SECONDS - 1) * 10**9
    book.forget_old()
    assert book.of_name("shop", "web-0") is not None

    now.at += 2 * 10**9
    book.forget_old()

    assert book.of_uid("u-1") is book.of_name("shop", "web-0") is book.of_container("ab" * 32) is None


def test_a_name_is_its_last_pods(book: PodBook, now: Now) -> None:
    book.observe(pod("web-0", "u-1"))
    book.observe(pod("web-0", "u-1", gone=True))
    book.observe(pod("web-0", "u-2"))
    now.at += (DEAD_SECONDS + 1) * 10**9
    book.forget_old()

    assert book.of_name("shop", "web-0") is book.of_uid("u-2") is not None


def test_a_name_is_its_last_pods_after_a_restart_too(book: PodBook, now: Now) -> None:
    book.observe(pod("db-0", "u1"))
    book.observe(pod("db-0", "u1", gone=True))
    book.observe(pod("db-0", "u2"))
    # What is new is written in no order.
    pages = {uid: page for uid in ("u2", "u1") if (page := book.page(uid)) is not None}
    again = PodBook(now_ns=now)

    again.restore(pages, None)

    found = again.of_name("shop", "db-0")
    assert found is not None
    assert found.uid == "u2"


def test_the_longest_dead_are_forgotten_first(book: PodBook) -> None:
    for number in range(5):
        book.observe(pod(f"job-{number}", f"u-{number}"))
        book.observe(pod(f"job-{number}", f"u-{number}", gone=True))
    book.forget_old()

    assert [book.of_uid(f"u-{number}") is not None for number in range(5)] == [False, False, True, True, True]


def test_an_object_that_cannot_be_read_is_known_by_its_name(book: PodBook) -> None:
    book.observe(
        Change(
            stream="pods",
            term=1,
            kind="Pod",
            name="big",
            namespace="shop",
            uid="u-1",
            resource_version=1,
            observed_at=1,
        )
    )

    facts = book.of_uid("u-1")
    assert facts is not None
    assert facts.is_guessed


def node(name: str, body: bytes) -> Change:
    return Change(stream="nodes", term=1, kind="Node", name=name, uid="u", resource_version=1, observed_at=1, body=body)


def test_a_zone_is_known_from_the_node_or_the_welcome(book: PodBook) -> None:
    assert book.zone_of("n1") is None
    book.observe(node("n1", b'{"metadata":{"labels":{"topology.kubernetes.io/zone":"z-1"}}}'))
    assert book.zone_of("n1") == "z-1"
    assert book.zone_of("n2") is None

    book.welcome({"n3": "z-3"})

    assert (book.zone_of("n1"), book.zone_of("n2"), book.zone_of("n3")) == ("z-1", "", "z-3")


def test_a_pod_that_ended_is_told_once_and_only_with_containers_that_ran(book: PodBook, now: Now) -> None:
    book.observe(pod("web-0", "u-1", ids=("ab" * 32,)))
    book.observe(pod("web-0", "u-1", ids=("ab" * 32,), gone=True))
    book.observe(pod("web-0", "u-1", ids=("ab" * 32,), gone=True))
    book.observe(pod("evicted-0", "u-2", gone=True))

    assert book.take_ended(now.at) == []
    (ended,) = book.take_ended(now.at + 1)
    assert (ended.pod.uid, ended.containers) == ("u-1", ("app",))
    assert book.take_ended(now.at + 1) == []


def test_a_node_that_no_welcome_named_has_no_zone_only_after_a_while(now: Now) -> None:
    book = PodBook(now_ns=now, clock=now.seconds, zone_seconds=60.0)
    assert not book.is_zone_coming("n1")  # nobody is there who could tell

    book.welcome({})
    now.at += 59 * 10**9
    assert (book.zone_of("n1"), book.is_zone_coming("n1")) == (None, True)
    book.welcome({"n1": "z-1"})
    assert (book.zone_of("n1"), book.zone_of("n2")) == ("z-1", None)
    assert (book.zone_of(""), book.is_zone_coming("")) == ("", False)  # an agent that sees several is of none

    now.at += 2 * 10**9
    book.welcome({})  # it connects anew: that is no reason to wait anew
    assert (book.zone_of("n1"), book.zone_of("n2"), book.is_zone_coming("n2")) == ("z-1", "", False)


def test_a_life_after_one_that_was_told_waits_for_no_zone(now: Now) -> None:
    book = PodBook(now_ns=now, clock=now.seconds, zone_seconds=60.0)
    book.restore({}, {})

    book.welcome({})

    assert (book.zone_of("n1"), book.is_zone_coming("n1")) == ("", False)


def test_a_node_of_which_its_cloud_tells_later_has_its_zone_then(book: PodBook) -> None:
    taint = b'"spec":{"taints":[{"key":"node.cloudprovider.kubernetes.io/uninitialized","effect":"NoSchedule"}]}'
    book.observe(node("n1", b'{"metadata":{"name":"n1"},' + taint + b"}"))
    assert book.zone_of("n1") is None

    book.observe(node("n1", b'{"metadata":{"labels":{"topology.kubernetes.io/zone":"z-1"}}}'))

    assert book.zone_of("n1") == "z-1"


def test_the_first_list_is_waited_for_until_it_came_or_is_overdue(now: Now) -> None:
    book = PodBook(now_ns=now, clock=now.seconds, first_list_seconds=20.0)
    other = PodBook(now_ns=now, clock=now.seconds, first_list_seconds=20.0)
    assert book.is_list_coming()

    book.pass_mark("pods/node=n1", is_listing=True)
    book.pass_mark("pods/node=n1", is_listing=False)
    assert not book.is_list_coming()

    now.at += 20 * 10**9
    assert not other.is_list_coming()

"""Lists: envelope, pages, versions."""

import base64
import json

import pytest


def names(answer):
    return [item["metadata"]["name"] for item in answer["items"]]


async def test_the_envelope_and_the_items_are_as_recorded(cluster, recorded):
    wanted = recorded("pods.list.json")[0]
    for item in wanted["items"]:
        cluster.etcd.create("pods", item, manager="m")

    answer = await cluster.json("/api/v1/pods")

    assert list(wanted) == list(answer)
    assert {**wanted, "metadata": 0, "items": 0} == {**answer, "metadata": 0, "items": 0}
    assert list(wanted["metadata"]) == list(answer["metadata"])
    assert [list(item) for item in wanted["items"]] == [list(item) for item in answer["items"]]
    assert answer["metadata"]["resourceVersion"] == str(cluster.etcd.revision)


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/apis/apps/v1/daemonsets", "daemonsets"),
        ("/apis/batch/v1/cronjobs", "cronjobs"),
        ("/apis/autoscaling/v2/horizontalpodautoscalers", "hpas"),
        ("/apis/discovery.k8s.io/v1/endpointslices", "endpointslices"),
    ],
)
async def test_an_empty_list_is_the_recorded_bytes(cluster, recordings, path, file):
    while cluster.etcd.revision < 302:
        cluster.etcd.touch()

    assert (200, (recordings / f"{file}.list.json").read_bytes()) == await cluster.get(path)


async def test_a_page_has_the_recorded_metadata_and_token_shape(cluster, pod, recorded):
    wanted = recorded("errors.json")[0]["paged"]["metadata"]
    for name in "abcde":
        cluster.etcd.create("pods", pod(name), manager="m")

    answer = (await cluster.json("/api/v1/pods?limit=2"))["metadata"]

    assert list(wanted) == list(answer)
    assert answer["remainingItemCount"] == 3
    decode = lambda token: json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))  # noqa: E731
    assert decode(answer["continue"]) == {"v": "meta.k8s.io/v1", "rv": cluster.etcd.revision, "start": "/shop/b\0"}
    assert list(decode(wanted["continue"])) == list(decode(answer["continue"]))


async def test_pages_are_one_consistent_list_whatever_is_written_between_them(cluster, pod):
    for name in "abcd":
        cluster.etcd.create("pods", pod(name), manager="m")

    first = await cluster.json("/api/v1/namespaces/shop/pods?limit=2")
    cluster.etcd.delete("pods", "shop", "c")
    cluster.etcd.create("pods", pod("bb"), manager="m")
    second = await cluster.json(f"/api/v1/namespaces/shop/pods?limit=2&continue={first['metadata']['continue']}")

    assert names(first) + names(second) == ["a", "b", "c", "d"]
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    assert "continue" not in second["metadata"]


async def test_an_expired_token_is_the_recorded_410_with_a_token_for_the_inconsistent_rest(cluster, pod, recorded):
    for number in range(4):
        event = {"metadata": {"name": f"e{number}", "namespace": "shop"}, "reason": "Started"}
        cluster.etcd.create("events", event, manager="kubelet")
    first = await cluster.json("/api/v1/events?limit=2")
    cluster.etcd.create("pods", pod("a"), manager="m")
    await cluster.control.compact()

    status, body = await cluster.get(f"/api/v1/events?limit=2&continue={first['metadata']['continue']}")

    answer, wanted = json.loads(body), recorded("410.continue.json")[0]
    token = answer["metadata"].pop("continue")
    wanted["metadata"].pop("continue")
    assert (410, wanted) == (status, answer)
    padded = token + "=" * (-len(token) % 4)
    assert json.loads(base64.urlsafe_b64decode(padded)) == {"v": "meta.k8s.io/v1", "rv": -1, "start": "shop/e1\0"}
    rest = await cluster.json(f"/api/v1/events?limit=2&continue={token}")
    assert names(rest) == ["e2", "e3"]


async def test_a_version_in_the_future_is_too_large(start):
    cluster = await start(fresh_wait_seconds=0.05)

    status, body = await cluster.get("/api/v1/pods?resourceVersion=99999")

    answer = json.loads(body)
    assert status == 504
    assert answer["message"] == f"Timeout: Too large resource version: 99999, current: {cluster.etcd.revision}"
    assert answer["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_an_exact_version_shows_the_state_of_then(cluster, pod):
    cluster.etcd.create("pods", pod("a"), manager="m")
    then = cluster.etcd.revision
    cluster.etcd.create("pods", pod("b"), manager="m")

    exact = await cluster.json(f"/api/v1/pods?resourceVersion={then}&resourceVersionMatch=Exact")
    newer = await cluster.json(f"/api/v1/pods?resourceVersion={then}&resourceVersionMatch=NotOlderThan")

    assert (["a"], str(then)) == (names(exact), exact["metadata"]["resourceVersion"])
    assert names(newer) == ["a", "b"]


async def test_a_lagging_cache_answers_zero_at_once_and_unset_when_it_has_caught_up(cluster, pod):
    await cluster.control.delay(0.1, "pods")
    cluster.etcd.create("pods", pod("a"), manager="m")

    stale = await cluster.json("/api/v1/pods?resourceVersion=0")
    fresh = await cluster.json("/api/v1/pods")

    assert (names(stale), names(fresh)) == ([], ["a"])


async def test_a_cache_that_does_not_catch_up_is_passed_by_for_a_consistent_list(start, pod):
    cluster = await start(fresh_wait_seconds=0.05)
    await cluster.control.delay(60, "pods")
    cluster.etcd.create("pods", pod("a"), manager="m")

    assert names(await cluster.json("/api/v1/pods")) == ["a"]
    assert (await cluster.get(f"/api/v1/pods?resourceVersion={cluster.etcd.revision}"))[0] == 504
    await cluster.control.delay(0, "pods")
    assert names(await cluster.json("/api/v1/pods?resourceVersion=0")) == ["a"]


async def test_selectors_and_namespaces_narrow_a_list(cluster, pod):
    cluster.etcd.create("pods", pod("a", node="n1", app="web"), manager="m")
    cluster.etcd.create("pods", pod("b", app="api"), manager="m")
    cluster.etcd.create("pods", pod("c", namespace="other", node="n1", app="web"), manager="m")

    assert names(await cluster.json("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")) == ["c", "a"]
    assert names(await cluster.json("/api/v1/namespaces/shop/pods?labelSelector=app+notin+(web)")) == ["b"]
    assert names(await cluster.json("/api/v1/pods?fieldSelector=spec.nodeName%3D")) == ["b"]


async def test_events_of_both_groups_are_the_same_objects(cluster, recorded):
    for item in recorded("events.list.json")[0]["items"]:
        cluster.etcd.create("events", item, manager="m")

    core = await cluster.json("/api/v1/events")
    v1 = await cluster.json("/apis/events.k8s.io/v1/events")

    identity = lambda answer: [(i["metadata"]["uid"], i["metadata"]["resourceVersion"]) for i in answer["items"]]  # noqa: E731
    assert identity(core) == identity(v1)
    assert (core["apiVersion"], v1["apiVersion"]) == ("v1", "events.k8s.io/v1")
    wanted = recorded("events-v1.list.json")[0]["items"]
    strip = lambda item: {key: value for key, value in item.items() if key != "metadata"}  # noqa: E731
    assert [strip(item) for item in wanted] == [strip(item) for item in v1["items"]]
    assert (await cluster.get("/apis/events.k8s.io/v1/events?fieldSelector=regarding.kind%3DPod"))[0] == 200
    assert (await cluster.get("/api/v1/events?fieldSelector=regarding.kind%3DPod"))[0] == 400


async def test_metadata_only_lists_carry_the_kind_in_each_item(cluster, pod):
    cluster.etcd.create("pods", pod("a"), manager="m")

    answer = await cluster.json(
        "/api/v1/pods", Accept="application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    )

    assert answer["kind"] == "PartialObjectMetadataList"
    assert list(answer["items"][0]) == ["kind", "apiVersion", "metadata"]
    assert answer["items"][0]["kind"] == "PartialObjectMetadata"


async def test_a_lost_delete_stays_in_lists_and_is_gone_from_the_store(cluster, pod):
    cluster.etcd.create("pods", pod("a"), manager="m")
    await cluster.control.lose_deletes("pods")

    await cluster.control.delete("pods", "shop", "a")

    assert names(await cluster.json("/api/v1/pods")) == ["a"]
    assert (await cluster.get("/api/v1/namespaces/shop/pods/a"))[0] == 404


@pytest.mark.parametrize(
    "query",
    [
        "resourceVersionMatch=Exact",
        "resourceVersion=0&resourceVersionMatch=Exact",
        "sendInitialEvents=true",
    ],
)
async def test_options_that_contradict_each_other_are_invalid(cluster, query):
    status, body = await cluster.get(f"/api/v1/pods?{query}")

    assert (status, json.loads(body)["reason"]) == (422, "Invalid")

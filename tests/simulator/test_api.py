"""Requests that are not lists or watches, and every refusal, against the recorded answers."""

import json

import aiohttp
import pytest


@pytest.mark.parametrize("name", ["notfound", "bad_continue", "bad_field"])
async def test_a_refusal_is_the_recorded_one(cluster, recorded, name):
    errors = recorded("errors.json")[0]
    wanted = errors[name]

    status, body = await cluster.get(wanted["request"])

    assert (wanted["status"], wanted["body"].encode()) == (status, body)


async def test_a_resource_version_that_is_no_number_is_the_recorded_500(cluster, recorded):
    wanted = recorded("errors.json")[0]["bad_rv"]

    status, body = await cluster.get(wanted["request"])

    assert (wanted["status"], wanted["body"].encode()) == (status, body)


@pytest.mark.parametrize("token", ["", "Bearer wrong"])
async def test_without_the_token_the_answer_is_the_recorded_401(cluster, recorded, token):
    wanted = recorded("errors.json")[0]["unauthorized_401"]

    async with (
        aiohttp.ClientSession(headers={"Authorization": token} if token else {}) as session,
        session.get(cluster.url + wanted["request"]) as response,
    ):
        assert (wanted["status"], wanted["body"].encode()) == (response.status, await response.read())


async def test_a_forbidden_resource_is_the_recorded_403_but_for_the_user(cluster, recorded):
    await cluster.control.forbid("pods")
    wanted = json.loads(recorded("errors.json")[0]["anonymous_403"]["body"])

    status, body = await cluster.get("/api/v1/pods")

    user = "system:serviceaccount:kubescribe:kubescribe"
    wanted["message"] = wanted["message"].replace("system:anonymous", user)
    assert (403, wanted) == (status, json.loads(body))
    await cluster.control.forbid("pods", on=False)
    assert (await cluster.get("/api/v1/pods"))[0] == 200


async def test_a_forbidden_namespace_and_group_are_named(cluster):
    await cluster.control.forbid("deployments", verb="get")

    status, body = await cluster.get("/apis/apps/v1/namespaces/shop/deployments/web")

    assert status == 403
    assert json.loads(body)["details"] == {"name": "web", "group": "apps", "kind": "deployments"}
    assert 'in API group "apps" in the namespace "shop"' in json.loads(body)["message"]


async def test_a_get_reads_the_store_and_a_missing_name_is_a_404(cluster, pod):
    created = cluster.etcd.create("pods", pod("a"), manager="m")

    assert created == await cluster.json("/api/v1/namespaces/shop/pods/a")
    status, body = await cluster.get("/api/v1/namespaces/shop/pods/b")
    assert status == 404
    assert json.loads(body) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'pods "b" not found',
        "reason": "NotFound",
        "details": {"name": "b", "kind": "pods"},
        "code": 404,
    }


async def test_discovery_names_every_kind_that_is_watched(cluster):
    core = await cluster.json("/api/v1")
    apps = await cluster.json("/apis/apps/v1")
    groups = await cluster.json("/apis")

    assert {"pods", "nodes", "events", "configmaps"} <= {item["name"] for item in core["resources"]}
    assert {"deployments", "replicasets"} <= {item["name"] for item in apps["resources"]}
    assert {"apps", "batch", "events.k8s.io", "rbac.authorization.k8s.io"} <= {g["name"] for g in groups["groups"]}
    assert (await cluster.json("/version"))["minor"] == "36"
    assert (await cluster.get("/readyz")) == (200, b"ok")
    aggregated = await cluster.json(
        "/apis", Accept="application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    )
    assert aggregated["kind"] == "APIGroupDiscoveryList"


async def test_a_custom_group_is_served_once_it_is_switched_on(cluster):
    assert (await cluster.get("/apis/argoproj.io/v1alpha1/applications"))[0] == 404

    await cluster.control.custom("argoproj.io")

    assert (await cluster.get("/apis/argoproj.io/v1alpha1/applications"))[0] == 200
    assert (await cluster.get("/apis/argoproj.io/v1alpha1"))[0] == 200


async def test_objects_are_written_over_http_with_the_servers_conflicts(cluster):
    url = f"{cluster.url}/apis/coordination.k8s.io/v1/namespaces/default/leases"
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}}

    async with cluster.session.post(url, json=lease) as response:
        created = await response.json()
        assert response.status == 201
    async with cluster.session.post(url, json=lease) as response:
        assert (response.status, (await response.json())["reason"]) == (409, "AlreadyExists")
    created["spec"]["holderIdentity"] = "b"
    async with cluster.session.put(f"{url}/l", json=created) as response:
        assert (await response.json())["spec"]["holderIdentity"] == "b"
    async with cluster.session.put(f"{url}/l", json=created) as response:
        assert (response.status, (await response.json())["reason"]) == (409, "Conflict")
    async with cluster.session.patch(f"{url}/l", json={"spec": {"holderIdentity": None}}) as response:
        assert (await response.json())["spec"] == {}
    async with cluster.session.delete(f"{url}/l") as response:
        assert response.status == 200
    async with cluster.session.delete(f"{url}/l") as response:
        assert response.status == 404


async def test_requests_are_counted_by_resource_verb_and_query(cluster):
    await cluster.get("/api/v1/pods?limit=500")
    await cluster.get("/api/v1/pods?limit=500&resourceVersion=0")
    await cluster.get("/api/v1/namespaces/kube-system")

    rows = {(row["resource"], row["verb"], row["query"]): row["count"] for row in await cluster.control.requests()}

    assert rows == {
        ("pods", "list", "limit"): 1,
        ("pods", "list", "limit&resourceVersion=0"): 1,
        ("namespaces", "get", ""): 1,
    }

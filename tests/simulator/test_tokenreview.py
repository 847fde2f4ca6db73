"""TokenReviews and the tokens that tests register: what an aggregator learns of who knocks."""

import aiohttp
import pytest

from simulator.control import VerbRefused
from simulator.process import simulator_process
from simulator.tokens import LEEWAY_SECONDS

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
API = "https://kubernetes.default.svc"


@pytest.fixture
def review(cluster):
    """Ask whose token it is; return the whole answer."""

    async def ask(token, *audiences):
        body = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {"token": token}}
        if audiences:
            body["spec"]["audiences"] = list(audiences)
        headers = {"User-Agent": "kubescribe/1.0"}
        async with cluster.session.post(cluster.url + PATH, json=body, headers=headers) as response:
            assert response.status == 201
            return await response.json()

    return ask


async def test_a_pods_token_is_answered_with_who_where_and_for_what(cluster, review, pod):
    node = cluster.etcd.create("nodes", {"metadata": {"name": "n1"}, "spec": {}}, manager="kubelet")
    account = cluster.etcd.create("serviceaccounts", {"metadata": {"name": "agent", "namespace": "shop"}}, manager="m")
    created = cluster.etcd.create("pods", pod("agent-x7k2p", node="n1"), manager="m")
    await cluster.control.token("t1", namespace="shop", name="agent", audiences=["kubescribe", API], pod="agent-x7k2p")

    answer = await review("t1", "kubescribe")

    (entry,) = answer["metadata"].pop("managedFields")
    assert (entry["manager"], entry["operation"]) == ("kubescribe", "Update")
    assert entry["fieldsV1"] == {"f:spec": {"f:audiences": {}, "f:token": {}}}
    jti = answer["status"]["user"]["extra"].pop("authentication.kubernetes.io/credential-id")
    assert jti[0].startswith("JTI=")
    assert answer == {
        "kind": "TokenReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {},
        "spec": {"token": "t1", "audiences": ["kubescribe"]},
        "status": {
            "authenticated": True,
            "user": {
                "username": "system:serviceaccount:shop:agent",
                "uid": account["metadata"]["uid"],
                "groups": ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
                "extra": {
                    "authentication.kubernetes.io/node-name": ["n1"],
                    "authentication.kubernetes.io/node-uid": [node["metadata"]["uid"]],
                    "authentication.kubernetes.io/pod-name": ["agent-x7k2p"],
                    "authentication.kubernetes.io/pod-uid": [created["metadata"]["uid"]],
                },
            },
            "audiences": ["kubescribe"],
        },
    }


async def test_a_token_for_other_audiences_is_not_authenticated(cluster, review):
    await cluster.control.token("t1", audiences=["vault", "kubescribe"])

    refused = await review("t1")

    cause = f'token audiences ["vault" "kubescribe"] is invalid for the target audiences ["{API}"]'
    assert refused["status"] == {"user": {}, "error": f"[invalid bearer token, {cause}]"}
    assert (await review("t1", "kubescribe", "other"))["status"]["audiences"] == ["kubescribe"]


async def test_a_token_that_was_never_registered_or_is_revoked_is_not_authenticated(cluster, review):
    await cluster.control.token("t1")
    await cluster.control.revoke_token("t1")

    for token in ("t1", "never"):
        assert (await review(token))["status"] == {"user": {}, "error": "invalid bearer token"}


async def test_a_token_is_taken_until_a_minute_after_its_end(cluster, review):
    await cluster.control.token("t1", lifetime_seconds=1 - LEEWAY_SECONDS)
    await cluster.control.token("t2", lifetime_seconds=-1 - LEEWAY_SECONDS)

    assert (await review("t1"))["status"]["authenticated"] is True
    expired = "[invalid bearer token, service account token has expired]"
    assert (await review("t2"))["status"] == {"user": {}, "error": expired}


async def test_a_pods_token_ends_with_the_pod(cluster, review, pod):
    created = cluster.etcd.create("pods", pod("web-0"), manager="m")
    await cluster.control.token("t1", namespace="shop", pod="web-0")
    cluster.etcd.delete("pods", "shop", "web-0")

    gone = "[invalid bearer token, service account token has been invalidated]"
    assert (await review("t1"))["status"]["error"] == gone
    anew = cluster.etcd.create("pods", pod("web-0"), manager="m")
    uids = anew["metadata"]["uid"], created["metadata"]["uid"]
    other = f"[invalid bearer token, pod UID ({uids[0]}) does not match service account pod ref claim ({uids[1]})]"
    assert (await review("t1"))["status"]["error"] == other


async def test_a_claim_about_a_pod_that_is_not_there_is_taken_as_it_is(cluster, review):
    await cluster.control.token("t1", pod="a", pod_uid="u1", node="n1", node_uid="u2")

    extra = (await review("t1"))["status"]["user"]["extra"]

    assert extra["authentication.kubernetes.io/pod-uid"] == ["u1"]
    assert extra["authentication.kubernetes.io/node-uid"] == ["u2"]
    with pytest.raises(VerbRefused, match="not found"):
        await cluster.control.token("t2", pod="a")


async def test_the_kubeconfigs_own_token_is_a_service_accounts(cluster, review):
    status = (await review(cluster.simulator.token))["status"]

    assert status["user"]["username"] == "system:serviceaccount:kubescribe:kubescribe"
    assert status["audiences"] == [API]


@pytest.mark.parametrize("body", [{"spec": {}}, {}])
async def test_a_review_of_nothing_is_a_bad_request(cluster, body):
    async with cluster.session.post(cluster.url + PATH, json=body) as response:
        answer = await response.json()

    message = "token is required for TokenReview in authentication"
    assert (response.status, answer["reason"], answer["message"]) == (400, "BadRequest", message)


async def test_reviews_can_only_be_made(cluster):
    (found,) = (await cluster.json("/apis/authentication.k8s.io/v1"))["resources"]
    assert (found["name"], found["kind"], found["namespaced"]) == ("tokenreviews", "TokenReview", False)
    assert found["verbs"] == ["create"]

    status, body = await cluster.get(PATH)

    assert status == 405
    assert b'"reason":"MethodNotAllowed","details":{"group":"authentication.k8s.io","kind":"tokenreviews"}' in body


async def test_reviews_can_be_forbidden_and_fail(cluster):
    await cluster.control.forbid("tokenreviews")
    async with cluster.session.post(cluster.url + PATH, json={"spec": {"token": "x"}}) as response:
        assert response.status == 403
    await cluster.control.mend()
    await cluster.control.fail("tokenreviews", code=500)
    async with cluster.session.post(cluster.url + PATH, json={"spec": {"token": "x"}}) as response:
        assert response.status == 500


async def test_a_token_for_the_api_opens_the_api_and_is_named_in_a_403(cluster):
    await cluster.control.token("t1", namespace="shop", name="reader")
    await cluster.control.token("t2", audiences=["kubescribe"])
    await cluster.control.forbid("pods")

    async def answer(token):
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
            session.get(cluster.url + "/api/v1/pods") as response,
        ):
            return response.status, await response.text()

    code, text = await answer("t1")
    assert (code, 'User \\"system:serviceaccount:shop:reader\\" cannot list' in text) == (403, True)
    assert (await answer("t2"))[0] == 401


async def test_registered_tokens_outlive_a_restart(tmp_path):
    async with simulator_process(tmp_path, "--quiet") as simulator:
        async with simulator.control() as control:
            await control.token("t1")

        await simulator.restart()

        async with (
            aiohttp.ClientSession(headers={"Authorization": "Bearer t1"}) as session,
            session.get(simulator.url + "/api/v1/pods") as response,
        ):
            assert response.status == 200

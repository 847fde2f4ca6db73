"""Leases as the real API server keeps them: what two candidates for leadership can rely on."""

import aiohttp
import pytest

from simulator.process import simulator_process

PATH = "/apis/coordination.k8s.io/v1/namespaces/kubescribe/leases"
SPEC = {
    "holderIdentity": "agent-1",
    "leaseDurationSeconds": 15,
    "acquireTime": "2026-11-23T03:19:34.000001Z",
    "renewTime": "2026-11-23T03:19:34.123456Z",
    "leaseTransitions": 0,
}


def lease(name="leader", **spec):
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kubescribe"},
        "spec": {**SPEC, **spec},
    }


@pytest.fixture
def send(cluster):
    """Send one request about Leases; return its status and its decoded body."""

    async def send_one(method, body=None, *, name="", query="", agent="kubescribe/1.0"):
        url = f"{cluster.url}{PATH}{'/' + name if name else ''}{query}"
        async with cluster.session.request(method, url, json=body, headers={"User-Agent": agent}) as response:
            return response.status, await response.json()

    return send_one


def refusal(code, reason, message, details):
    """A Status in the form of the recorded refusals."""
    return code, {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }


def of_lease(**more):
    return {"name": "leader", "group": "coordination.k8s.io", "kind": "leases", **more}


async def test_a_new_lease_is_stored_as_it_was_sent_with_what_the_server_adds(cluster, send):
    code, created = await send("POST", lease())

    assert code == 201
    assert created["spec"] == SPEC
    assert (created["kind"], created["apiVersion"]) == ("Lease", "coordination.k8s.io/v1")
    metadata = created["metadata"]
    assert metadata["resourceVersion"] == str(cluster.etcd.revision)
    assert metadata["uid"]
    assert metadata["creationTimestamp"].endswith("Z")
    assert "generation" not in metadata
    assert metadata["managedFields"] == [
        {
            "manager": "kubescribe",
            "operation": "Update",
            "apiVersion": "coordination.k8s.io/v1",
            "time": metadata["creationTimestamp"],
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {f"f:{name}": {} for name in sorted(SPEC)}},
        }
    ]
    assert await send("GET", name="leader") == (200, created)
    listed = await cluster.json(PATH)
    assert (listed["kind"], len(listed["items"])) == ("LeaseList", 1)


async def test_the_field_manager_is_named_by_the_query_before_the_user_agent(send):
    _, created = await send("POST", lease(), query="?fieldManager=elector")

    assert [entry["manager"] for entry in created["metadata"]["managedFields"]] == ["elector"]


async def test_the_second_of_two_creators_is_told_that_the_name_is_taken(send):
    await send("POST", lease())

    message = 'leases.coordination.k8s.io "leader" already exists'
    assert await send("POST", lease()) == refusal(409, "AlreadyExists", message, of_lease())


async def test_of_two_renewals_from_one_version_the_second_conflicts(send):
    _, created = await send("POST", lease())
    code, renewed = await send("PUT", {**created, "spec": {**SPEC, "holderIdentity": "agent-2"}}, name="leader")

    assert (code, renewed["spec"]["holderIdentity"]) == (200, "agent-2")
    assert int(renewed["metadata"]["resourceVersion"]) > int(created["metadata"]["resourceVersion"])
    assert renewed["metadata"]["uid"] == created["metadata"]["uid"]
    message = (
        'Operation cannot be fulfilled on leases.coordination.k8s.io "leader": the object has been modified; please '
        "apply your changes to the latest version and try again"
    )
    assert await send("PUT", created, name="leader") == refusal(409, "Conflict", message, of_lease())


async def test_an_update_without_a_version_is_refused(send):
    """LeaseStrategy does not allow unconditional updates."""
    await send("POST", lease())

    code, answer = await send("PUT", lease(), name="leader")

    what = "Invalid value: 0x0: must be specified for an update"
    message = f'leases.coordination.k8s.io "leader" is invalid: metadata.resourceVersion: {what}'
    causes = [{"reason": "FieldValueInvalid", "message": what, "field": "metadata.resourceVersion"}]
    assert (code, answer) == refusal(422, "Invalid", message, of_lease(causes=causes))


async def test_a_put_of_an_absent_lease_creates_it(send):
    """LeaseStrategy allows creation on update; the version that a body may carry is not looked at."""
    body = lease()
    body["metadata"]["resourceVersion"] = "7"

    code, created = await send("PUT", body, name="leader")

    assert code == 201
    assert await send("GET", name="leader") == (200, created)


async def test_a_renewal_of_a_lease_that_was_deleted_or_made_anew_conflicts_by_its_uid(send):
    _, created = await send("POST", lease())
    await send("DELETE", name="leader")

    def told(found):
        precondition = f"UID in precondition: {created['metadata']['uid']}, UID in object meta: {found}"
        cause = (
            "StorageError: invalid object, Code: 4, Key: /registry/leases/kubescribe/leader, ResourceVersion: 0, "
            f"AdditionalErrorMsg: Precondition failed: {precondition}"
        )
        message = f'Operation cannot be fulfilled on leases.coordination.k8s.io "leader": {cause}'
        return refusal(409, "Conflict", message, of_lease())

    assert await send("PUT", created, name="leader") == told("")
    _, anew = await send("POST", lease())
    assert await send("PUT", created, name="leader") == told(anew["metadata"]["uid"])


async def test_a_missing_lease_is_a_404_to_a_get_a_patch_and_a_delete(send):
    told = refusal(404, "NotFound", 'leases.coordination.k8s.io "leader" not found', of_lease())

    assert await send("GET", name="leader") == told
    assert await send("PATCH", {"spec": {}}, name="leader") == told
    assert await send("DELETE", name="leader") == told


async def test_a_deleted_lease_is_answered_with_a_status(send):
    _, created = await send("POST", lease())

    assert await send("DELETE", name="leader") == (
        200,
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": of_lease(uid=created["metadata"]["uid"]),
        },
    )


async def test_a_delete_can_ask_for_the_version_that_it_saw(send):
    _, created = await send("POST", lease())
    _, renewed = await send("PUT", {**created, "spec": {**SPEC, "leaseTransitions": 1}}, name="leader")
    stale, fresh = (obj["metadata"]["resourceVersion"] for obj in (created, renewed))

    code, answer = await send("DELETE", {"preconditions": {"resourceVersion": stale}}, name="leader")

    assert (code, answer["reason"]) == (409, "Conflict")
    assert f"the ResourceVersion in the precondition ({stale}) does not match" in answer["message"]
    assert (await send("DELETE", {"preconditions": {"resourceVersion": fresh}}, name="leader"))[0] == 200


async def test_numbers_out_of_range_are_refused_in_the_servers_words(send):
    code, answer = await send("POST", lease(leaseDurationSeconds=0, leaseTransitions=-1))

    duration = "Invalid value: 0: must be greater than 0"
    transitions = "Invalid value: -1: must be greater than or equal to 0"
    message = (
        'Lease.coordination.k8s.io "leader" is invalid: '
        f"[spec.leaseDurationSeconds: {duration}, spec.leaseTransitions: {transitions}]"
    )
    causes = [
        {"reason": "FieldValueInvalid", "message": duration, "field": "spec.leaseDurationSeconds"},
        {"reason": "FieldValueInvalid", "message": transitions, "field": "spec.leaseTransitions"},
    ]
    assert (code, answer) == refusal(422, "Invalid", message, {**of_lease(kind="Lease"), "causes": causes})


async def test_an_update_is_validated_like_a_new_lease(send):
    _, created = await send("POST", lease())

    code, answer = await send("PUT", {**created, "spec": {**SPEC, "leaseDurationSeconds": -5}}, name="leader")

    assert (code, answer["reason"]) == (422, "Invalid")
    assert await send("GET", name="leader") == (200, created)


@pytest.mark.parametrize(
    ("value", "stopped"),
    [
        ("2026-11-23T03:19:34Z", '"Z" as ".000000"'),
        ("2026-11-23T03:19:34.123Z", '".123Z" as ".000000"'),
        ("2026-11-23T03:19:34.123456789Z", '"789Z" as "Z07:00"'),
        ("2026-11-23T03:19:34.123456", '"" as "Z07:00"'),
    ],
)
async def test_a_time_that_is_no_micro_time_cannot_be_read(send, value, stopped):
    code, answer = await send("POST", lease(renewTime=value))

    cause = f'parsing time "{value}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse {stopped}'
    message = f'Lease in version "v1" cannot be handled as a Lease: {cause}'
    assert (code, answer["reason"], answer["message"]) == (400, "BadRequest", message)


async def test_a_time_with_an_offset_is_shown_in_utc(send):
    _, created = await send("POST", lease(renewTime="2026-11-23T05:19:34.123450+02:00"))

    assert created["spec"]["renewTime"] == "2026-11-23T03:19:34.123450Z"


async def test_a_number_that_is_a_string_cannot_be_read(send):
    code, answer = await send("POST", lease(leaseDurationSeconds="15"))

    assert code == 400
    assert "cannot unmarshal string into Go struct field LeaseSpec.spec.leaseDurationSeconds" in answer["message"]


@pytest.mark.parametrize(("method", "name"), [("POST", ""), ("PUT", "leader")])
async def test_a_body_that_contradicts_its_path_is_refused(send, method, name):
    body = lease()
    body["metadata"]["namespace"] = "elsewhere"
    assert (await send(method, body, name=name))[0] == 400

    if name:
        code, answer = await send(method, lease("other"), name=name)
        message = "the name of the object (other) does not match the name on the URL (leader)"
        assert (code, answer["message"]) == (400, message)


async def test_a_watch_tells_every_renewal(cluster, send):
    then = cluster.etcd.revision
    _, created = await send("POST", lease())
    async with cluster.watch(f"{PATH}?watch=1&resourceVersion={then}&allowWatchBookmarks=true") as watch:
        await send("PUT", {**created, "spec": {**SPEC, "leaseTransitions": 1}}, name="leader")
        await send("DELETE", name="leader")

        events = [event for event in await watch.events(4) if event["type"] != "BOOKMARK"][:3]

    assert [event["type"] for event in events][:2] == ["ADDED", "MODIFIED"]
    assert events[1]["object"]["spec"]["leaseTransitions"] == 1


async def test_a_forbidden_write_is_a_403_and_changes_nothing(cluster, send):
    await cluster.control.forbid("leases", verb="create")

    code, answer = await send("POST", lease())

    assert (code, answer["reason"]) == (403, "Forbidden")
    assert 'cannot create resource "leases" in API group "coordination.k8s.io"' in answer["message"]
    assert (await send("GET", name="leader"))[0] == 404


async def test_discovery_offers_leases(cluster):
    listed = await cluster.json("/apis/coordination.k8s.io/v1")

    (found,) = listed["resources"]
    assert (found["name"], found["kind"], found["namespaced"]) == ("leases", "Lease", True)
    assert {"create", "delete", "get", "list", "patch", "update", "watch"} <= set(found["verbs"])


async def test_a_lease_outlives_kill_9(tmp_path):
    async with simulator_process(tmp_path, "--quiet") as simulator:
        headers = {"Authorization": f"Bearer {simulator.token}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.post(simulator.url + PATH, json=lease()) as response:
                created = await response.json()

            await simulator.restart()

            async with session.get(f"{simulator.url}{PATH}/leader") as response:
                assert (response.status, await response.json()) == (200, created)

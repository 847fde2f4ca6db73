"""Objects to Changes: churn, actors, bodies, identities."""

import json

import pytest

from agent.errors import Undecodable
from agent.watch.changes import ChangeRecorder
from agent.watch.counters import WatchCounters
from agent.watch.decoding import decode_event, decode_object
from agent.watch.kinds import PODS, wanted_kinds
from agent.watch.redaction import Redactor

KINDS = {kind.kind: kind for kind in wanted_kinds()}


def recorder(kind=PODS, node=None, **options):
    return ChangeRecorder(kind, node, Redactor(b"key"), WatchCounters(), **options)


def an_object(kind="Pod", version=1, *, fields=(), generation=1, annotations=None, **sections):
    meta = {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": str(version), "generation": generation}
    if annotations:
        meta["annotations"] = annotations
    meta["managedFields"] = list(fields)
    return {"kind": kind, "apiVersion": "v1", "metadata": meta, **sections}


def record(one, obj, event="MODIFIED", at=1):
    line = json.dumps({"type": event, "object": obj}).encode()
    return one.version(event, decode_event(line).object, at)


def entry(manager, time, subresource="", fields=None):
    return {
        "manager": manager,
        "operation": "Update",
        "time": time,
        "fieldsV1": fields or {"f:spec": {}},
        **({"subresource": subresource} if subresource else {}),
    }


def test_a_version_that_differs_only_in_bookkeeping_is_churn():
    one = recorder()
    record(one, an_object(version=1, spec={"a": 1}))

    assert record(one, an_object(version=2, fields=[entry("x", "2026-01-01T00:00:00Z")], spec={"a": 1})) is None
    assert one._counters.churn_dropped == 1
    assert one.known.get("u1").resource_version == 2
    assert record(one, an_object(version=3, spec={"a": 2})) is not None


def test_node_heartbeats_are_churn_and_transitions_are_not():
    one = recorder(KINDS["Node"])

    def node(version, beat, status="True"):
        conditions = [{"type": "Ready", "status": status, "lastHeartbeatTime": beat, "lastTransitionTime": "t"}]
        return an_object("Node", version, status={"conditions": conditions})

    record(one, node(1, "2026-01-01T00:00:00Z"))

    assert record(one, node(2, "2026-01-01T00:05:00Z")) is None
    assert record(one, node(3, "2026-01-01T00:10:00Z", "Unknown")) is not None


def test_leader_election_annotations_are_churn():
    one = recorder(KINDS["ConfigMap"])
    leader = "control-plane.alpha.kubernetes.io/leader"
    record(one, an_object("ConfigMap", 1, annotations={leader: "a", "b": "1"}, data={"k": "v"}))

    assert record(one, an_object("ConfigMap", 2, annotations={leader: "z", "b": "1"}, data={"k": "v"})) is None
    assert record(one, an_object("ConfigMap", 3, annotations={leader: "z", "b": "2"}, data={"k": "v"})) is not None


def test_a_changed_secret_value_is_no_churn():
    one = recorder(KINDS["ConfigMap"])
    first = record(one, an_object("ConfigMap", 1, data={"password": "a"}))

    second = record(one, an_object("ConfigMap", 2, data={"password": "b"}))

    assert second is not None
    assert first.body != second.body


def test_a_generation_counts_only_where_the_spec_is_not_watched():
    pods, sets = recorder(), recorder(KINDS["ReplicaSet"])
    record(pods, an_object(version=1, generation=1, spec={}))
    record(sets, an_object("PartialObjectMetadata", version=1, generation=1))

    assert record(pods, an_object(version=2, generation=2, spec={})) is None
    assert record(sets, an_object("PartialObjectMetadata", version=2, generation=2)) is not None


def test_the_actor_is_the_entry_whose_time_moved():
    one = recorder()
    old, new = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"
    record(one, an_object(version=1, fields=[entry("helm", old), entry("kubelet", old, "status")], spec={"a": 1}))

    change = record(
        one, an_object(version=2, fields=[entry("helm", new), entry("kubelet", old, "status")], spec={"a": 2})
    )

    assert change.actor.manager == "helm"
    assert change.actor.time == 1767225609 * 10**9


def test_writes_of_the_same_second_are_told_apart_by_the_section_that_changed():
    one = recorder()
    at = "2026-01-01T00:00:00Z"
    fields = [entry("kubectl-edit", at), entry("kubelet", at, "status", {"f:status": {}})]
    record(one, an_object(version=1, fields=fields, spec={"a": 1}, status={"b": 1}))

    assert record(one, an_object(version=2, fields=fields, spec={"a": 1}, status={"b": 2})).actor.manager == "kubelet"
    assert (
        record(one, an_object(version=3, fields=fields, spec={"a": 2}, status={"b": 2})).actor.manager == "kubectl-edit"
    )


def test_at_first_sight_the_actor_is_who_wrote_last():
    one = recorder()
    fields = [entry("first", "2026-01-01T00:00:00Z"), entry("last", "2026-01-01T00:00:05Z")]

    assert record(one, an_object(fields=fields, spec={})).actor.manager == "last"


def test_a_delete_has_no_actor_and_the_last_state():
    one = recorder()
    fields = [entry("kubelet", "2026-01-01T00:00:00Z")]
    record(one, an_object(version=1, fields=fields, spec={"a": 1}))

    change = record(one, an_object(version=2, fields=fields, spec={"a": 1}), "DELETED")

    assert (change.gone, change.actor, change.resource_version) == (True, None, 2)
    assert json.loads(change.body)["spec"] == {"a": 1}
    assert one.known.get("u1") is None


def test_endpoint_slices_are_reduced_to_counts(recording):
    one = recorder(KINDS["EndpointSlice"])
    event = decode_event(recording("endpointslices.watch.ndjson")[0])

    body = json.loads(one.version(event.type, event.object, 1).body)

    assert body["endpoints"] == {"total": 3, "ready": 3, "serving": 3, "terminating": 0}
    assert "10.2.71.124" not in json.dumps(body)
    assert body["ports"]


def test_the_body_is_the_object_without_its_bookkeeping(recording):
    one = recorder()
    for line in recording("pods.watch.ndjson"):
        event = decode_event(line)
        if event.type == "BOOKMARK":
            continue
        raw = json.loads(line)["object"]
        body = json.loads(one.version(event.type, event.object, 1).body)
        for field in ("managedFields", "resourceVersion", "generation"):
            raw["metadata"].pop(field, None)
        annotations = raw["metadata"].get("annotations", {})
        annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
        if not annotations:
            raw["metadata"].pop("annotations", None)
        assert body == raw


def test_every_recorded_change_has_an_actor(recording):
    one = recorder()
    managers = set()
    for line in recording("pods.watch.ndjson"):
        event = decode_event(line)
        if event.type in {"ADDED", "MODIFIED"}:
            change = one.version(event.type, event.object, 1)
            if change.actor is not None:
                managers.add(change.actor.manager)
            else:
                assert b"deletionTimestamp" in change.body

    assert "kube-controller-manager" in managers


def test_a_huge_object_is_recorded_by_name_with_a_body_that_says_so():
    one = recorder(max_body_bytes=10_000)

    change = record(one, an_object(spec={"a": "x" * 20_000}))

    body = json.loads(change.body)
    assert body["kubescribe.io/truncated"]["bytes"] > 20_000
    assert body["kubescribe.io/truncated"]["digest"].startswith("kubescribe:redacted:")
    assert body["metadata"] == {"name": "web", "namespace": "shop", "uid": "u1"}
    assert one._counters.bodies_truncated == 1


def test_a_pod_with_ten_thousand_labels_is_whole():
    one = recorder()
    obj = an_object(spec={})
    obj["metadata"]["labels"] = {f"label-{number}": "x" for number in range(10_000)}

    assert len(json.loads(record(one, obj).body)["metadata"]["labels"]) == 10_000


@pytest.mark.parametrize("field", ["uid", "name", "resourceVersion"])
def test_an_object_without_identity_is_undecodable(field):
    obj = an_object(spec={})
    obj["metadata"][field] = ""

    with pytest.raises(Undecodable):
        record(recorder(), obj)


def test_the_node_of_a_pod_is_its_spec_says():
    obj = an_object(spec={"nodeName": "node-7", "containers": []})

    assert record(recorder(), obj).node == "node-7"


def test_a_listed_object_is_never_churn():
    one = recorder()
    item = json.dumps(an_object(spec={"a": 1})).encode()

    assert one.listed(decode_object(item), 1).listed
    assert one.listed(decode_object(item), 2).listed

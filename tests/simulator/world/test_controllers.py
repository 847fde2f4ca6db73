"""The controllers between them: what one writes when another's object changes."""

import pytest

from simulator.world.edits import Target


def change(laboratory, resource, namespace, name, edit):
    obj = laboratory.etcd.get(resource, namespace, name)
    edit(obj)
    return laboratory.etcd.update(resource, obj, manager="kubectl-edit")


def ready_of(pod):
    return next((item["status"] for item in pod["status"].get("conditions", ()) if item["type"] == "Ready"), "False")


def test_a_pod_goes_through_the_stages_of_a_real_one(laboratory):
    change(laboratory, "deployments", "shop", "search", lambda obj: obj["spec"].update(replicas=5))
    begin = laboratory.etcd.revision

    laboratory.advance(20)

    import json

    stages = {}
    for record in laboratory.etcd.history.records():
        if record.resource == "pods" and record.revision > begin:
            pod = json.loads(bytes(record.object))
            status = (pod["status"].get("containerStatuses") or [{}])[0]
            state = status.get("state", {})
            stage = (
                pod["status"]["phase"],
                "nodeName" in pod["spec"],
                state.get("waiting", {}).get("reason", next(iter(state), "")),
                ready_of(pod),
            )
            stages.setdefault(record.name, []).append(stage)
    assert stages
    for stage in stages.values():
        assert stage == [
            ("Pending", False, "", "False"),
            ("Pending", True, "", "False"),
            ("Pending", True, "ContainerCreating", "False"),
            ("Running", True, "running", "False"),
            ("Running", True, "running", "True"),
        ]
    for reason in ("Scheduled", "Pulling", "Pulled", "Created", "Started", "SuccessfulCreate"):
        assert len(laboratory.events(reason=reason)) >= len(stages)


def test_a_pod_that_is_scaled_away_carries_a_deletion_timestamp_before_it_goes(laboratory):
    change(laboratory, "deployments", "shop", "search", lambda obj: obj["spec"].update(replicas=1))
    before = {pod["metadata"]["name"] for pod in laboratory.pods(Target(namespace="shop", name="search"))}
    begin = laboratory.etcd.revision

    laboratory.advance(1)
    going = [
        pod
        for pod in laboratory.pods(Target(namespace="shop", name="search"))
        if "deletionTimestamp" in pod["metadata"]
    ]
    laboratory.advance(15)

    assert len(going) == len(before) - 1
    assert going[0]["metadata"]["deletionGracePeriodSeconds"] == 30
    assert len(laboratory.pods(Target(namespace="shop", name="search"))) == 1
    types = [
        record.type
        for record in laboratory.etcd.history.records()
        if record.name == going[0]["metadata"]["name"] and record.resource == "pods" and record.revision > begin
    ]
    assert types[-1] == "DELETED"
    assert laboratory.events(reason="Killing")


def test_scaling_to_nothing_leaves_an_available_deployment_without_pods(laboratory):
    change(laboratory, "deployments", "shop", "search", lambda obj: obj["spec"].update(replicas=0))

    laboratory.advance(15)

    status = laboratory.etcd.get("deployments", "shop", "search")["status"]
    assert "replicas" not in status
    assert {item["type"]: item["status"] for item in status["conditions"]} == {
        "Available": "True",
        "Progressing": "True",
    }


def test_old_replica_sets_are_kept_to_the_history_limit(laboratory):
    target = Target(namespace="shop", name="cart")
    for number in range(6):

        def release(obj, number=number):
            obj["spec"]["template"]["spec"]["containers"][0]["image"] = f"cart:2.0.{number}"

        change(laboratory, "deployments", "shop", "cart", release)
        laboratory.advance(40)

    owned = [
        item
        for item in laboratory.etcd.list("replicasets", "shop")
        if item["metadata"]["ownerReferences"][0]["name"] == target.name
    ]
    assert len(owned) == 4  # revisionHistoryLimit 3, and the present one
    assert laboratory.deployment(target)["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "7"


def test_an_endpoint_slice_follows_its_pods(laboratory):
    def addresses():
        slices = [
            item
            for item in laboratory.etcd.list("endpointslices", "shop")
            if item["metadata"]["labels"]["kubernetes.io/service-name"] == "search"
        ]
        return {endpoint["addresses"][0] for endpoint in slices[0]["endpoints"] if endpoint["conditions"]["ready"]}

    target = Target(namespace="shop", name="search")
    assert addresses() == {pod["status"]["podIP"] for pod in laboratory.pods(target)}

    change(laboratory, "deployments", "shop", "search", lambda obj: obj["spec"].update(replicas=5))
    laboratory.advance(20)

    assert addresses() == {pod["status"]["podIP"] for pod in laboratory.pods(target)}
    assert len(addresses()) == 5


def test_a_disruption_budget_counts_what_is_healthy(laboratory):
    pod = laboratory.pods(Target(namespace="shop", name="cart"))[0]

    laboratory.etcd.delete("pods", "shop", pod["metadata"]["name"])
    laboratory.advance(1)
    during = laboratory.etcd.get("poddisruptionbudgets", "shop", "cart")["status"]
    laboratory.advance(20)
    after = laboratory.etcd.get("poddisruptionbudgets", "shop", "cart")["status"]

    assert during["disruptionsAllowed"] == 0
    assert after["disruptionsAllowed"] == 1
    assert after["currentHealthy"] == during["currentHealthy"] + 1 == after["expectedPods"]


def test_a_stateful_set_gets_its_pod_back_under_the_same_name(laboratory):
    before = laboratory.etcd.get("pods", "data", "postgres-1")

    laboratory.etcd.delete("pods", "data", "postgres-1")
    laboratory.advance(20)

    after = laboratory.etcd.get("pods", "data", "postgres-1")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert ready_of(after) == "True"
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data-postgres-1"}}
    assert claim in after["spec"]["volumes"]
    assert laboratory.etcd.get("persistentvolumeclaims", "data", "data-postgres-1")["status"]["phase"] == "Bound"


def test_a_daemon_set_has_one_pod_on_each_node_that_joins(laboratory):
    laboratory.world._node_life.join()
    laboratory.advance(30)

    nodes = {node["metadata"]["name"] for node in laboratory.etcd.list("nodes")}
    assert len(nodes) == 5
    for name in ("kube-proxy", "aws-node"):
        placed = [pod["spec"]["nodeName"] for pod in laboratory.pods(Target(namespace="kube-system", name=name))]
        assert sorted(placed) == sorted(nodes)
        status = laboratory.etcd.get("daemonsets", "kube-system", name)["status"]
        assert status["numberReady"] == status["desiredNumberScheduled"] == 5


def test_cron_jobs_run_and_keep_their_history_to_its_limits(laboratory):
    laboratory.advance(20 * 60)

    jobs = laboratory.etcd.list("jobs", "batch")
    by_owner = {}
    for job in jobs:
        conditions = {item["type"] for item in job["status"].get("conditions", ())}
        outcome = "Complete" if "Complete" in conditions else "Failed" if "Failed" in conditions else "active"
        by_owner.setdefault((job["metadata"]["ownerReferences"][0]["name"], outcome), []).append(job)
    assert len(by_owner["nightly-report", "Complete"]) == 3
    assert len(by_owner["cleanup", "Complete"]) == 3
    assert len(by_owner["reconcile", "Failed"]) == 1
    assert laboratory.events(reason="SawCompletedJob")
    assert laboratory.etcd.get("cronjobs", "batch", "nightly-report")["status"]["lastSuccessfulTime"]
    owners = {job["metadata"]["uid"] for job in jobs}
    for pod in laboratory.etcd.list("pods", "batch"):
        assert pod["metadata"]["ownerReferences"][0]["uid"] in owners


def test_heartbeats_change_nothing_but_the_time(laboratory):
    name = laboratory.etcd.list("nodes")[0]["metadata"]["name"]
    before = laboratory.etcd.get("nodes", "", name)

    laboratory.advance(65)

    after = laboratory.etcd.get("nodes", "", name)
    assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
    for node in (before, after):
        for condition in node["status"]["conditions"]:
            condition.pop("lastHeartbeatTime")
    assert after["status"] == before["status"]
    assert after["spec"] == before["spec"]


def test_a_node_that_returns_takes_up_its_pods_again(laboratory):
    target = laboratory.play("node_returns")

    laboratory.advance_until(laboratory.is_well, seconds=600)

    node = laboratory.etcd.get("nodes", "", target.name)
    assert "taints" not in node["spec"]
    assert {item["type"]: item["status"] for item in node["status"]["conditions"]}["Ready"] == "True"


def test_nothing_is_bound_to_a_node_that_is_away(laboratory):
    target = laboratory.play("node_lost")
    laboratory.advance(45)

    change(laboratory, "deployments", "shop", "search", lambda obj: obj["spec"].update(replicas=8))
    laboratory.advance(20)

    young = [pod for pod in laboratory.pods(Target(namespace="shop", name="search")) if ready_of(pod) == "True"]
    assert target.name not in {pod["spec"]["nodeName"] for pod in young}


@pytest.mark.parametrize("memory", ["512Gi"])
def test_a_request_larger_than_any_node_is_insufficient_memory(laboratory, memory):
    def ask(obj):
        resources = obj["spec"]["template"]["spec"]["containers"][0]["resources"]
        resources["requests"]["memory"] = resources["limits"]["memory"] = memory

    change(laboratory, "deployments", "shop", "search", ask)
    laboratory.advance(5)

    assert "4 Insufficient memory" in laboratory.events(reason="FailedScheduling")[0]["message"]


def test_nothing_happens_to_a_container_whose_node_is_away(laboratory):
    target = laboratory.play("node_lost")
    record = laboratory.world.cluster.registry.on_node(target.name)[0]
    before = laboratory.etcd.get("pods", *record.key)

    laboratory.world._restarts.kill(record)
    laboratory.world._restarts.fail_probe(record)

    assert laboratory.etcd.get("pods", *record.key) == before

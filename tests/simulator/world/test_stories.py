"""Each story: the states it passes through, and that it heals."""

import pytest

from simulator.world.stories import STORIES


def container_of(pod):
    return pod["status"]["containerStatuses"][0]


def condition_of(pod, kind):
    return next(item for item in pod["status"]["conditions"] if item["type"] == kind)


@pytest.mark.parametrize("story", STORIES)
def test_every_story_heals(laboratory, story):
    laboratory.play(story)

    laboratory.advance_until(laboratory.is_well, seconds=600)

    assert len(laboratory.etcd.list("nodes")) == 4


def test_a_rollout_replaces_every_pod_and_keeps_the_old_replica_set_empty(laboratory):
    target = laboratory.play("rollout")
    before = {pod["metadata"]["uid"] for pod in laboratory.pods(target)}

    laboratory.advance_until(laboratory.is_well)

    deployment = laboratory.deployment(target)
    assert before.isdisjoint(pod["metadata"]["uid"] for pod in laboratory.pods(target))
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    sets = [
        item
        for item in laboratory.etcd.list("replicasets", target.namespace)
        if item["metadata"]["ownerReferences"][0]["name"] == target.name
    ]
    assert sorted(item["spec"]["replicas"] for item in sets) == [0, deployment["spec"]["replicas"]]
    messages = [event["message"] for event in laboratory.events(reason="ScalingReplicaSet")]
    assert any(message.startswith(f"Scaled up replica set {target.name}-") for message in messages)
    assert any(message.endswith("to 0") for message in messages)


def test_a_bad_rollout_crashes_with_exit_code_one_and_is_rolled_back_to_the_first_replica_set(laboratory):
    target = laboratory.play("bad_rollout")

    def is_in_back_off():
        states = [container_of(pod) for pod in laboratory.pods(target) if pod["status"].get("containerStatuses")]
        return any(
            state["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
            and state["lastState"]["terminated"]["exitCode"] == 1
            and state["lastState"]["terminated"]["reason"] == "Error"
            and state["restartCount"] >= 2
            for state in states
        )

    laboratory.advance_until(is_in_back_off)
    laboratory.advance_until(laboratory.is_well)

    deployment = laboratory.deployment(target)
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert "-rc" not in deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    assert any(entry["manager"] == "kubectl-rollout" for entry in deployment["metadata"]["managedFields"])


def test_a_crash_loop_counts_its_back_off_event_up(laboratory):
    target = laboratory.play("crash_loop")

    laboratory.advance(100)

    back_offs = [event for event in laboratory.events(reason="BackOff") if event["type"] == "Warning"]
    assert max(event["count"] for event in back_offs) >= 3
    last = max(back_offs, key=lambda event: event["count"])
    assert last["firstTimestamp"] < last["lastTimestamp"]
    assert last["source"] == {"component": "kubelet", "host": last["reportingInstance"]}
    assert last["involvedObject"]["fieldPath"] == "spec.containers{app}"
    assert last["involvedObject"]["name"].startswith(f"{target.name}-")


@pytest.mark.parametrize("story", ["oom_kill", "memory_limit"])
def test_an_oom_kill_ends_with_137_and_a_restart(laboratory, story):
    target = laboratory.play(story)

    def was_killed():
        states = [container_of(pod) for pod in laboratory.pods(target) if pod["status"].get("containerStatuses")]
        return any(
            state["restartCount"] >= 1
            and state["lastState"].get("terminated", {}).get("reason") == "OOMKilled"
            and state["lastState"]["terminated"]["exitCode"] == 137
            for state in states
        )

    laboratory.advance_until(was_killed)


def test_an_image_that_is_not_there_waits_in_image_pull_back_off_beside_the_old_pods(laboratory):
    target = laboratory.play("unpullable_image")
    seen = set()

    def note_reasons():
        for pod in laboratory.pods(target):
            for status in pod["status"].get("containerStatuses", ()):
                seen.add(status["state"].get("waiting", {}).get("reason"))
        return {"ErrImagePull", "ImagePullBackOff"} <= seen

    laboratory.advance_until(note_reasons)

    assert laboratory.deployment(target)["status"]["availableReplicas"] >= 1
    messages = {event["message"] for event in laboratory.events(reason="Failed")}
    assert {"Error: ErrImagePull", "Error: ImagePullBackOff"} <= messages


def test_an_unschedulable_pod_says_so_in_its_condition_and_in_an_event(laboratory):
    target = laboratory.play("unschedulable")

    laboratory.advance(5)

    waiting = [pod for pod in laboratory.pods(target) if "nodeName" not in pod["spec"]]
    assert waiting
    condition = condition_of(waiting[0], "PodScheduled")
    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    event = laboratory.events(reason="FailedScheduling")[0]
    assert event["message"] == condition["message"]
    assert event["message"].startswith("0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector.")
    assert event["eventTime"] is not None
    assert event["firstTimestamp"] is None
    assert "count" not in event


def test_a_broken_setting_crashes_the_pods_that_mount_it_until_it_is_mended(laboratory):
    target = laboratory.play("config_break")
    config = laboratory.etcd.get("configmaps", target.namespace, f"{target.name}-config")
    assert config["data"]["DB_POOL_SIZE"] == "0"
    assert any(entry["manager"] == "kubectl-edit" for entry in config["metadata"]["managedFields"])

    laboratory.advance_until(lambda: all(not container_of(pod)["ready"] for pod in laboratory.pods(target)))
    laboratory.advance_until(laboratory.is_well)

    config = laboratory.etcd.get("configmaps", target.namespace, f"{target.name}-config")
    assert config["data"]["DB_POOL_SIZE"] == "20"


def test_the_autoscaler_scales_through_the_scale_subresource_and_back(laboratory):
    target = laboratory.play("scaling")
    before = len(laboratory.pods(target))

    laboratory.advance(20)

    deployment = laboratory.deployment(target)
    assert len(laboratory.pods(target)) == deployment["spec"]["replicas"] > before
    assert any(
        (entry["manager"], entry.get("subresource")) == ("kube-controller-manager", "scale")
        for entry in deployment["metadata"]["managedFields"]
    )
    laboratory.advance_until(laboratory.is_well)
    assert len(laboratory.pods(target)) == before
    assert {event["message"].partition(";")[2] for event in laboratory.events(reason="SuccessfulRescale")} == {
        " reason: cpu resource utilization (percentage of request) above target",
        " reason: All metrics below target",
    }


def test_a_lost_node_becomes_unknown_is_evicted_deleted_and_replaced(laboratory):
    target = laboratory.play("node_lost")
    bound = {pod["metadata"]["uid"] for pod in laboratory.etcd.list("pods") if pod["spec"]["nodeName"] == target.name}

    laboratory.advance(45)

    node = laboratory.etcd.get("nodes", "", target.name)
    ready = next(item for item in node["status"]["conditions"] if item["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert [taint["effect"] for taint in node["spec"]["taints"]] == ["NoSchedule", "NoExecute"]

    laboratory.advance(35)

    stuck = [pod for pod in laboratory.etcd.list("pods") if "deletionTimestamp" in pod["metadata"]]
    assert stuck
    assert {pod["spec"]["nodeName"] for pod in stuck} == {target.name}
    assert condition_of(stuck[0], "DisruptionTarget")["reason"] == "DeletionByTaintManager"

    laboratory.advance_until(laboratory.is_well)

    assert laboratory.etcd.get("nodes", "", target.name) is None
    assert bound.isdisjoint(pod["metadata"]["uid"] for pod in laboratory.etcd.list("pods"))
    assert laboratory.events(reason="RemovingNode")
    assert laboratory.events(reason="RegisteredNode")


def test_a_failing_job_reaches_its_backoff_limit_and_is_cleared_away(laboratory):
    target = laboratory.play("failing_job")
    name = f"backfill-{target.name}"

    def has_failed():
        job = laboratory.etcd.get("jobs", "batch", name)
        conditions = job["status"].get("conditions", ())
        return any(item["type"] == "Failed" and item["reason"] == "BackoffLimitExceeded" for item in conditions)

    laboratory.advance_until(has_failed)

    job = laboratory.etcd.get("jobs", "batch", name)
    assert job["status"]["failed"] == 3
    failed = [pod for pod in laboratory.etcd.list("pods", "batch") if pod["metadata"]["name"].startswith(name)]
    assert {pod["status"]["phase"] for pod in failed} == {"Failed"}
    assert laboratory.events(reason="BackoffLimitExceeded")

    laboratory.advance_until(lambda: laboratory.etcd.get("jobs", "batch", name) is None)

    assert not [pod for pod in laboratory.etcd.list("pods", "batch") if pod["metadata"]["name"].startswith(name)]

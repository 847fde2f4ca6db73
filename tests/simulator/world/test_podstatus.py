"""How a kubelet's status reads."""

from simulator.world.podstatus import Container, image_id, pod_status, running, waiting

POD = {
    "metadata": {"name": "web", "generation": 1},
    "spec": {"containers": [{"name": "app", "image": "web:1.0.0"}]},
    "status": {"phase": "Pending", "qosClass": "Burstable"},
}


def status_of(container, *, phase="Running", now="2026-11-18T09:46:40Z", old=None, pod_ip="10.1.0.2"):
    pod = {**POD, "status": old or POD["status"]}
    return pod_status(pod, container, phase=phase, now=now, host_ip="10.0.0.4", pod_ip=pod_ip)


def condition(status, kind):
    return next(item for item in status["conditions"] if item["type"] == kind)


def test_a_condition_that_does_not_change_keeps_its_transition_time():
    first = status_of(Container(state=running("t"), container_id="c"))
    second = status_of(Container(state=running("t"), is_ready=True, container_id="c"), now="later", old=first)

    assert condition(second, "Initialized")["lastTransitionTime"] == "2026-11-18T09:46:40Z"
    assert condition(second, "Ready")["lastTransitionTime"] == "later"
    assert second["startTime"] == "2026-11-18T09:46:40Z"


def test_a_container_that_is_being_created_has_neither_address_nor_id():
    status = status_of(Container(state=waiting("ContainerCreating")), phase="Pending", pod_ip="")

    assert "podIP" not in status
    assert "containerID" not in status["containerStatuses"][0]
    assert status["containerStatuses"][0]["imageID"] == ""
    assert condition(status, "Ready")["message"] == "containers with unready status: [app]"


def test_a_pod_that_ended_says_why_it_is_not_ready():
    ended = Container(state={"terminated": {"exitCode": 0}}, container_id="c")

    assert condition(status_of(ended, phase="Succeeded"), "Ready")["reason"] == "PodCompleted"
    assert condition(status_of(ended, phase="Failed"), "Ready")["reason"] == "PodFailed"


def test_an_image_has_one_digest():
    assert image_id("a/web:1.0.0") == image_id("a/web:1.0.0") != image_id("a/web:1.0.1")
    assert image_id("a/web:1.0.0").startswith("a/web@sha256:")

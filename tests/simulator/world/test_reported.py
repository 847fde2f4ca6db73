"""Statuses that a client wrote, with less in them than a kubelet writes."""

import pytest

from simulator.world.reported import conditions_of, first_container_of

STARTED = {"running": {"startedAt": "2026-11-18T09:46:40Z"}}


@pytest.mark.parametrize(
    "containers",
    [None, [], [{}], [{"name": "app", "state": {"running": None}}], [{"name": "app", "state": STARTED}]],
    ids=["null", "none", "empty", "state-of-nothing", "state-alone"],
)
def test_a_status_that_a_client_wrote_stops_no_kubelet(make_laboratory, tmp_path, containers):
    laboratory = make_laboratory(nodes=2, pods=10, file=tmp_path / "history")
    laboratory.world.populate(scenario=False)
    for pod in laboratory.etcd.list("pods"):
        ready = {"type": "Ready", "status": "True"}
        pod["status"] = {"phase": "Running", "containerStatuses": containers, "conditions": [ready]}
        laboratory.etcd.update("pods", pod, manager="curl", subresource="status")
    deployment = next(it for it in laboratory.etcd.list("deployments") if it["spec"]["replicas"] > 1)
    deployment["spec"]["replicas"] = 1

    laboratory.etcd.update("deployments", deployment, manager="kubectl", subresource="scale")
    laboratory.advance(20)
    laboratory.etcd.close()
    laboratory.open()
    laboratory.world.populate(scenario=False)

    laboratory.advance_until(laboratory.is_well)


def test_what_is_no_condition_and_no_container_is_passed_over():
    assert conditions_of({"conditions": [{"status": "True"}, None, {"type": "Ready"}]}) == {"Ready": {"type": "Ready"}}
    assert conditions_of({"conditions": None}) == {}
    assert first_container_of({"containerStatuses": [None, {"name": "app"}]}) == {"name": "app"}
    assert first_container_of({}) is None

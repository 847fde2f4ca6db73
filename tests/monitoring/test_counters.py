"""Counters as Prometheus sees them: the first step is not missed, and a killed aggregator is no reset."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.monitoring.product import Product
from tests.monitoring.prometheus import Prometheus

pytestmark = pytest.mark.timeout(120)

OOM = 'kubescribe_container_terminations_total{namespace="default", workload="grinder", reason="OOMKilled"}'
COUNTERS = "kubescribe_(changes|occurrences|gaps|rollouts|container_restarts|container_terminations)_total"


def grinder(restarts: int, began: datetime) -> dict[str, Any]:
    """Return the status of a container that the OOM killer ended *restarts* times."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = {
        "name": "app",
        "restartCount": restarts,
        "ready": True,
        "started": True,
        "image": "app:1",
        "imageID": "",
        "containerID": f"containerd://{restarts:064}",
        "state": {"running": {"startedAt": now}},
    }
    if restarts:
        ended = {"reason": "OOMKilled", "exitCode": 137, "startedAt": now, "finishedAt": now}
        status["lastState"] = {"terminated": {**ended, "containerID": f"containerd://{restarts - 1:064}"}}
    return {"phase": "Running", "startTime": began.strftime("%Y-%m-%dT%H:%M:%SZ"), "containerStatuses": [status]}


async def test_the_first_oom_kill_and_the_one_after_a_kill_are_each_an_increase_of_one(
    product: Product, prom: Prometheus
) -> None:
    began = datetime.now(UTC)
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "grinder-5d8f7c9b6", "uid": "r", "controller": True}
    meta = {"labels": {"pod-template-hash": "5d8f7c9b6"}, "ownerReferences": [owner]}
    async with product.control() as control:
        pod = await control.create(
            "pods",
            {
                "metadata": {"name": "grinder-5d8f7c9b6-aaaaa", "namespace": "default", **meta},
                "spec": {"nodeName": product.nodes[0], "containers": [{"name": "app", "image": "app:1"}]},
                "status": grinder(0, began),
            },
        )
        prom.until(f"{OOM} == 0")

        pod["status"] = grinder(1, began)
        pod = await control.update("pods", pod, subresource="status")
        prom.until(f"{OOM} == 1")
        assert prom.query(f"increase({OOM}[5m]) > 0") != []

        product.restart_aggregator()
        prom.scraped()
        prom.until(f"{OOM} == 1")
        pod["status"] = grinder(2, began)
        await control.update("pods", pod, subresource="status")
        prom.until(f"{OOM} == 2")

    # What the journal counts goes on; what the process counts about itself begins anew.
    assert prom.query(f'resets({{__name__=~"{COUNTERS}"}}[10m]) > 0') == []
    assert prom.query("resets(kubescribe_ingest_commits_total[10m]) > 0") != []
    (steps,) = prom.query_range(OOM, seconds=60, step=0.5)
    assert [value for _, value in steps.values] == sorted(value for _, value in steps.values)

"""
What a calm cluster does not show, done to the product on purpose, so that every panel has something to draw.

A pod that is about to be killed for its memory, warnings, an API server that fails and ends watches, a shipper.
"""

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Any

from tests.e2e.processes import ask, eventually
from tests.monitoring.product import Product

GRINDER = "grinder"
"""The workload whose pod is killed for its memory; a Deployment."""


def stir(product: Product) -> None:
    """Do all of it; what is made stays."""
    asyncio.run(_stir(product))
    for node in product.nodes:
        _ship(product, node)


def grinder_status(restarts: int) -> dict[str, Any]:
    """Return the status of the grinder's pod after the OOM killer came *restarts* times."""
    status = {
        "name": "app",
        "restartCount": restarts,
        "ready": True,
        "started": True,
        "image": "app:1",
        "imageID": "",
        "containerID": f"containerd://{restarts:064}",
        "state": {"running": {"startedAt": _now()}},
        "lastState": {},
    }
    if restarts:
        ended = {"reason": "OOMKilled", "exitCode": 137, "startedAt": _now(), "finishedAt": _now()}
        status["lastState"] = {"terminated": {**ended, "containerID": f"containerd://{restarts - 1:064}"}}
    return {"phase": "Running", "startTime": _now(), "containerStatuses": [status]}


async def kill_grinder(product: Product, times: int) -> None:
    """Have the OOM killer end the grinder's container for the *times*-th time."""
    async with product.control() as control:
        body = {"metadata": _grinder_meta(), "spec": _grinder_spec(product), "status": grinder_status(times)}
        await control.update("pods", body, subresource="status")


def _grinder_meta() -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{GRINDER}-5d8f7c9b6", "uid": "r"}
    return {
        "name": f"{GRINDER}-5d8f7c9b6-aaaaa",
        "namespace": "default",
        "labels": {"pod-template-hash": "5d8f7c9b6"},
        "ownerReferences": [{**owner, "controller": True}],
    }


def _grinder_spec(product: Product) -> dict[str, Any]:
    return {"nodeName": product.nodes[0], "containers": [{"name": "app", "image": "app:1"}]}


async def _stir(product: Product) -> None:
    async with product.control() as control:
        await control.create(
            "pods", {"metadata": _grinder_meta(), "spec": _grinder_spec(product), "status": grinder_status(0)}
        )
        about = {"kind": "Pod", "namespace": "default", "name": _grinder_meta()["name"]}
        for reason in ("FailedScheduling", "BackOff"):
            event = {
                "metadata": {"name": f"{GRINDER}-{reason.lower()}", "namespace": "default"},
                "involvedObject": about,
                "reason": reason,
                "type": "Warning",
                "count": 1,
                "message": reason,
                "firstTimestamp": _now(),
                "lastTimestamp": _now(),
            }
            made = await control.create("events", event)
            # Again: the first one is the 0 that a new series begins with.
            made.update(count=3, lastTimestamp=_now())
            await control.update("events", made)
        await control.create("configmaps", {"metadata": {"name": GRINDER, "namespace": "default"}, "data": {"a": "b"}})
        await control.expire("configmaps")
        await control.fail("services", code=500, count=2)
        await control.end("services")


def _ship(product: Product, node: str) -> None:
    """Push a line through the gateway of a node, as a shipper there would: again, until the node's pods are known."""
    url = product.agents[node].events("gateway.listening")[0]["url"]
    labels = {"namespace": "default", "container": "shipper", "stream": "stdout"}
    stream = {"stream": labels, "values": [[str(time.time_ns()), "INFO shipped"]]}
    body = json.dumps({"streams": [stream]}).encode()

    def push() -> int:
        return ask(f"{url}/loki/api/v1/push", method="POST", body=body, Content_Type="application/json").status

    eventually(lambda: push() == 204, push, seconds=90)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

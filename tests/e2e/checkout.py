"""Pods of the Deployment `checkout`, made one by one, and what a stand-in for Loki has of their lines."""

import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.logs.writer import ContainerLog, LogOf
from tests.e2e.processes import Cluster


async def deploy(
    cluster: Cluster, suffix: str, node: str = "node-a", labels: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Make a pod in the namespace `default` with more *labels*; return its metadata."""
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "checkout-5d8f7c9b6",
        "uid": "r",
        "controller": True,
    }
    meta = {
        "name": f"checkout-5d8f7c9b6-{suffix}",
        "namespace": "default",
        "labels": {"pod-template-hash": "5d8f7c9b6", **(labels or {})},
        "ownerReferences": [owner],
    }
    spec = {"nodeName": node, "containers": [{"name": "app", "image": "app:1"}]}
    async with cluster.control() as control:
        made: dict[str, Any] = (await control.create("pods", {"metadata": meta, "spec": spec}))["metadata"]
    return made


def log_of(made: Mapping[str, Any], folder: Path) -> ContainerLog:
    """Return the log of a pod's container, in the *folder* that its node has for pods' logs."""
    return ContainerLog(folder, LogOf(namespace="default", pod=made["name"], uid=made["uid"], container="app"))


def entries(loki: str, query: str) -> list[tuple[dict[str, str], str]]:
    """Return each line of the last hour that matches, with all its labels; *loki* is the URL of the stand-in."""
    asked = urllib.parse.urlencode({"query": query, "limit": 5000, "since": "1h"})
    with urllib.request.urlopen(f"{loki}/loki/api/v1/query_range?{asked}", timeout=5) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return [(stream["stream"], value[1]) for stream in found for value in stream["values"]]

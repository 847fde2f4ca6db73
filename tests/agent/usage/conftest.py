"""A summary as a kubelet says it."""

import pytest

from simulator.kubelets.documents import summary_of

NOW = 1_767_323_645.0
NODE = {"metadata": {"name": "n1"}, "status": {"capacity": {"memory": "16Gi"}}}


def a_pod(name="web-1", started="2026-01-02T03:04:05Z"):
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "creationTimestamp": started},
        "spec": {
            "containers": [{"name": "app", "resources": {"requests": {"cpu": "500m", "memory": "128Mi"}}}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": f"data-{name}"}}, {"name": "tmp"}],
        },
        "status": {"containerStatuses": [{"name": "app", "state": {"running": {"startedAt": started}}}]},
    }


@pytest.fixture
def summary():
    return summary_of(NODE, [a_pod(), a_pod("web-2")], now=NOW, booted_at=NOW - 9_000, claims={})

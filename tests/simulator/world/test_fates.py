"""What becomes of a container is read off the objects."""

import pytest

from simulator.world.fates import Fate, fate_of, memory_bytes


def pod(image="web:1.0.0", *, limit="256Mi", env=(), config=""):
    resources = {"limits": {"memory": limit}, "requests": {"memory": "128Mi"}}
    container = {"name": "app", "image": image, "resources": resources, "env": list(env)}
    volumes = [{"name": "config", "configMap": {"name": config}}] if config else []
    return {"metadata": {"namespace": "shop", "name": "web"}, "spec": {"containers": [container], "volumes": volumes}}


@pytest.mark.parametrize(
    ("given", "fate"),
    [
        (pod(), Fate.HEALTHY),
        (pod("web:1.0.O"), Fate.UNPULLABLE),
        (pod("web:1.0.1-rc.1"), Fate.CRASHING),
        (pod(limit="128Mi"), Fate.OUT_OF_MEMORY),
        (pod(env=[{"name": "INPUT", "value": "s3://exports/missing"}]), Fate.CRASHING),
        (pod(config="no-such-config"), Fate.HEALTHY),
        (pod(config="checkout-config"), Fate.HEALTHY),
    ],
)
def test_the_fate_of_a_pod(laboratory, given, fate):
    assert fate_of(laboratory.world.cluster, given) is fate


def test_a_pool_of_no_connections_breaks_the_application(laboratory):
    config = laboratory.etcd.get("configmaps", "shop", "checkout-config")
    config["data"]["DB_POOL_SIZE"] = "0"
    laboratory.etcd.update("configmaps", config, manager="kubectl-edit")

    assert fate_of(laboratory.world.cluster, pod(config="checkout-config")) is Fate.CRASHING


@pytest.mark.parametrize(("text", "count"), [("128Mi", 2**27), ("1Gi", 2**30), ("16Ki", 2**14), ("12", 12)])
def test_quantities_of_memory(text, count):
    assert memory_bytes(text) == count

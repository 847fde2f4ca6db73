"""Which kinds a cluster serves."""

import pytest

from agent.watch.discovery import discover
from agent.watch.kinds import wanted_kinds


async def test_only_what_the_cluster_serves_is_watched(world):
    served = {kind.name for kind in await discover(world.session, wanted_kinds())}

    assert {"Pod", "Event", "Deployment", "ReplicaSet", "ConfigMap"} <= served
    assert not any("argoproj" in name for name in served)
    assert "Secret" not in served


async def test_custom_resources_that_come_later_are_found(world):
    await world.control.custom("argoproj.io")

    served = {kind.name: kind for kind in await discover(world.session, wanted_kinds())}

    assert served["Application.argoproj.io"].stream_resource == "applications.argoproj.io"


async def test_an_extra_kind_gets_its_resource_from_the_cluster(world):
    served = {kind.name: kind for kind in await discover(world.session, wanted_kinds(["apps/v1/Deployment"]))}

    assert served["Deployment"].resource == "deployments"
    assert served["Deployment"].redaction == "template"


@pytest.mark.parametrize("name", ["pods", "events"])
async def test_a_namespaced_resource_is_known_as_such(world, name):
    served = {kind.resource: kind for kind in await discover(world.session, wanted_kinds())}

    assert served[name].is_namespaced
    assert not served["nodes"].is_namespaced

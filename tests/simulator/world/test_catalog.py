"""How many replicas each application gets."""

import pytest

from simulator.world.catalog import APPS, NAMESPACES, apps_for


@pytest.mark.parametrize("pods", [20, 100, 257, 3597])
def test_replicas_add_up_to_what_was_asked_for(pods):
    assert sum(app.replicas for app in apps_for(pods)) == pods


def test_each_application_has_at_least_one_pod():
    assert all(app.replicas >= 1 for app in apps_for(0))
    assert len(apps_for(0)) == len(APPS)


def test_a_large_cluster_has_more_applications_not_huge_ones():
    apps = apps_for(3600)

    assert max(app.replicas for app in apps) <= 10
    assert len({(app.namespace, app.name) for app in apps}) == len(apps)
    assert {app.namespace for app in apps} <= set(NAMESPACES)

"""The cluster as a whole: repeatable, bounded, restartable, and awake to what others write."""

import asyncio
import time
from collections import Counter

import pytest

from simulator.etcd import Etcd
from simulator.history import History
from simulator.resources import ResourceTable
from simulator.world.app import World
from simulator.world.stories import STORIES


def history_of(laboratory):
    return [
        (record.revision, record.type, record.resource, record.namespace, record.name, bytes(record.object))
        for record in laboratory.etcd.history.records()
        if record.resource
    ]


def test_the_same_seed_and_clock_give_the_same_history_byte_for_byte(make_laboratory):
    runs = []
    for _ in range(2):
        laboratory = make_laboratory(seed=3)
        laboratory.world.populate()
        laboratory.advance(60)
        runs.append(history_of(laboratory))

    assert len(runs[0]) > 300
    assert runs[0] == runs[1]


def test_another_seed_tells_another_story(make_laboratory):
    runs = []
    for seed in (3, 4):
        laboratory = make_laboratory(seed=seed)
        laboratory.world.populate()
        laboratory.advance(20)
        runs.append(history_of(laboratory))

    assert runs[0] != runs[1]


def test_the_cluster_stays_of_bounded_size_over_half_an_hour(make_laboratory):
    laboratory = make_laboratory(nodes=2, pods=16, pace=10.0, event_ttl_seconds=300.0, story_pause_seconds=(15.0, 25.0))
    laboratory.world.populate()
    kinds = ("pods", "nodes", "replicasets", "jobs", "deployments", "endpointslices")
    before = {kind: len(laboratory.etcd.list(kind)) for kind in kinds}
    events, agenda = [], []

    for _ in range(6):  # of 300 simulated seconds
        laboratory.advance(30, tick=1.0)
        events.append(len(laboratory.etcd.list("events")))
        agenda.append(len(laboratory.world.cluster.agenda))

    after = {kind: len(laboratory.etcd.list(kind)) for kind in kinds}
    assert after["pods"] <= before["pods"] + 30
    assert abs(after["nodes"] - before["nodes"]) <= 1
    assert after["replicasets"] <= 5 * before["deployments"]
    assert after["jobs"] <= 20
    assert after["deployments"] == before["deployments"]
    assert after["endpointslices"] == before["endpointslices"]
    assert max(events[3:]) < 2 * max(events[:3])
    assert max(agenda[3:]) < 2 * max(agenda[:3])


def test_events_go_an_hour_after_they_were_last_seen(make_laboratory):
    laboratory = make_laboratory(nodes=2, pods=20, pace=60.0)
    laboratory.world.populate(scenario=False)
    laboratory.play("flaky_probe")
    laboratory.advance(0.1, tick=0.1)
    assert laboratory.events(reason="Unhealthy")

    laboratory.advance(58)
    assert laboratory.events(reason="Unhealthy")

    laboratory.advance(3)
    assert not laboratory.events(reason="Unhealthy")


@pytest.mark.parametrize(("nodes", "pods", "seconds"), [(20, 300, 5.0)])
def test_populate_makes_what_was_asked_for_in_sane_time(make_laboratory, nodes, pods, seconds):
    laboratory = make_laboratory(nodes=nodes, pods=pods)
    begin = time.process_time()

    laboratory.world.populate()

    assert time.process_time() - begin < seconds  # of CPU, where it takes 0.6; a guard against a scan of everything
    assert len(laboratory.etcd.list("nodes")) == nodes
    assert len(laboratory.etcd.list("pods")) == pods
    assert Counter(pod["status"]["phase"] for pod in laboratory.etcd.list("pods")) == {"Running": pods}


def test_a_populated_cluster_is_at_rest(laboratory):
    laboratory.advance(3)
    begin = laboratory.etcd.revision

    laboratory.advance(60)

    written = Counter(
        (record.resource, record.type)
        for record in laboratory.etcd.history.records()
        if record.revision > begin and record.resource
    )
    # Heartbeats, a leader election, the autoscalers' metric, and a Job each other minute: nothing else.
    for resource in ("deployments.apps", "replicasets.apps", "daemonsets.apps", "statefulsets.apps"):
        assert not any(key[0] == resource for key in written)
    assert written["nodes", "MODIFIED"] >= 4


def test_after_a_restart_the_world_takes_up_what_is_there(make_laboratory, tmp_path):
    laboratory = make_laboratory(file=tmp_path / "history")
    laboratory.world.populate(scenario=False)
    broken = [laboratory.play(story) for story in ("unpullable_image", "config_break", "memory_limit")]
    lost = laboratory.play("node_lost")
    laboratory.play("failing_job")
    laboratory.advance(30)
    uids = {pod["metadata"]["uid"] for pod in laboratory.etcd.list("pods")}
    revision = laboratory.etcd.revision

    laboratory.etcd.close()
    laboratory.open()
    laboratory.world.populate(scenario=False)

    assert laboratory.etcd.revision - revision < 20
    assert {pod["metadata"]["uid"] for pod in laboratory.etcd.list("pods")} == uids
    assert laboratory.etcd.get("nodes", "", lost.name) is not None
    laboratory.advance_until(laboratory.is_well, seconds=900)
    for target in broken:
        assert laboratory.deployment(target)["status"]["availableReplicas"] >= 1


def test_when_the_store_goes_back_to_an_older_state_the_world_lives_on_from_there(laboratory):
    laboratory.advance(5)
    revision = laboratory.etcd.revision
    laboratory.play("rollout")
    laboratory.advance(20)

    laboratory.etcd.restore(revision)
    laboratory.advance(5)

    assert laboratory.etcd.revision >= revision
    laboratory.advance_until(laboratory.is_well)
    for pod in laboratory.world.cluster.registry.pods.values():
        assert laboratory.etcd.get("pods", *pod.key)["metadata"]["uid"] == pod.uid


def test_a_pod_that_somebody_else_deletes_is_replaced(laboratory):
    pod = next(pod for pod in laboratory.etcd.list("pods", "shop"))

    laboratory.etcd.delete("pods", "shop", pod["metadata"]["name"])
    laboratory.advance(1)
    laboratory.advance_until(laboratory.is_well)

    owner = pod["metadata"]["ownerReferences"][0]["uid"]
    siblings = [item for item in laboratory.etcd.list("pods") if item["metadata"]["ownerReferences"][0]["uid"] == owner]
    replica_set = laboratory.etcd.get("replicasets", "shop", pod["metadata"]["ownerReferences"][0]["name"])
    assert len(siblings) == replica_set["spec"]["replicas"]


def test_a_deployment_that_somebody_else_scales_is_scaled(laboratory):
    deployment = laboratory.etcd.get("deployments", "shop", "search")
    deployment["spec"]["replicas"] += 2

    laboratory.etcd.update("deployments", deployment, manager="kubectl", subresource="scale")
    laboratory.advance(1)
    laboratory.advance_until(laboratory.is_well)

    found = laboratory.etcd.get("deployments", "shop", "search")
    assert found["status"]["availableReplicas"] == deployment["spec"]["replicas"]


def test_a_deployment_that_somebody_else_deletes_takes_its_pods_with_it(laboratory):
    laboratory.etcd.delete("deployments", "shop", "search")

    laboratory.advance(20)

    owned = [item for item in laboratory.etcd.list("replicasets", "shop") if item["metadata"]["name"] == "search"]
    labels = [pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in laboratory.etcd.list("pods", "shop")]
    assert not owned
    assert "search" not in labels


def test_a_pod_that_somebody_else_creates_is_scheduled_and_runs(laboratory):
    container = {"name": "app", "image": "busybox:1.37.0", "resources": {}}
    pod = {"metadata": {"name": "debug", "namespace": "default"}, "spec": {"containers": [container]}}

    laboratory.etcd.create("pods", pod, manager="kubectl-run")
    laboratory.advance(15)

    assert laboratory.etcd.get("pods", "default", "debug")["status"]["phase"] == "Running"


@pytest.mark.parametrize("resource", ["pods", "nodes", "deployments", "replicasets", "jobs", "cronjobs", "daemonsets"])
def test_an_object_that_is_not_whole_is_left_alone(laboratory, resource):
    odd = {"metadata": {"name": "odd", "namespace": "shop", "labels": {"x": "y"}}, "spec": {"replicas": "many"}}

    laboratory.etcd.create(resource, odd, manager="curl")
    laboratory.advance(5)
    laboratory.world.populate(scenario=False)
    laboratory.advance(5)

    namespace = "" if resource == "nodes" else "shop"
    assert laboratory.etcd.get(resource, namespace, "odd") is not None
    assert "odd" not in laboratory.world.cluster.registry.nodes


def test_a_story_that_is_not_known_is_an_error(laboratory):
    assert set(laboratory.world.stories) == set(STORIES)
    with pytest.raises(KeyError):
        laboratory.world.play("world_peace")


def test_no_two_stories_have_one_target(laboratory):
    for _ in range(3):
        for story in STORIES:
            laboratory.world.play(story)

    assert len(laboratory.world.director.playing) <= 4 + len(laboratory.etcd.list("deployments"))
    nodes = [name for name in laboratory.world.director.playing.values() if name.startswith("node_")]
    assert len(nodes) == 1


async def test_in_real_time_the_world_lives_and_leaves_the_loop_free():
    etcd = Etcd(ResourceTable(), History(None), identity="run")
    etcd.open()
    world = World(etcd, nodes=4, pods=40, seed=1, pace=30.0)
    world.populate()
    revision = etcd.revision
    living = asyncio.create_task(world.run(), name="world")
    turns = 0
    async with asyncio.timeout(30):
        while etcd.revision < revision + 100:
            await asyncio.sleep(0.001)
            turns += 1

    living.cancel()
    with pytest.raises(asyncio.CancelledError):
        await living
    assert turns > 20

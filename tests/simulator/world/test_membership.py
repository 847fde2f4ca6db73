"""Nodes that come, go and return, whoever does it, and what becomes of the pods on them."""

from collections import Counter

import pytest

from simulator.placing import Placing


@pytest.fixture
def placing(laboratory) -> Placing:
    return Placing(laboratory.etcd)


def nodes_of(laboratory):
    return [node["metadata"]["name"] for node in laboratory.etcd.list("nodes")]


def daemon_pods(laboratory):
    """Return the node of each DaemonSet's pods that are not on their way out, by the DaemonSet."""
    placed = {}
    for pod in laboratory.etcd.list("pods"):
        (owner, *_) = (*pod["metadata"].get("ownerReferences", ()), {"kind": ""})
        if owner["kind"] == "DaemonSet" and "deletionTimestamp" not in pod["metadata"]:
            placed.setdefault(owner["name"], Counter())[pod["spec"].get("nodeName", "")] += 1
    return placed


def has_one_on_each(laboratory, nodes):
    placed = daemon_pods(laboratory)
    return set(placed) >= {"aws-node", "kube-proxy"} and all(
        counts == dict.fromkeys(nodes, 1) for counts in placed.values()
    )


def statuses(laboratory):
    return {item["status"]["desiredNumberScheduled"] for item in laboratory.etcd.list("daemonsets")}


def test_each_node_has_one_pod_of_each_daemon_set(laboratory):
    assert has_one_on_each(laboratory, nodes_of(laboratory))

    laboratory.advance(30)

    assert has_one_on_each(laboratory, nodes_of(laboratory))


def test_a_node_that_a_test_registers_gets_its_daemon_pods_and_they_run(laboratory, placing):
    placing.add_node("new")

    laboratory.advance_until(lambda: has_one_on_each(laboratory, [*nodes_of(laboratory)]), seconds=30)

    assert "new" in nodes_of(laboratory)
    laboratory.advance_until(
        lambda: all(
            pod["status"]["phase"] == "Running"
            for pod in laboratory.etcd.list("pods")
            if pod["spec"].get("nodeName") == "new"
        ),
        seconds=30,
    )
    assert statuses(laboratory) == {5}
    addresses = [pod["status"].get("podIP") for pod in laboratory.etcd.list("pods")]
    assert len(set(addresses)) == len(addresses)


def test_a_node_that_vanishes_takes_its_pods_along_and_they_are_replaced_elsewhere(laboratory, placing):
    laboratory.advance(3)
    gone, *left = nodes_of(laboratory)
    before = Counter(pod["metadata"]["namespace"] for pod in laboratory.etcd.list("pods", "shop"))

    placing.vanish(gone, pods_after=0)

    assert gone not in {pod["spec"].get("nodeName") for pod in laboratory.etcd.list("pods")}
    laboratory.advance(5)
    laboratory.advance_until(laboratory.is_well, seconds=90)
    assert Counter(pod["metadata"]["namespace"] for pod in laboratory.etcd.list("pods", "shop")) == before
    assert has_one_on_each(laboratory, left)
    assert statuses(laboratory) == {3}


def test_a_node_that_returns_under_its_name_gets_daemon_pods_anew(laboratory, placing):
    laboratory.advance(3)
    name = nodes_of(laboratory)[0]
    old = laboratory.etcd.get("nodes", "", name)
    placing.vanish(name, pods_after=0)
    laboratory.advance(5)

    placing.return_node(name)

    laboratory.advance_until(lambda: has_one_on_each(laboratory, nodes_of(laboratory)), seconds=60)
    new = laboratory.etcd.get("nodes", "", name)
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert len(nodes_of(laboratory)) == 4
    heartbeat = new["status"]["conditions"][-1]["lastHeartbeatTime"]
    laboratory.advance(70)
    later = laboratory.etcd.get("nodes", "", name)["status"]["conditions"][-1]["lastHeartbeatTime"]
    assert later > heartbeat


def test_pods_that_were_never_collected_are_taken_up_by_the_node_that_returns(laboratory, placing):
    laboratory.advance(3)
    name = nodes_of(laboratory)[0]
    placing.vanish(name, pods_after=None)
    on_node = {pod["metadata"]["uid"] for pod in laboratory.etcd.list("pods") if pod["spec"].get("nodeName") == name}
    laboratory.advance(40)
    assert on_node <= {pod["metadata"]["uid"] for pod in laboratory.etcd.list("pods")}

    placing.return_node(name)
    laboratory.advance(20)

    assert has_one_on_each(laboratory, nodes_of(laboratory))
    assert {len(laboratory.world.cluster.registry.on_node(name))} == {len(on_node)}


def test_a_node_that_the_cloud_took_away_leaves_its_pods_to_the_garbage_collector(laboratory):
    laboratory.advance(3)
    name = laboratory.play("node_lost").name
    laboratory.advance_until(lambda: name not in nodes_of(laboratory), seconds=400)
    laboratory.advance_until(
        lambda: name not in {pod["spec"].get("nodeName") for pod in laboratory.etcd.list("pods")}, seconds=60
    )

    reasons = {
        condition["reason"]
        for record in laboratory.etcd.history.records()
        if record.resource == "pods" and record.type == "DELETED"
        for condition in record.body()["status"].get("conditions", ())
        if condition["type"] == "DisruptionTarget"
    }
    assert "DeletionByPodGC" in reasons
    # Karpenter has brought another by now, and it has its DaemonSets' pods.
    laboratory.advance_until(lambda: has_one_on_each(laboratory, nodes_of(laboratory)), seconds=60)
    assert len(nodes_of(laboratory)) == 4


def test_a_daemon_set_that_a_test_creates_gets_a_pod_on_each_node(laboratory):
    laboratory.advance(3)
    daemon_set = laboratory.etcd.get("daemonsets", "kube-system", "aws-node")
    daemon_set["metadata"] = {"name": "kubescribe-node", "namespace": "kube-system"}
    laboratory.etcd.create("daemonsets", daemon_set, manager="helm")

    laboratory.advance_until(
        lambda: daemon_pods(laboratory).get("kubescribe-node") == dict.fromkeys(nodes_of(laboratory), 1), seconds=30
    )


def test_a_stateful_sets_pod_that_is_made_anew_elsewhere_stays_one_pod_and_runs(laboratory, placing):
    laboratory.advance(3)
    old = laboratory.etcd.get("pods", "data", "postgres-1")
    target = next(name for name in nodes_of(laboratory) if name != old["spec"]["nodeName"])

    placing.recreate("data", "postgres-1", node=target)

    laboratory.advance(5)
    laboratory.advance_until(laboratory.is_well, seconds=60)
    new = laboratory.etcd.get("pods", "data", "postgres-1")
    assert (new["spec"]["nodeName"], new["status"]["phase"]) == (target, "Running")
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert len([pod for pod in laboratory.etcd.list("pods", "data") if "postgres" in pod["metadata"]["name"]]) == 3


def fargate_pods(laboratory):
    """Return the node and the phase of each pod of the Fargate profile."""
    return {
        pod["metadata"]["name"]: (pod["spec"].get("nodeName", ""), pod["status"]["phase"])
        for pod in laboratory.etcd.list("pods")
        if "eks.amazonaws.com/fargate-profile" in pod["metadata"]["labels"]
    }


def fargate_nodes(laboratory):
    return [
        node["metadata"]["name"]
        for node in laboratory.etcd.list("nodes")
        if node["metadata"]["labels"].get("eks.amazonaws.com/compute-type") == "fargate"
    ]


@pytest.fixture
def with_fargate(make_laboratory):
    found = make_laboratory(fargate_nodes=3)
    found.world.populate(scenario=False)
    return found


def test_each_node_of_fargate_has_one_pod_of_its_profile_and_no_daemon_sets(with_fargate):
    with_fargate.advance(60)

    nodes = fargate_nodes(with_fargate)
    assert sorted(node for node, _ in fargate_pods(with_fargate).values()) == sorted(nodes)
    assert len(nodes) == 3
    assert Counter(pod["spec"].get("nodeName") for pod in with_fargate.etcd.list("pods")).items() >= {
        (node, 1) for node in nodes
    }
    instances = [name for name in nodes_of(with_fargate) if name not in nodes]
    assert has_one_on_each(with_fargate, instances)
    assert len(with_fargate.etcd.list("pods")) >= 40


def test_a_pod_of_fargate_that_is_replaced_gets_a_new_node_and_the_old_one_goes(with_fargate):
    with_fargate.advance(3)
    pods, nodes = fargate_pods(with_fargate), fargate_nodes(with_fargate)
    name, (node, _) = next(iter(pods.items()))
    with_fargate.etcd.delete("pods", "payments", name)

    with_fargate.advance_until(
        lambda: (
            node not in fargate_nodes(with_fargate)
            and [phase for _, phase in fargate_pods(with_fargate).values()] == ["Running"] * 3
        ),
        seconds=60,
    )

    assert len(set(fargate_nodes(with_fargate)) - set(nodes)) == 1
    assert sorted(node for node, _ in fargate_pods(with_fargate).values()) == sorted(fargate_nodes(with_fargate))

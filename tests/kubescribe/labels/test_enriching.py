"""A line's name follows from its pod, the same for every run of a workload, and keeps Loki's rules."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubescribe.labels.enriching import STREAM_LABELS, NodeFacts, enrich, names_of
from kubescribe.labels.names import label_name, label_value, selector_text
from kubescribe.labels.pods import PodFacts, container_ids, guessed_pod, pod_facts
from kubescribe.labels.workloads import Workload, workload_of

NODE = NodeFacts(cluster="prod", node="ip-10-0-1-7", zone="eu-west-2a")


def pod(name="web-6d4cf56db6-x7k2p", **facts):
    return PodFacts(namespace="shop", name=name, uid="u-1", **facts)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            {"owner_kind": "ReplicaSet", "owner_name": "web-6d4cf56db6", "labels": {"pod-template-hash": "6d4cf56db6"}},
            Workload("Deployment", "web", "6d4cf56db6"),
        ),
        (
            {"owner_kind": "ReplicaSet", "owner_name": "web-7f9", "labels": {"rollouts-pod-template-hash": "7f9"}},
            Workload("Rollout", "web", "7f9"),
        ),
        ({"owner_kind": "ReplicaSet", "owner_name": "by-hand"}, Workload("ReplicaSet", "by-hand")),
        (
            {"owner_kind": "StatefulSet", "owner_name": "db", "labels": {"controller-revision-hash": "db-5c8"}},
            Workload("StatefulSet", "db", "db-5c8"),
        ),
        (
            {"owner_kind": "Job", "owner_name": "report-28741920"},
            Workload("CronJob", "report", owner="report-28741920"),
        ),
        ({"owner_kind": "Job", "owner_name": "migrate-v2"}, Workload("Job", "migrate-v2")),
        ({"owner_kind": "Job", "owner_name": "import-x7k2p"}, Workload("Job", "import", owner="import-x7k2p")),
        (
            {"owner_kind": "Workflow", "owner_name": "etl-fjx2w-20240823"},
            Workload("Workflow", "etl", owner="etl-fjx2w-20240823"),
        ),
        ({"owner_kind": "Job", "owner_name": "import-xkqzp"}, Workload("Job", "import", owner="import-xkqzp")),
        ({"name": "debug"}, Workload("Pod", "debug")),
        ({"name": "front-https"}, Workload("Pod", "front-https")),
        ({"name": "build-defaced"}, Workload("Pod", "build-defaced")),
        (
            {"name": "run-0b5e6a8c-1d2f-4a3b-9c8d-7e6f5a4b3c2d"},
            Workload("Pod", "run", owner="run-0b5e6a8c-1d2f-4a3b-9c8d-7e6f5a4b3c2d"),
        ),
        (
            {"name": "kube-proxy-ip-10-0-1-7", "owner_kind": "Node", "owner_name": "ip-10-0-1-7"},
            Workload("Pod", "kube-proxy"),
        ),
    ],
)
def test_a_workload_s_name_is_the_same_for_each_of_its_runs(facts, expected):
    assert workload_of(pod(**facts)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web-6d4cf56db6-x7k2p", Workload("Deployment", "web", "6d4cf56db6")),
        ("db-0", Workload("StatefulSet", "db")),
        ("report-28741920-x7k2p", Workload("CronJob", "report")),
        ("node-exporter-x7k2p", Workload("Pod", "node-exporter")),
        ("payment-cache", Workload("Pod", "payment-cache")),
    ],
)
def test_a_pod_that_nobody_saw_is_named_by_its_file(name, expected):
    assert workload_of(guessed_pod("shop", name, "u-1")) == expected


def test_every_name_is_the_pod_s_own_word_before_it_is_the_workload_s():
    tracked = pod(
        labels={"app": "web-app", "app.kubernetes.io/part-of": "store"},
        annotations={"argocd.argoproj.io/tracking-id": "shop-front:apps/Deployment:shop/web"},
    )
    plain = pod(owner_kind="StatefulSet", owner_name="db")

    assert names_of(tracked)[2:4] == ("web-app", "shop-front")
    assert names_of(pod(labels={"app.kubernetes.io/instance": "web-eu"})).application == "web-eu"
    assert names_of(plain)[2:4] == ("db", "db")


def test_stream_labels_are_those_of_the_design_and_no_pod_is_among_them():
    found = enrich(
        pod(owner_kind="DaemonSet", owner_name="agent", images={"app": "registry/app:1.2"}, labels={"team": "blue"}),
        container="app",
        restart=3,
        node=NODE,
        pod_labels=("team", "absent", "example.org/tier"),
    )

    assert {*found.labels, "stream"} == set(STREAM_LABELS)
    assert found.metadata == {
        "pod": "web-6d4cf56db6-x7k2p",
        "pod_uid": "u-1",
        "node": "ip-10-0-1-7",
        "zone": "eu-west-2a",
        "image": "registry/app:1.2",
        "restart": "3",
        "team": "blue",
    }
    assert found.selector("stderr") == (
        '{application="agent", cluster="prod", container="app", namespace="shop", service_name="agent", '
        'stream="stderr", workload="agent", workload_kind="DaemonSet"}'
    )


def test_a_pod_label_never_takes_the_place_of_ours():
    found = enrich(
        pod(labels={"pod": "impostor", "namespace": "other"}),
        container="app",
        restart=None,
        node=NODE,
        pod_labels=("pod", "namespace"),
    )

    assert found.metadata["pod"] == "web-6d4cf56db6-x7k2p"
    assert "namespace" not in found.metadata
    assert "restart" not in found.metadata


@given(st.text(max_size=60))
def test_a_name_keeps_loki_s_rules(text):
    name = label_name(text)

    assert name == "" or (name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit())
    assert not name.startswith("__")


@given(st.text(max_size=3000))
def test_a_value_is_cut_at_a_whole_character(text):
    assert len(label_value(text).encode()) <= 2048


def test_a_selector_is_quoted_as_go_quotes():
    assert selector_text({"b": 'say "hi"\\\n', "a": "ü\x00\u200b", "none": ""}) == (
        '{a="ü\\x00\\u200b", b="say \\"hi\\"\\\\\\n"}'
    )


def test_facts_are_read_from_the_object_and_survive_the_checkpoint():
    body = msgspec.json.encode(
        {
            "metadata": {
                "name": "web-1",
                "namespace": "shop",
                "uid": "u-1",
                "labels": {"app": "web"},
                "annotations": {"kubernetes.io/config.mirror": "f" * 32, "other": "x"},
                "ownerReferences": [{"kind": "Node", "name": "n1", "controller": True}],
            },
            "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "app:1"}], "initContainers": None},
            "status": {"containerStatuses": [{"containerID": "containerd://" + "ab" * 32}]},
        }
    )
    facts = pod_facts(body)

    assert (facts.owner_kind, facts.node, facts.images) == ("Node", "n1", {"app": "app:1"})
    assert facts.file_uid == "f" * 32
    assert facts.annotations == {"kubernetes.io/config.mirror": "f" * 32}
    assert container_ids(body) == {"ab" * 32}
    assert msgspec.json.decode(msgspec.json.encode(facts), type=PodFacts) == facts
    with pytest.raises(ValueError, match="Expected"):
        pod_facts(b"[]")

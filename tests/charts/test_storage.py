"""The volume of the journal: it grows in place, outlives the release, and never runs full."""

from typing import Any

import pytest

from tests.charts.conftest import Rendering, example, render, values_at

KEPT = {"helm.sh/resource-policy": "keep", "argocd.argoproj.io/sync-options": "Prune=false,Delete=false"}


def persistence(**values: Any) -> dict[str, Any]:
    return values_at("aggregator.persistence", values)


def data(made: Rendering) -> dict[str, Any]:
    (volume,) = [volume for volume in made.pod("aggregator")["volumes"] if volume["name"] == "data"]
    return volume


def test_the_claim_stands_beside_the_stateful_set_and_outlives_the_release(plain: Rendering) -> None:
    claim = plain.one("PersistentVolumeClaim", "aggregator")

    assert "volumeClaimTemplates" not in plain.one("StatefulSet", "aggregator")["spec"]
    assert claim["metadata"]["annotations"] == KEPT
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}}
    assert data(plain)["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}


@pytest.mark.parametrize(
    ("size", "retention"), [("20Gi", "15360MiB"), ("1Gi", "768MiB"), ("100Mi", "75MiB"), ("2Ti", "1572864MiB")]
)
def test_the_journal_may_take_three_quarters_of_the_volume(size: str, retention: str) -> None:
    assert render(persistence(size=size)).settings("aggregator")["store"]["retentionBytes"] == retention


def test_one_pod_of_the_cluster_may_be_all_that_mounts_it() -> None:
    made = render(persistence(accessMode="ReadWriteOncePod", annotations={"backup": "daily"}))
    claim = made.one("PersistentVolumeClaim", "aggregator")

    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert claim["metadata"]["annotations"] == {**KEPT, "backup": "daily"}


def test_a_class_is_named_or_made(plain: Rendering) -> None:
    named = render(persistence(storageClassName="fast"))
    made = render(example("eks-alb"))

    assert plain.find("StorageClass", "aggregator") is named.find("StorageClass", "aggregator") is None
    assert named.one("PersistentVolumeClaim", "aggregator")["spec"]["storageClassName"] == "fast"
    assert made.one("PersistentVolumeClaim", "aggregator")["spec"]["storageClassName"] == "kubescribe-gp3"


def test_the_class_that_is_made_is_encrypted_gp3_that_grows_and_is_kept() -> None:
    made = render(example("eks-alb")).one("StorageClass", "aggregator")

    assert made["metadata"]["name"] == "kubescribe-gp3"
    assert made["metadata"]["annotations"] == KEPT
    assert {key: made[key] for key in made.keys() - {"apiVersion", "kind", "metadata"}} == {
        "provisioner": "ebs.csi.aws.com",
        "parameters": {"type": "gp3", "encrypted": "true", "csi.storage.k8s.io/fstype": "ext4"},
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Retain",
    }


def test_auto_mode_has_a_provisioner_and_a_topology_of_its_own() -> None:
    topology = [{"matchLabelExpressions": [{"key": "eks.amazonaws.com/compute-type", "values": ["auto"]}]}]
    values = {"create": True, "provisioner": "ebs.csi.eks.amazonaws.com", "allowedTopologies": topology}
    made = render(persistence(storageClass=values)).one("StorageClass", "aggregator")

    assert made["provisioner"] == "ebs.csi.eks.amazonaws.com"
    assert made["allowedTopologies"] == topology


def test_an_existing_claim_is_mounted_and_nothing_is_made_of_it() -> None:
    made = render(example("existing-claim"))

    assert made.find("PersistentVolumeClaim", "aggregator") is None
    assert data(made)["persistentVolumeClaim"] == {"claimName": "journal-of-last-year"}
    assert made.settings("aggregator")["store"]["retentionBytes"] == "75GiB"
    assert "journal-of-last-year, which is yours" in made.notes


def test_without_a_volume_the_notes_shout() -> None:
    made = render(example("no-nodes"))

    assert data(made)["emptyDir"] == {"sizeLimit": "20Gi"}
    assert "EACH RESTART" in made.notes.upper()


def test_the_notes_say_why_a_claim_stays_pending(plain: Rendering) -> None:
    assert "EKS makes none" in plain.notes
    assert "EKS makes none" not in render(example("eks-alb")).notes


def test_the_spool_of_the_cluster_agent_has_room_above_its_own_limit(plain: Rendering) -> None:
    (spool,) = [volume for volume in plain.pod("cluster-agent")["volumes"] if volume["name"] == "spool"]

    assert spool["emptyDir"] == {"sizeLimit": "1Gi"}

"""A shipper's labels and its file's path lead to the container, also where the path was cut off."""

import pytest

from kubescribe.labels.clues import NOTHING, Clue, clue_of, clue_of_path

ID = "0123456789abcdef" * 4
UID = "0a1b2c3d-0000-4000-8000-00000000000e"


@pytest.mark.parametrize(
    ("path", "clue"),
    [
        (
            f"/var/log/pods/shop_web-0_{UID}/web/3.log",
            Clue(uid=UID, namespace="shop", pod="web-0", container="web", restart=3),
        ),
        (
            f"/var/log/pods/shop_web-0_{UID}/web/0.log.20261125-101010.gz",
            Clue(uid=UID, namespace="shop", pod="web-0", container="web", restart=0),
        ),
        (
            # A static pod's files carry the hash of its configuration.
            "/var/log/pods/kube-system_etcd-n1_11111111111111111111111111111111/etcd/0.log",
            Clue(uid="1" * 32, namespace="kube-system", pod="etcd-n1", container="etcd", restart=0),
        ),
        (
            f"/var/log/containers/web-0_shop_web-app-{ID}.log",
            Clue(container_id=ID, namespace="shop", pod="web-0", container="web-app"),
        ),
        (
            f"kube.var.log.containers.web-0_shop_web-app-{ID}.log",
            Clue(container_id=ID, namespace="shop", pod="web-0", container="web-app"),
        ),
        ("/var/log/syslog", NOTHING),
        ("/var/log/containers/odd.log", NOTHING),
        ("", NOTHING),
    ],
)
def test_a_path_tells_what_is_in_it(path: str, clue: Clue) -> None:
    assert clue_of_path(path) == clue


def test_a_path_that_the_kubelet_cut_off_tells_the_rest() -> None:
    pod = "p" * 150
    whole = f"{pod}_shop_web-app-{ID}"
    stem = f"{'p' * 200}_shop_web-app-{ID}"[:251]
    assert len(whole) < 251 < len(f"{'p' * 200}_shop_web-app-{ID}")

    assert clue_of_path(f"/var/log/containers/{stem}.log") == Clue(namespace="shop", pod="p" * 200, container="web-app")
    # Not cut off by the kubelet, so no container's.
    assert clue_of_path(f"/var/log/containers/{pod}_shop_web-app-0123.log") == NOTHING


@pytest.mark.parametrize(
    "labels",
    [
        {"namespace": "shop", "pod": "web-0", "container": "web"},
        {"namespace_name": "shop", "pod_name": "web-0", "container_name": "web"},
        {"kubernetes_namespace_name": "shop", "kubernetes_pod_name": "web-0", "kubernetes_container_name": "web"},
        {"k8s_namespace_name": "shop", "k8s_pod_name": "web-0", "k8s_container_name": "web"},
    ],
)
def test_every_shippers_words_for_a_pod_are_known(labels: dict[str, str]) -> None:
    assert clue_of(labels) == Clue(namespace="shop", pod="web-0", container="web")


def test_labels_go_before_the_path_and_the_path_fills_in() -> None:
    clue = clue_of({"namespace": "theirs", "filename": f"/var/log/pods/shop_web-0_{UID}/web/3.log", "pod": ""})

    assert clue == Clue(uid=UID, namespace="theirs", pod="web-0", container="web", restart=3)


def test_an_id_of_a_container_is_known_with_its_runtime() -> None:
    assert clue_of({"container_id": f"containerd://{ID}"}).container_id == ID
    assert clue_of({"container_id": "web"}).container_id == ""
    assert not clue_of({"namespace": "shop"}).names_a_pod

"""What the path of a log file says."""

import pytest

from agent.tail.paths import FileName, Instance, parse_file_name, parse_path, parse_pod_folder

UID = "2f5a3c1e-8f7d-4b6a-9c0d-1e2f3a4b5c6d"


def test_a_path_names_namespace_pod_uid_container_and_restart() -> None:
    path = f"/var/log/pods/shop_checkout-7d9-x1_{UID}/app/3.log"

    assert parse_path(path) == (Instance("shop", "checkout-7d9-x1", UID, "app", 3), FileName(3, "", False))


def test_a_rotated_file_belongs_to_the_same_instance() -> None:
    folder = f"shop_checkout_{UID}/app"

    plain = parse_path(f"{folder}/0.log.20260102-030405")
    packed = parse_path(f"{folder}/0.log.20260102-030405.gz")

    assert plain is not None
    assert packed is not None
    assert plain[0] == packed[0]
    assert plain[1] == FileName(0, "20260102-030405", False)
    assert packed[1] == FileName(0, "20260102-030405", True)


def test_a_static_pod_has_the_hash_of_its_file_for_a_uid() -> None:
    folder = parse_pod_folder("kube-system_etcd-ip-10-0-1-7.ec2.internal_0123456789abcdef0123456789abcdef")

    assert folder is not None
    assert folder.pod == "etcd-ip-10-0-1-7.ec2.internal"
    assert folder.uid == "0123456789abcdef0123456789abcdef"
    assert folder.name.startswith("kube-system_etcd-")


@pytest.mark.parametrize(
    "name",
    [
        "0.log.20260102-030405.tmp",
        "0.log.tmp",
        "x.log",
        "00.log",
        "0.log.gz",
        "0.log.1",
        ".0.log",
        "0.log.20260102",
        "",
    ],
)
def test_what_the_kubelet_does_not_keep_is_no_file(name: str) -> None:
    assert parse_file_name(name) is None


@pytest.mark.parametrize(
    "path", ["a/b.log", "x_y/app/0.log", f"shop_pod_{UID}/App/0.log", "0.log", "", "a_b_c_d/x/0.log"]
)
def test_a_folder_that_is_no_pods_is_no_instance(path: str) -> None:
    assert parse_path(path) is None


def test_an_instance_tells_where_its_files_are() -> None:
    instance = Instance("shop", "checkout", UID, "app", 2)

    assert instance.folder == f"shop_checkout_{UID}/app"
    assert instance.live_name == "2.log"

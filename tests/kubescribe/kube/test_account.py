"""Where a pod runs, as the kubelet tells it."""

from pathlib import Path

from kubescribe.kube.account import own_namespace


def test_the_namespace_is_that_of_the_pod(tmp_path: Path) -> None:
    (tmp_path / "namespace").write_text("kubescribe\n")

    assert own_namespace(tmp_path) == "kubescribe"
    assert own_namespace(tmp_path / "missing") == "default"

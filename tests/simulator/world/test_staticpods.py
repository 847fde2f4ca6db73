"""A static pod is there under two names: its mirror's uid, and the hash of its file."""

from simulator.logs.folder import LogFolder
from simulator.logs.podlogs import PodLogs


def mirrors(laboratory):
    return [
        pod
        for pod in laboratory.etcd.list("pods", "kube-system")
        if "kubernetes.io/config.mirror" in pod["metadata"].get("annotations", {})
    ]


def test_its_logs_lie_under_the_hash_that_its_mirror_carries(laboratory, tmp_path):
    (pod,) = mirrors(laboratory)
    name, config = pod["metadata"]["name"], pod["metadata"]["annotations"]["kubernetes.io/config.mirror"]

    PodLogs(laboratory.etcd, LogFolder(tmp_path, by_node=False)).open()

    assert name == f"node-agent-{pod['spec']['nodeName']}"
    assert len(config) == 32
    assert config != pod["metadata"]["uid"]
    assert (tmp_path / f"kube-system_{name}_{config}" / "app" / "0.log").is_file()


def test_it_tolerates_everything_and_goes_with_its_node(laboratory):
    (pod,) = mirrors(laboratory)
    laboratory.world._node_life.lose(pod["spec"]["nodeName"], is_replaced=True)

    laboratory.advance(75)
    (found,) = mirrors(laboratory)
    assert "deletionTimestamp" not in found["metadata"]

    laboratory.advance_until(lambda: not mirrors(laboratory))

"""The containers' log files tell the stories of the world, and keep to the kubelet's rules while it lives."""

import re

import pytest

from simulator.errors import BadSettings
from simulator.logs.folder import LogFolder
from simulator.logs.podlogs import LogSettings, PodLogs
from simulator.logs.rotating import content, generations


def name_of(pod):
    """Return the name of a pod's folder; a static pod's has the hash of its file."""
    metadata = pod["metadata"]
    uid = metadata.get("annotations", {}).get("kubernetes.io/config.mirror", metadata["uid"])
    return f"{metadata['namespace']}_{metadata['name']}_{uid}"


class Node:
    """The log files of a laboratory's cluster."""

    def __init__(self, laboratory, root, *, by_node=False, **settings):
        self.laboratory = laboratory
        self.root = root
        self.logs = PodLogs(
            laboratory.etcd,
            LogFolder(root, by_node=by_node),
            settings=LogSettings(**settings),
            now_ns=lambda: int(laboratory.now * 1e9),
        )
        self.logs.open()

    def advance(self, seconds):
        for _ in range(int(seconds)):
            self.laboratory.advance(1.0)
            self.logs.tick()

    def until(self, claim, seconds=200):
        for _ in range(seconds):
            if claim():
                return
            self.advance(1)
        pytest.fail("it did not come to pass")

    def folder(self, pod):
        return self.root / name_of(pod) / "app"

    def text(self, target):
        """Everything that the containers of an application have written and that is still there."""
        found = []
        for container in sorted(self.root.glob(f"{target.namespace}_{target.name}-*/*")):
            for number in sorted({int(path.name.partition(".")[0]) for path in container.iterdir()}):
                found += [content(path) for path in generations(container / f"{number}.log")]
        return b"".join(found).decode()


@pytest.fixture
def node(laboratory, tmp_path):
    return Node(laboratory, tmp_path / "logs")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_running_container_of_a_node_has_a_log_of_records(node):
    node.advance(3)

    pods = node.laboratory.etcd.list("pods")
    assert pods
    for pod in pods:
        (path,) = node.folder(pod).parent.glob("*/0.log")
        for record in path.read_bytes().splitlines():
            assert re.match(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z std(out|err) F ", record)


def test_an_oom_kill_leaves_warnings_and_a_record_without_an_end(node):
    target = node.laboratory.play("oom_kill")

    node.until(lambda: "OutOfMemoryError" in node.text(target))

    (folder,) = [pod for pod in map(node.folder, node.laboratory.pods(target)) if "OutOfMemory" in str(read(pod))]
    assert names(folder) == ["0.log"] or names(folder) == ["0.log", "1.log"]
    last = (folder / "0.log").read_bytes().splitlines()[-1]
    assert last.split(b" ")[1:3] == [b"stdout", b"P"]
    assert b"heap usage at" in (folder / "0.log").read_bytes()


def read(folder):
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_a_crash_loop_counts_its_files_up_and_keeps_one_dead_one(node):
    target = node.laboratory.play("crash_loop")

    def last():
        return max(int(path.stem) for path in node.root.glob(f"{target.namespace}_{target.name}-*/app/*.log"))

    node.until(lambda: last() >= 2)

    assert "cannot go on, exiting" in node.text(target)
    for pod in node.laboratory.pods(target):
        numbers = sorted(int(path.stem) for path in node.folder(pod).glob("*.log"))
        assert numbers == list(range(max(0, numbers[-1] - 1), numbers[-1] + 1))


def test_a_config_change_is_told_before_the_crash_that_it_causes(node):
    target = node.laboratory.play("config_break")

    node.until(lambda: "ConfigurationError" in node.text(target))

    text = node.text(target)
    assert "configuration changed, reloading" in text
    assert "DB_POOL_SIZE must be at least 1, got 0" in text


def test_the_folder_of_a_pod_goes_a_moment_after_the_pod(node):
    target = node.laboratory.play("rollout")
    before = [node.folder(pod).parent for pod in node.laboratory.pods(target)]
    node.advance(1)
    assert all(folder.is_dir() for folder in before)

    node.until(lambda: node.laboratory.is_well() and not any(folder.exists() for folder in before))

    present = {folder.name for folder in node.root.iterdir() if folder.is_dir()}
    assert present >= {name_of(pod) for pod in node.laboratory.etcd.list("pods")}


def test_after_a_restart_the_files_go_on_and_orphans_are_gone(make_laboratory, tmp_path):
    laboratory = make_laboratory(file=tmp_path / "etcd")
    laboratory.world.populate(scenario=False)
    node = Node(laboratory, tmp_path / "logs")
    node.advance(5)
    sizes = {path: path.stat().st_size for path in node.root.glob("*/*/0.log")}
    (node.root / "shop_gone-1_uid" / "app").mkdir(parents=True)
    laboratory.etcd.close()
    laboratory.open()
    laboratory.world.populate(scenario=False)

    again = Node(laboratory, tmp_path / "logs", lines_per_second=20, max_lines_per_second=1000)
    again.advance(2)

    assert not (node.root / "shop_gone-1_uid").exists()
    grown = [path for path, size in sizes.items() if path.stat().st_size > size]
    assert len(grown) > len(sizes) / 2
    assert all(path.read_bytes().count(b"starting ") == 1 for path in sizes)


def test_logs_lie_below_their_node(laboratory, tmp_path):
    Node(laboratory, tmp_path, by_node=True)

    for pod in laboratory.etcd.list("pods"):
        assert (tmp_path / pod["spec"]["nodeName"] / name_of(pod)).is_dir()


def test_files_are_rotated_and_stay_within_their_bound(make_laboratory, tmp_path):
    laboratory = make_laboratory(nodes=1, pods=5)
    laboratory.world.populate(scenario=False)
    node = Node(
        laboratory, tmp_path, lines_per_second=10, max_lines_per_second=200, rotate_seconds=1, total_bytes=300_000
    )

    node.advance(20)

    files = [path for path in tmp_path.rglob("*.log*") if path.is_file()]
    assert any(path.suffix == ".gz" for path in files)
    assert sum(path.stat().st_size for path in files) < 360_000
    assert all(len(list(path.parent.glob("0.log*"))) <= 5 for path in files)


def test_a_pod_of_fargate_has_no_files_on_a_node(make_laboratory, tmp_path):
    laboratory = make_laboratory(fargate_nodes=1)
    laboratory.world.populate(scenario=False)

    Node(laboratory, tmp_path)

    assert laboratory.etcd.list("pods", "payments")
    assert list(tmp_path.glob("payments_webhooks-*")) == []


def test_a_folder_of_others_is_not_touched(laboratory, tmp_path):
    (tmp_path / "shop_web-0_uid").mkdir()

    with pytest.raises(BadSettings, match="files of others"):
        Node(laboratory, tmp_path)

    assert names(tmp_path) == ["shop_web-0_uid"]

"""The store: revisions, generations, ownership, restarts and restores."""

from datetime import UTC, datetime

import pytest

from simulator.errors import BadHistory, StoreRefused
from simulator.etcd import Etcd
from simulator.history import History
from simulator.resources import ResourceTable


class Clock:
    """Stands still until a test moves it."""

    def __init__(self):
        self.second = 0

    def __call__(self):
        return datetime(2026, 1, 1, 0, 0, self.second, tzinfo=UTC)


def opened(path=None, *, clock=None, identity=""):
    etcd = Etcd(ResourceTable(), History(path), clock=clock or Clock(), identity=identity)
    etcd.open()
    return etcd


def test_a_new_cluster_has_kube_system_from_the_start():
    etcd = opened()

    assert etcd.get("namespaces", "", "kube-system")["metadata"]["uid"]


def test_every_write_takes_one_revision_of_the_whole_store(pod):
    etcd = opened()
    before = etcd.revision

    created = etcd.create("pods", pod("a"), manager="m")
    other = etcd.create("configmaps", {"metadata": {"name": "c", "namespace": "shop"}}, manager="m")
    deleted = etcd.delete("pods", "shop", "a")

    versions = [int(obj["metadata"]["resourceVersion"]) for obj in (created, other)]
    assert [before + 1, before + 2] == versions
    assert etcd.revision == before + 3
    assert deleted["metadata"]["uid"] == created["metadata"]["uid"]


def test_the_generation_moves_with_the_spec_and_not_with_the_status(pod):
    etcd = opened()
    obj = etcd.create("pods", pod("a"), manager="m")

    obj["status"] = {"phase": "Running"}
    obj = etcd.update("pods", obj, manager="kubelet", subresource="status")
    assert obj["metadata"]["generation"] == 1
    obj["spec"]["containers"][0]["image"] = "other"
    obj = etcd.update("pods", obj, manager="kubectl-edit")

    assert obj["metadata"]["generation"] == 2


def test_marking_a_pod_for_deletion_raises_its_generation(pod):
    etcd = opened()
    obj = etcd.create("pods", pod("a"), manager="m")

    obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:30Z"

    assert etcd.update("pods", obj, manager="m")["metadata"]["generation"] == 2


def test_the_status_is_written_only_through_its_subresource(pod):
    etcd = opened()
    obj = etcd.create("pods", pod("a"), manager="m")

    obj["status"] = {"phase": "Failed"}
    obj["spec"]["containers"][0]["image"] = "other"

    assert etcd.update("pods", obj, manager="m")["status"] == {"phase": "Pending"}
    assert (
        etcd.update("pods", pod("a") | {"status": {"phase": "Failed"}}, manager="m", subresource="status")["spec"][
            "containers"
        ][0]["image"]
        == "other"
    )


def test_a_binding_moves_no_generation_and_is_owned_by_nobody(pod):
    etcd = opened()
    obj = etcd.create("pods", pod("a"), manager="m")

    obj["spec"]["nodeName"] = "n1"
    obj["status"]["conditions"] = [{"type": "PodScheduled", "status": "True"}]
    bound = etcd.update("pods", obj, manager="scheduler", subresource="binding")

    assert bound["metadata"]["generation"] == 1
    assert bound["metadata"]["managedFields"] == obj["metadata"]["managedFields"]
    assert bound["status"]["conditions"]


def test_a_write_that_changes_nothing_is_none(pod):
    etcd = opened()
    obj = etcd.create("pods", pod("a"), manager="m")
    revision = etcd.revision

    again = etcd.update("pods", obj, manager="somebody")

    assert revision == etcd.revision
    assert obj == again


def test_the_time_of_a_managers_entry_moves_only_when_it_changes_something(pod):
    clock = Clock()
    etcd = opened(clock=clock)
    obj = etcd.create("pods", pod("a"), manager="creator")
    clock.second = 5
    obj["status"] = {"phase": "Running", "podIPs": [{"ip": "10.2.0.1"}]}

    obj = etcd.update("pods", obj, manager="kubelet", subresource="status")

    entries = {(e["manager"], e.get("subresource")): e for e in obj["metadata"]["managedFields"]}
    assert entries["creator", None]["time"] == "2026-01-01T00:00:00Z"
    assert entries["kubelet", "status"]["time"] == "2026-01-01T00:00:05Z"
    assert entries["kubelet", "status"]["fieldsV1"] == {
        "f:status": {"f:phase": {}, "f:podIPs": {".": {}, 'k:{"ip":"10.2.0.1"}': {".": {}, "f:ip": {}}}}
    }


def test_what_was_written_survives_a_restart_and_nothing_repeats(tmp_path, pod):
    first = opened(tmp_path / "history")
    uid = first.create("pods", pod("a"), manager="m")["metadata"]["uid"]
    revision, cluster = first.revision, first.get("namespaces", "", "kube-system")["metadata"]["uid"]
    first.flush()
    first.history.close()  # the kernel does this for a process that was killed

    second = opened(tmp_path / "history")

    assert revision == second.revision
    assert cluster == second.get("namespaces", "", "kube-system")["metadata"]["uid"]
    assert uid == second.get("pods", "shop", "a")["metadata"]["uid"]
    created = second.create("pods", pod("b"), manager="m")
    assert created["metadata"]["uid"] != uid
    assert created["metadata"]["resourceVersion"] == str(revision + 1)
    second.close()


def test_a_frame_cut_by_a_kill_is_cut_off(tmp_path, pod):
    path = tmp_path / "history"
    etcd = opened(path)
    etcd.create("pods", pod("a"), manager="m")
    revision = etcd.revision
    etcd.create("pods", pod("b"), manager="m")
    etcd.close()
    path.write_bytes(path.read_bytes()[:-3])

    again = opened(path)

    assert revision == again.revision
    assert again.get("pods", "shop", "b") is None
    again.create("pods", pod("c"), manager="m")
    again.close()
    last = opened(path)
    assert last.get("pods", "shop", "c")
    last.close()


def test_a_file_that_is_no_history_is_refused(tmp_path):
    (tmp_path / "history").write_text("my thesis, which must not be overwritten")

    with pytest.raises(BadHistory):
        opened(tmp_path / "history")
    assert (tmp_path / "history").read_text().startswith("my thesis")


def test_a_history_in_use_is_refused(tmp_path):
    etcd = opened(tmp_path / "history")

    with pytest.raises(BadHistory, match="in use"):
        opened(tmp_path / "history")
    etcd.close()


def test_a_restore_brings_back_the_older_state_and_revisions_go_on_from_there(tmp_path, pod):
    etcd = opened(tmp_path / "history")
    obj = etcd.create("pods", pod("a"), manager="m")
    uid_lost = etcd.create("pods", pod("b"), manager="m")["metadata"]["uid"]
    obj["spec"]["containers"][0]["image"] = "other"
    etcd.update("pods", obj, manager="m")

    etcd.restore(int(obj["metadata"]["resourceVersion"]))

    assert etcd.get("pods", "shop", "a")["spec"]["containers"][0]["image"] == "public.ecr.aws/x/app:1.0"
    assert etcd.get("pods", "shop", "b") is None
    again = etcd.create("pods", pod("b"), manager="m")
    assert again["metadata"]["resourceVersion"] == str(int(obj["metadata"]["resourceVersion"]) + 1)
    assert again["metadata"]["uid"] != uid_lost
    etcd.close()
    reopened = opened(tmp_path / "history")
    assert (reopened.era, reopened.revision) == (1, int(again["metadata"]["resourceVersion"]))
    assert reopened.get("pods", "shop", "b")["metadata"]["uid"] == again["metadata"]["uid"]
    reopened.close()


def test_subscribers_hear_of_a_write_after_it_is_in_the_history(pod):
    etcd = opened()
    heard = []
    etcd.subscribe(
        lambda events, revision: heard.append((events, revision, [r.name for r in etcd.history.records()][-1]))
    )

    etcd.create("pods", pod("a"), manager="m")

    ((events, revision, last),) = heard
    assert (["ADDED"], etcd.revision, "a") == ([event.type for event in events], revision, last)


def test_what_is_not_there_cannot_be_written(pod):
    etcd = opened()
    etcd.create("pods", pod("a"), manager="m")

    with pytest.raises(StoreRefused, match="already exists"):
        etcd.create("pods", pod("a"), manager="m")
    with pytest.raises(StoreRefused, match="not found"):
        etcd.update("pods", pod("b"), manager="m")
    with pytest.raises(StoreRefused, match="not found"):
        etcd.delete("pods", "shop", "b")


def test_a_returned_object_is_a_copy(pod):
    etcd = opened()
    etcd.create("pods", pod("a"), manager="m")["spec"]["containers"].clear()

    assert etcd.get("pods", "shop", "a")["spec"]["containers"]

"""Which managedFields entry names the actor."""

import msgspec
import pytest

from agent.watch.actors import actor_of, find_actor, find_owner, moved_since, sign
from agent.watch.decoding import ManagedEntry

OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"


def entry(manager, time, fields=b'{"f:spec":{}}', subresource=""):
    return ManagedEntry(manager, "Update", time, subresource, msgspec.Raw(fields))


@pytest.mark.parametrize(
    "written",
    [
        entry("helm", NEW),
        entry("helm", OLD, b'{"f:spec":{},"f:status":{}}'),
        entry("other", OLD),
        entry("helm", OLD, subresource="scale"),
    ],
    ids=["time", "fields", "manager", "subresource"],
)
def test_an_entry_moved_when_anything_of_it_did(written):
    kubelet = entry("kubelet", OLD, b'{"f:status":{}}', "status")
    before = sign([entry("helm", OLD), kubelet])
    entries = [written, kubelet]

    assert moved_since(entries, sign(entries), before) == [written]


def test_an_entry_that_only_changed_its_place_did_not_move():
    helm, kubelet = entry("helm", OLD), entry("kubelet", OLD)
    entries = [kubelet, helm]

    assert moved_since(entries, sign(entries), sign([helm, kubelet])) == []


def test_of_several_writers_it_is_the_last():
    assert find_actor([entry("last", NEW), entry("first", OLD)], ["spec"]).manager == "last"


def test_of_several_writers_of_one_second_it_is_the_owner_of_what_changed():
    writers = [entry("owner", NEW, b'{"f:metadata":{}}'), entry("kubelet", NEW, b'{"f:status":{}}', "status")]

    assert find_actor(writers, ["metadata"]).manager == "owner"
    assert find_actor(writers, ["status"]).manager == "kubelet"


def test_when_nothing_moved_only_an_owner_of_the_last_second_can_be_the_writer():
    entries = [entry("earlier", OLD, b'{"f:data":{}}'), entry("last", NEW)]

    assert find_owner(entries, ["spec"]).manager == "last"
    assert find_owner(entries, ["data"]) is None


def test_without_entries_or_a_name_there_is_no_actor():
    assert find_actor([], ["spec"]) is None
    assert find_owner([], ["spec"]) is None
    assert actor_of(entry("", NEW)) is None

"""What is shown of an object, against the recordings."""

import json

from simulator.resources import ResourceTable
from simulator.versions import MODIFIED, Event, Version, rendered
from simulator.views import events_v1, view_of

TABLE = ResourceTable()
PLURALS = {"hpas": "horizontalpodautoscalers"}
CACHED_KINDS = (
    "configmaps",
    "cronjobs",
    "daemonsets",
    "deployments",
    "endpointslices",
    "hpas",
    "jobs",
    "nodes",
    "pods",
    "replicasets",
    "services",
    "statefulsets",
)


def version_of(resource, obj):
    metadata = obj["metadata"]
    return Version(
        resource,
        metadata.get("namespace", ""),
        metadata["name"],
        metadata["uid"],
        int(metadata["resourceVersion"]),
        rendered(obj),
    )


def test_every_recorded_event_is_converted_to_events_v1_field_for_field(recorded):
    pairs = [
        *zip(recorded("events.watch.ndjson"), recorded("events-v1.watch.ndjson"), strict=True),
    ]
    assert len(pairs) == 129
    for core, v1 in pairs:
        item = {key: value for key, value in v1["object"].items() if key not in {"kind", "apiVersion"}}

        converted = events_v1(core["object"])

        assert list(item.items()) == list(converted.items())


def test_a_watch_line_of_a_recorded_version_is_the_recorded_line(recordings):
    for kind in CACHED_KINDS:
        resource = TABLE.find(PLURALS.get(kind, kind))
        view = view_of(resource, resource.api_version, metadata_only=False)
        for line in (recordings / f"{kind}.watch.ndjson").read_bytes().splitlines(keepends=True):
            event = json.loads(line)
            if event["type"] != "BOOKMARK":
                version = version_of(resource, event["object"])

                shown = view.line(event["type"], version)

                assert json.loads(line) == json.loads(shown)
                assert list(event["object"]["metadata"]) == list(json.loads(shown)["object"]["metadata"])


def test_a_bookmark_of_every_recorded_kind_is_the_recorded_bytes(recordings):
    seen = set()
    for kind in CACHED_KINDS:
        resource = TABLE.find(PLURALS.get(kind, kind))
        view = view_of(resource, resource.api_version, metadata_only=False)
        for line in (recordings / f"{kind}.watch.ndjson").read_bytes().splitlines(keepends=True):
            if b'"type":"BOOKMARK"' in line:
                revision = int(json.loads(line)["object"]["metadata"]["resourceVersion"])

                assert line == view.bookmark(revision)
                seen.add(kind)
    assert set(CACHED_KINDS) == seen


def test_the_end_of_initial_events_is_the_recorded_bookmark(recordings):
    view = view_of(TABLE.find("pods"), "v1", metadata_only=False)
    lines = (recordings / "pods.watchlist.ndjson").read_bytes().splitlines(keepends=True)
    end = next(line for line in lines if b"initial-events-end" in line)

    assert end == view.bookmark(302, ends_initial_events=True)


def test_metadata_only_shows_nothing_else(recorded):
    resource = TABLE.find("replicasets")
    view = view_of(resource, "apps/v1", metadata_only=True)
    obj = recorded("replicasets.list.json")[0]["items"][0]

    shown = json.loads(view.object(version_of(resource, obj)))

    assert {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]} == shown


def test_an_event_is_converted_once_for_all_watchers(recorded):
    resource = TABLE.find("events")
    version = version_of(resource, recorded("events.list.json")[0]["items"][0])

    first, second = (view_of(resource, "events.k8s.io/v1", metadata_only=False) for _ in range(2))

    assert first.item(version) is second.item(version)


def test_a_departure_shows_the_old_object_with_the_new_resource_version(recorded):
    resource = TABLE.find("pods")
    view = view_of(resource, "v1", metadata_only=False)
    old = version_of(resource, recorded("pods.list.json")[0]["items"][0])
    event = Event(9999, MODIFIED, old.at(9999), old)

    line = json.loads(view.departure(event))

    assert line["type"] == "DELETED"
    assert line["object"]["metadata"]["resourceVersion"] == "9999"
    assert line["object"]["spec"] == old.object()["spec"]

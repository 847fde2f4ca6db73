"""Field ownership against every create and every unambiguous update of the recordings."""

from simulator.managedfields import compare, creation, decoded, encoded, owned_part, updated

KINDS = (
    "configmaps",
    "cronjobs",
    "daemonsets",
    "deployments",
    "endpointslices",
    "events",
    "jobs",
    "nodes",
    "pods",
    "replicasets",
    "services",
    "statefulsets",
)


def creations(recorded):
    for kind in KINDS:
        for event in recorded(f"{kind}.watch.ndjson"):
            entries = event["object"]["metadata"].get("managedFields", [])
            # The scheduler writes its Events as events.k8s.io/v1, whose paths differ.
            if event["type"] == "ADDED" and len(entries) == 1 and entries[0]["apiVersion"] != "events.k8s.io/v1":
                yield kind, event["object"], entries[0]


def updates(recorded):
    for kind in KINDS:
        known = {item["metadata"]["uid"]: item for item in recorded(f"{kind}.list.json")[0]["items"]}
        for event in recorded(f"{kind}.watch.ndjson"):
            new = event["object"]
            old = known.get(new["metadata"].get("uid"))
            if event["type"] in {"ADDED", "MODIFIED"}:
                known[new["metadata"]["uid"]] = new
            if event["type"] == "MODIFIED" and old is not None:
                before = old["metadata"].get("managedFields", [])
                changed = [entry for entry in new["metadata"].get("managedFields", []) if entry not in before]
                if len(changed) == 1 and "f:replicas" not in str(compare(owned_part(old), owned_part(new)).modified):
                    yield kind, old, new, changed[0]


def test_a_creator_owns_what_the_recorded_creators_own(recorded):
    checked = 0
    for kind, obj, entry in creations(recorded):
        spec = {key: value for key, value in obj.items() if key != "status"}

        owned = encoded(creation(kind, spec).touched)

        assert entry["fieldsV1"] == owned, f"{kind} {obj['metadata']['name']}"
        checked += 1
    assert checked > 120


def test_an_update_changes_ownership_as_in_the_recordings(recorded):
    checked = 0
    for kind, old, new, entry in updates(recorded):
        entries = updated(
            old["metadata"]["managedFields"],
            compare(owned_part(old), owned_part(new)),
            manager=entry["manager"],
            api_version=entry["apiVersion"],
            subresource=entry.get("subresource", ""),
            time=entry.get("time", ""),
        )

        assert new["metadata"]["managedFields"] == entries, f"{kind} {new['metadata']['name']}"
        checked += 1
    assert checked > 100


def test_the_time_of_an_entry_stays_when_its_manager_only_loses_fields():
    old = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    new = {"metadata": {"labels": {"a": "3", "b": "2"}}}
    entry = {
        "manager": "first",
        "operation": "Update",
        "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:a": {}, "f:b": {}}}},
    }

    entries = updated(
        [entry], compare(old, new), manager="second", api_version="v1", subresource="", time="2026-01-02T00:00:00Z"
    )

    assert [entry["time"] for entry in entries] == ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]
    assert entries[0]["fieldsV1"] == {"f:metadata": {"f:labels": {".": {}, "f:b": {}}}}
    assert entries[1]["fieldsV1"] == {"f:metadata": {"f:labels": {"f:a": {}}}}


def test_paths_survive_their_encoding(recorded):
    for _, _, entry in creations(recorded):
        assert entry["fieldsV1"] == encoded(decoded(entry["fieldsV1"]))

"""Discovery: which groups, versions and resources there are, and the server's version."""

from collections.abc import Iterable
from typing import Any

from simulator.resource import Resource

Document = dict[str, Any]

VERSION: Document = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2-kubescribe-simulator",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-06-10T00:00:00Z",
    "goVersion": "go1.26.0",
    "compiler": "gc",
    "platform": "linux/amd64",
}

CORE_VERSIONS: Document = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def endpoints(resources: Iterable[Resource]) -> dict[tuple[str, str, str], tuple[Resource, str]]:
    """Return (group, version, plural) → the resource stored and the apiVersion shown; Events appear in two groups."""
    table: dict[tuple[str, str, str], tuple[Resource, str]] = {}
    for resource in resources:
        table[resource.group, resource.version, resource.plural] = resource, resource.api_version
        if resource.plural == "events":
            table["events.k8s.io", "v1", "events"] = resource, "events.k8s.io/v1"
    return table


def group_list(resources: Iterable[Resource]) -> Document:
    """Return `/apis`."""
    groups = {group: version for group, version, _ in endpoints(resources) if group}
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(group, version) for group, version in groups.items()],
    }


def group(resources: Iterable[Resource], name: str) -> Document | None:
    """Return `/apis/GROUP`, or None."""
    for found, version, _ in endpoints(resources):
        if found == name:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, version)}
    return None


def resource_list(resources: Iterable[Resource], group_name: str, version: str) -> Document | None:
    """Return `/api/v1` or `/apis/GROUP/VERSION`, or None."""
    items: list[Document] = []
    for (found, found_version, plural), (resource, _) in endpoints(resources).items():
        if (found, found_version) != (group_name, version):
            continue
        items.append(_resource(resource, plural))
        if resource.has_status:
            items.append(
                {
                    "name": f"{plural}/status",
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    "kind": resource.kind,
                    "verbs": ["get", "patch", "update"],
                },
            )
    if not items:
        return None
    group_version = f"{group_name}/{version}" if group_name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": items}


def aggregated(resources: Iterable[Resource], *, core: bool) -> Document:
    """Return the aggregated discovery (apidiscovery.k8s.io/v2) of `/api` or `/apis`."""
    groups: dict[tuple[str, str], list[Document]] = {}
    for (name, version, plural), (resource, _) in endpoints(resources).items():
        if (name == "") is not core:
            continue
        groups.setdefault((name, version), []).append(
            {
                "resource": plural,
                "responseKind": {"group": name, "version": version, "kind": resource.kind},
                "scope": "Namespaced" if resource.namespaced else "Cluster",
                "singularResource": resource.kind.lower(),
                "verbs": list(resource.verbs),
                **({"shortNames": list(resource.short_names)} if resource.short_names else {}),
            },
        )
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": name} if name else {},
                "versions": [{"version": version, "resources": found, "freshness": "Current"}],
            }
            for (name, version), found in groups.items()
        ],
    }


def _group(name: str, version: str) -> Document:
    entry = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [entry], "preferredVersion": entry}


def _resource(resource: Resource, plural: str) -> Document:
    document: Document = {
        "name": plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        document["shortNames"] = list(resource.short_names)
    return document

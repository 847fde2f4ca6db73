"""What the world writes beside what a real control plane wrote: no field that the real one does not have."""

import json
from pathlib import Path

import pytest

RECORDINGS = Path(__file__).parents[2] / "data" / "recordings"
MAPS = {
    "labels",
    "annotations",
    "matchLabels",
    "nodeSelector",
    "data",
    "requests",
    "limits",
    "selector",
    "capacity",
    "allocatable",
}

# Legal fields that the recorded objects happen not to use (API reference of Kubernetes 1.36), by prefix.
CONTAINER = (
    "env.[].valueFrom",
    "livenessProbe",
    "readinessProbe",
    "ports",
    "volumeMounts",
    "env",
    "resources.requests",
)
SPEC = ("serviceAccount", "serviceAccountName", "priorityClassName", "volumes", "nodeSelector")
TEMPLATE = (
    *(f"spec.template.spec.containers.[].{name}" for name in CONTAINER),
    *(f"spec.template.spec.{name}" for name in SPEC),
    "spec.template.metadata.annotations",
)
LEGAL = {
    "pods": (
        *(f"spec.containers.[].{name}" for name in CONTAINER),
        *(f"spec.{name}" for name in SPEC),
        "spec.hostNetwork",
        "status.containerStatuses.[].state.terminated",
        "status.hostIPs",
        "status.observedGeneration",
    ),
    "events": (),
    "deployments": TEMPLATE,
    "replicasets": TEMPLATE,
    "jobs": (*TEMPLATE, "status.completionTime", "status.conditions", "status.failed", "status.succeeded"),
    "cronjobs": (
        "spec.jobTemplate.spec.backoffLimit",
        *(f"spec.jobTemplate.{name}" for name in TEMPLATE),
        "status.lastSuccessfulTime",
    ),
    "statefulsets": (*TEMPLATE, "metadata.labels", "spec.volumeClaimTemplates"),
    "daemonsets": (*TEMPLATE, "metadata.labels"),
    "nodes": ("spec.providerID",),
    "services": (),
    "endpointslices": (),
    "hpas": ("metadata.labels", "status.currentMetrics.[].resource", "status.lastScaleTime"),
    "configmaps": ("metadata.labels",),
}
NAMES = {"hpas": "horizontalpodautoscalers"}


def paths_of(value, prefix=""):
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "managedFields":
                continue
            part = "*" if prefix.rpartition(".")[2] in MAPS and isinstance(item, str) else key
            path = f"{prefix}.{part}" if prefix else part
            yield path
            yield from paths_of(item, path)
    elif isinstance(value, list):
        for item in value:
            yield from paths_of(item, f"{prefix}.[]")


def recorded_paths(name):
    found = set()
    for line in (RECORDINGS / f"{name}.watch.ndjson").read_text().splitlines():
        event = json.loads(line)
        if event["type"] != "BOOKMARK":
            found.update(paths_of(event["object"]))
    for item in json.loads((RECORDINGS / f"{name}.list.json").read_text())["items"]:
        found.update(paths_of(item))
    return found


@pytest.fixture(scope="module")
def written():
    """Every path that a busy cluster wrote, by resource."""
    from datetime import UTC, datetime

    from simulator.etcd import Etcd
    from simulator.history import History
    from simulator.resources import ResourceTable
    from simulator.world.app import World
    from simulator.world.stories import STORIES

    now = 1_795_000_000.0
    etcd = Etcd(ResourceTable(), History(None), clock=lambda: datetime.fromtimestamp(now, UTC), identity="shapes")
    etcd.open()
    world = World(etcd, nodes=3, pods=40, clock=lambda: now)
    world.populate(scenario=False)
    for story in STORIES:
        world.play(story)
    for _ in range(180):
        now += 1
        world.step(now)
    found: dict[str, set[str]] = {}
    for record in etcd.history.records():
        if record.resource:
            found.setdefault(record.resource.partition(".")[0], set()).update(
                paths_of(json.loads(bytes(record.object)))
            )
    return found


@pytest.mark.parametrize("name", LEGAL)
def test_every_field_is_recorded_or_known_to_be_legal(written, name):
    unknown = {
        path
        for path in written[NAMES.get(name, name)] - recorded_paths(name)
        if not any(path == legal or path.startswith(f"{legal}.") for legal in LEGAL[name])
    }

    assert not unknown


@pytest.mark.parametrize("name", ["pods", "events", "deployments", "replicasets"])
def test_every_recorded_field_is_written_too(written, name):
    # `related` is the API server's own shutdown Event; a finalizer was a Job's in the recordings.
    missing = recorded_paths(name) - written[name] - {"related", "related.uid", "metadata.finalizers"}

    assert {path for path in missing if path not in {"kind", "apiVersion"}} == set()


def test_a_running_pod_is_about_four_kilobytes_and_has_what_real_pods_have(laboratory):
    pod = next(
        pod
        for pod in laboratory.etcd.list("pods", "shop")
        if pod["metadata"]["labels"]["app.kubernetes.io/name"] == "checkout"
    )
    pod["metadata"].pop("managedFields")

    assert 3500 < len(json.dumps(pod, separators=(",", ":"))) < 5000
    assert pod["metadata"]["generateName"] == f"checkout-{pod['metadata']['labels']['pod-template-hash']}-"
    assert pod["spec"]["volumes"][-1]["name"].startswith("kube-api-access-")
    assert {"API_TOKEN", "DATABASE_URL"} <= {item["name"] for item in pod["spec"]["containers"][0]["env"]}
    assert pod["status"]["qosClass"] == "Burstable"
    assert pod["status"]["podIPs"] == [{"ip": pod["status"]["podIP"]}]


def test_the_managers_are_those_of_the_real_components(laboratory):
    for story in ("rollout", "memory_limit", "config_break", "unschedulable", "node_lost"):
        laboratory.play(story)
    laboratory.advance(45)

    managers = {}
    for resource in ("pods", "deployments", "configmaps", "nodes", "replicasets", "events"):
        managers[resource] = {
            (entry["manager"], entry.get("subresource", ""))
            for obj in laboratory.etcd.list(resource)
            for entry in obj["metadata"]["managedFields"]
        }
    assert {("kube-controller-manager", ""), ("kubelet", "status")} <= managers["pods"]
    tools = {"argocd-controller", "helm", "kubectl-client-side-apply", "kubectl-edit"}
    assert tools <= {manager for manager, _ in managers["deployments"]}
    assert ("kube-controller-manager", "status") in managers["deployments"]
    assert ("kubectl-edit", "") in managers["configmaps"]
    assert {("kubelet", ""), ("kubelet", "status")} <= managers["nodes"]
    assert {("kube-controller-manager", ""), ("kube-controller-manager", "status")} == managers["replicasets"]
    assert {("kube-scheduler", ""), ("kubelet", ""), ("kube-controller-manager", "")} <= managers["events"]

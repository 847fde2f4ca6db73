"""Pods and their templates: what an author writes, what the API server defaults, what admission adds."""

from typing import Any

from simulator.fargate import PROFILE, SCHEDULER
from simulator.world.catalog import App
from simulator.world.cluster import Object, copied
from simulator.world.naming import suffix

# A cluster may set these with --default-not-ready-toleration-seconds; EKS leaves 300. Thirty keeps the story of a
# lost node short enough to be watched.
TOLERATION_SECONDS = 30
_PROBE_DEFAULTS = {"timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3}


def _probe(path: str, *, initial: int, period: int) -> Object:
    http = {"path": path, "port": "http", "scheme": "HTTP"}
    return {"httpGet": http, "initialDelaySeconds": initial, "periodSeconds": period, **_PROBE_DEFAULTS}


def labels_of(app: App) -> dict[str, str]:
    """Return the labels that an application's pods share and its Service selects."""
    return {"app.kubernetes.io/name": app.name, "app.kubernetes.io/instance": app.name}


def env_of(app: App) -> list[Object]:
    """Return environment variables as people write them, some with what ought to be in a Secret."""
    plain = {
        "LOG_LEVEL": "info",
        "DATABASE_URL": f"postgres://{app.name}:Tr0ub4dor-{len(app.name)}x@postgres.data.svc:5432/{app.name}",
        "API_TOKEN": f"sk_live_{app.name[::-1]}4eC39HqLyjWDarjtT1zdp7dc",
        "FEATURE_NEW_PRICING": "false",
    }
    env: list[Object] = [{"name": name, "value": value} for name, value in plain.items()]
    field: Object = {"apiVersion": "v1", "fieldPath": "metadata.name"}
    env.append({"name": "POD_NAME", "valueFrom": {"fieldRef": field}})
    return env


def template_of(app: App) -> Object:
    """Return the pod template of an application's Deployment, with the API server's defaults."""
    container: Object = {
        "name": "app",
        "image": f"{app.image}:{app.tag}",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": env_of(app),
        "resources": {
            "limits": {"memory": f"{app.memory_mebibytes}Mi"},
            "requests": {"cpu": f"{app.cpu_millis}m", "memory": f"{app.memory_mebibytes // 2}Mi"},
        },
        "livenessProbe": _probe("/livez", initial=10, period=10),
        "readinessProbe": _probe("/readyz", initial=2, period=5),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }
    spec = pod_spec(container, service_account=app.name)
    if app.has_config:
        container["volumeMounts"] = [{"name": "config", "readOnly": True, "mountPath": "/etc/app"}]
        spec["volumes"] = [{"name": "config", "configMap": {"name": app.config_name, "defaultMode": 420}}]
    labels = {**labels_of(app), "team": app.team}
    if app.is_on_fargate:
        # The webhook of EKS does it to each pod; here the template says so, which comes to the same pods.
        labels[PROFILE] = app.namespace
        spec["schedulerName"] = SCHEDULER
    return {"metadata": {"labels": labels}, "spec": spec}


def pod_spec(container: Object, *, service_account: str = "default", restart_policy: str = "Always") -> Object:
    """Return a pod's spec around one container, with the API server's defaults."""
    return {
        "containers": [container],
        "restartPolicy": restart_policy,
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": service_account,
        "serviceAccount": service_account,
        "securityContext": {},
        "schedulerName": "default-scheduler",
    }


def small_container(name: str, image: str) -> Object:
    """Return a container of a system pod or a job."""
    return {
        "name": name,
        "image": image,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }


def pod_of(
    template: Object, *, namespace: str, owner: Object, rng: Any, name: str = "", daemon_node: str = ""
) -> Object:
    """
    Return the pod that a controller creates from *template*, as admission leaves it.

    *owner* is its owner reference. Without *name*, one is generated from the owner's; *daemon_node* pins the pod to a
    node in the way of the DaemonSet controller.
    """
    pod: Object = {"kind": "Pod", "apiVersion": "v1", "metadata": {}, "spec": copied(template["spec"])}
    metadata, spec = pod["metadata"], pod["spec"]
    metadata["name"] = name or f"{owner['name']}-{suffix(rng)}"
    if not name:
        metadata["generateName"] = f"{owner['name']}-"
    metadata["namespace"] = namespace
    for part in ("labels", "annotations"):
        if part in template["metadata"]:
            metadata[part] = dict(template["metadata"][part])
    metadata["ownerReferences"] = [owner]
    _add_token_volume(spec, f"kube-api-access-{suffix(rng)}")
    spec["tolerations"] = [*spec.get("tolerations", ()), *_tolerations(is_daemon=bool(daemon_node))]
    spec.setdefault("priority", 2000001000 if "priorityClassName" in spec else 0)
    spec["enableServiceLinks"] = True
    spec["preemptionPolicy"] = "PreemptLowerPriority"
    if daemon_node:
        spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": _pinned(daemon_node)}}
    return pod


def _pinned(node: str) -> Object:
    return {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]}


def _tolerations(*, is_daemon: bool) -> list[Object]:
    keys = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    base = [{"key": key, "operator": "Exists", "effect": "NoExecute"} for key in keys]
    if is_daemon:
        return [*base]
    return [{**toleration, "tolerationSeconds": TOLERATION_SECONDS} for toleration in base]


def _add_token_volume(spec: Object, name: str) -> None:
    """Add the projected token that the ServiceAccount admission gives every container."""
    items = [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
    sources: list[Object] = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": items}},
    ]
    spec["volumes"] = [*spec.get("volumes", ()), {"name": name, "projected": {"sources": sources, "defaultMode": 420}}]
    mount = {"name": name, "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    for container in spec["containers"]:
        container["volumeMounts"] = [*container.get("volumeMounts", ()), mount]

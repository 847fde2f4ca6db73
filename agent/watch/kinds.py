"""
Which kinds are watched, and how each is treated. A table; whether a cluster serves them is `discovery`'s to find out.

Secrets are never watched, not even their metadata, not even when asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent.errors import KindRefused

Redaction = Literal["none", "template", "configmap", "everything"]
"""
What redaction looks into besides annotations: nothing, env values in spec, data, or every section (custom resources).
"""

BUILT_IN_GROUPS = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedKind:
    """
    A kind to watch.

    `version` is the one asked for first; a cluster that does not serve it is asked for the one it prefers. `resource`
    is known for the table's kinds and found by discovery for others. `has_heartbeats` makes the churn filter look for
    times that move though nothing happened. `is_optional` kinds are watched when the cluster has them.
    """

    group: str
    version: str
    kind: str
    resource: str = ""
    metadata_only: bool = False
    redaction: Redaction = "none"
    has_heartbeats: bool = False
    is_optional: bool = False
    is_namespaced: bool = True

    @property
    def name(self) -> str:
        """The kind as records name it: `Kind`, or `Kind.group` outside the built-in groups."""
        return self.kind if self.group in BUILT_IN_GROUPS else f"{self.kind}.{self.group}"

    @property
    def stream_resource(self) -> str:
        """The resource as streams name it."""
        return self.resource if self.group in BUILT_IN_GROUPS else f"{self.resource}.{self.group}"

    @property
    def api_version(self) -> str:
        """`version` or `group/version`, as objects say it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """The path of the resource in all namespaces."""
        root = f"/apis/{self.group}" if self.group else "/api"
        return f"{root}/{self.version}/{self.resource}"

    def object_path(self, namespace: str, name: str) -> str:
        """Return the path of one object."""
        root = f"/apis/{self.group}" if self.group else "/api"
        place = f"namespaces/{namespace}/" if namespace else ""
        return f"{root}/{self.version}/{place}{self.resource}/{name}"

    @property
    def is_events(self) -> bool:
        """Tell whether this is core/v1 Event: no watch cache, no bookmarks, occurrences instead of changes."""
        return self.group == "" and self.kind == "Event"


def _core(kind: str, resource: str, *, redaction: Redaction = "none", namespaced: bool = True) -> WatchedKind:
    return WatchedKind(
        group="", version="v1", kind=kind, resource=resource, redaction=redaction, is_namespaced=namespaced
    )


def _built_in(
    group: str, kind: str, resource: str, *, version: str = "v1", redaction: Redaction = "none", namespaced: bool = True
) -> WatchedKind:
    return WatchedKind(
        group=group, version=version, kind=kind, resource=resource, redaction=redaction, is_namespaced=namespaced
    )


def _custom(group: str, version: str, kind: str, resource: str, *, namespaced: bool = True) -> WatchedKind:
    return WatchedKind(
        group=group,
        version=version,
        kind=kind,
        resource=resource,
        redaction="everything",
        has_heartbeats=True,
        is_optional=True,
        is_namespaced=namespaced,
    )


PODS = _core("Pod", "pods", redaction="template")
EVENTS = _core("Event", "events")

DEFAULT_KINDS: tuple[WatchedKind, ...] = (
    PODS,
    WatchedKind(group="", version="v1", kind="Node", resource="nodes", has_heartbeats=True, is_namespaced=False),
    _core("Namespace", "namespaces", namespaced=False),
    EVENTS,
    _core("Service", "services"),
    _built_in("discovery.k8s.io", "EndpointSlice", "endpointslices"),
    _built_in("networking.k8s.io", "Ingress", "ingresses"),
    _built_in("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
    _core("ConfigMap", "configmaps", redaction="configmap"),
    _core("ResourceQuota", "resourcequotas"),
    _core("LimitRange", "limitranges"),
    _built_in("scheduling.k8s.io", "PriorityClass", "priorityclasses", namespaced=False),
    _core("PersistentVolume", "persistentvolumes", namespaced=False),
    _core("PersistentVolumeClaim", "persistentvolumeclaims"),
    _built_in("storage.k8s.io", "StorageClass", "storageclasses", namespaced=False),
    _core("ServiceAccount", "serviceaccounts"),
    _built_in("rbac.authorization.k8s.io", "Role", "roles"),
    _built_in("rbac.authorization.k8s.io", "RoleBinding", "rolebindings"),
    _built_in("rbac.authorization.k8s.io", "ClusterRole", "clusterroles", namespaced=False),
    _built_in("rbac.authorization.k8s.io", "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    _built_in("apps", "Deployment", "deployments", redaction="template"),
    _built_in("apps", "StatefulSet", "statefulsets", redaction="template"),
    _built_in("apps", "DaemonSet", "daemonsets", redaction="template"),
    WatchedKind(group="apps", version="v1", kind="ReplicaSet", resource="replicasets", metadata_only=True),
    _built_in("batch", "Job", "jobs", redaction="template"),
    _built_in("batch", "CronJob", "cronjobs", redaction="template"),
    _built_in("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers", version="v2"),
    _built_in("policy", "PodDisruptionBudget", "poddisruptionbudgets"),
    _built_in(
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        namespaced=False,
    ),
    _built_in(
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        namespaced=False,
    ),
    _built_in("apiregistration.k8s.io", "APIService", "apiservices", namespaced=False),
    _built_in("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False),
    _custom("argoproj.io", "v1alpha1", "Application", "applications"),
    _custom("argoproj.io", "v1alpha1", "Rollout", "rollouts"),
    _custom("karpenter.sh", "v1", "NodePool", "nodepools", namespaced=False),
    _custom("karpenter.sh", "v1", "NodeClaim", "nodeclaims", namespaced=False),
    _custom("cert-manager.io", "v1", "Certificate", "certificates"),
    _custom("external-secrets.io", "v1", "ExternalSecret", "externalsecrets"),
    _custom("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
    _custom("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
    _custom("serving.knative.dev", "v1", "Service", "services"),
)


def parse_kind(text: str) -> WatchedKind:
    """Return the kind that *text* names, `group/version/Kind` or `v1/Kind`. Raises KindRefused."""
    group, _, rest = text.strip().partition("/") if text.count("/") == 2 else ("", "", text.strip())
    version, slash, kind = rest.partition("/")
    if not slash or not version or not kind or not kind.isidentifier() or not kind[0].isupper():
        raise KindRefused(f"watch.kinds: {text[:64]!r} should be group/version/Kind, or v1/Kind for the core group")
    group = "" if group == "core" else group
    if not group and kind in {"Secret", "SecretList"}:
        raise KindRefused("watch.kinds: Secrets are never watched")
    if group == "events.k8s.io":
        raise KindRefused("watch.kinds: events.k8s.io holds the same objects as core Events, which are watched already")
    for known in DEFAULT_KINDS:
        if (known.group, known.kind) == (group, kind):
            return known
    return WatchedKind(
        group=group, version=version, kind=kind, redaction="everything", has_heartbeats=True, is_optional=True
    )


def wanted_kinds(extras: Sequence[str] = ()) -> tuple[WatchedKind, ...]:
    """Return the default kinds and those named in *extras*, each once. Raises KindRefused."""
    wanted = {(kind.group, kind.kind): kind for kind in DEFAULT_KINDS}
    for text in extras:
        kind = parse_kind(text)
        wanted.setdefault((kind.group, kind.kind), kind)
    return tuple(wanted.values())

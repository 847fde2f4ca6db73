"""
The resources that the pretend cluster knows, and what the real API server allows with them.

One table, as long as the API is wide. The selectable fields are those of the real registries
(`pkg/registry/*/strategy.go`, ToSelectableFields); the bookmarks' zero values are those of the recordings, and of
the Go types where there is no recording.
"""

from collections.abc import Mapping

from simulator.resource import COMMON_FIELDS, Resource


def _fields(*paths: str, **renamed: str) -> Mapping[str, str]:
    return {**COMMON_FIELDS, **{path: path for path in paths}, **renamed}


_TEMPLATE = '"template":{"metadata":{},"spec":{"containers":null}}'
_POD_FIELDS = _fields(
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
EVENT_FIELDS = {
    **_fields(*(f"involvedObject.{part}" for part in _REFERENCE), "reason", "reportingComponent", "type"),
    "source": "source.component",
}
EVENT_V1_FIELDS = {
    **_fields("reason", "type"),
    **{f"regarding.{part}": f"involvedObject.{part}" for part in _REFERENCE},
    "reportingController": "reportingComponent",
}
"""Labels of events.k8s.io/v1, over the stored core/v1 object (pkg/apis/events/v1/conversion.go)."""

EVENT_V1_BOOKMARK = (
    '{"eventTime":null,"regarding":{},"deprecatedSource":{},"deprecatedFirstTimestamp":null,'
    '"deprecatedLastTimestamp":null}'
)
"""Seen only at the end of initial events: Events have no other bookmark."""

_NODE_STATUS = (
    '"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":0}},"nodeInfo":{"machineID":"","systemUUID":"","bootID":"",'
    '"kernelVersion":"","osImage":"","containerRuntimeVersion":"","kubeletVersion":"","kubeProxyVersion":"",'
    '"operatingSystem":"","architecture":""}}'
)


def _core(plural: str, kind: str, **more: object) -> Resource:
    return Resource(group="", version="v1", plural=plural, kind=kind, **more)  # type: ignore[arg-type]


def _rbac(plural: str, kind: str, bookmark: str, *, namespaced: bool) -> Resource:
    return Resource(
        group="rbac.authorization.k8s.io",
        version="v1",
        plural=plural,
        kind=kind,
        namespaced=namespaced,
        has_generation=False,
        bookmark=bookmark,
    )


_ROLE_REF = '{"roleRef":{"apiGroup":"","kind":"","name":""}}'

BUILT_IN: tuple[Resource, ...] = (
    _core(
        "pods",
        "Pod",
        short_names=("po",),
        fields=_POD_FIELDS,
        has_status=True,
        bookmark='{"spec":{"containers":null},"status":{}}',
    ),
    _core(
        "nodes",
        "Node",
        namespaced=False,
        short_names=("no",),
        fields=_fields("spec.unschedulable"),
        has_status=True,
        has_generation=False,
        bookmark='{"spec":{},' + _NODE_STATUS + "}",
    ),
    _core(
        "namespaces",
        "Namespace",
        namespaced=False,
        short_names=("ns",),
        fields=_fields("status.phase"),
        has_status=True,
        has_generation=False,
        bookmark='{"spec":{},"status":{}}',
    ),
    _core(
        "events",
        "Event",
        short_names=("ev",),
        fields=EVENT_FIELDS,
        has_generation=False,
        cached=False,
        bookmark='{"involvedObject":{},"source":{},"firstTimestamp":null,"lastTimestamp":null,"eventTime":null,'
        '"reportingComponent":"","reportingInstance":""}',
    ),
    _core(
        "services",
        "Service",
        short_names=("svc",),
        fields=_fields("spec.clusterIP", "spec.type"),
        has_status=True,
        has_generation=False,
        bookmark='{"spec":{},"status":{"loadBalancer":{}}}',
    ),
    _core("configmaps", "ConfigMap", short_names=("cm",), has_generation=False),
    _core("secrets", "Secret", fields=_fields("type"), has_generation=False),
    _core(
        "resourcequotas",
        "ResourceQuota",
        short_names=("quota",),
        has_status=True,
        has_generation=False,
        bookmark='{"spec":{},"status":{}}',
    ),
    _core(
        "limitranges",
        "LimitRange",
        short_names=("limits",),
        has_generation=False,
        bookmark='{"spec":{"limits":null}}',
    ),
    _core("serviceaccounts", "ServiceAccount", short_names=("sa",), has_generation=False),
    _core(
        "persistentvolumes",
        "PersistentVolume",
        namespaced=False,
        short_names=("pv",),
        has_status=True,
        has_generation=False,
        bookmark='{"spec":{},"status":{}}',
    ),
    _core(
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        short_names=("pvc",),
        has_status=True,
        has_generation=False,
        bookmark='{"spec":{"resources":{}},"status":{}}',
    ),
    Resource(
        group="apps",
        version="v1",
        plural="deployments",
        kind="Deployment",
        short_names=("deploy",),
        has_status=True,
        bookmark='{"spec":{"replicas":0,"selector":null,' + _TEMPLATE + ',"strategy":{}},"status":{}}',
    ),
    Resource(
        group="apps",
        version="v1",
        plural="replicasets",
        kind="ReplicaSet",
        short_names=("rs",),
        fields=_fields("status.replicas"),
        has_status=True,
        bookmark='{"spec":{"replicas":0,"selector":null,' + _TEMPLATE + '},"status":{"replicas":0}}',
    ),
    Resource(
        group="apps",
        version="v1",
        plural="statefulsets",
        kind="StatefulSet",
        short_names=("sts",),
        has_status=True,
        bookmark='{"spec":{"replicas":0,"selector":null,'
        + _TEMPLATE
        + ',"serviceName":"","updateStrategy":{}},"status":{"replicas":0,"availableReplicas":0}}',
    ),
    Resource(
        group="apps",
        version="v1",
        plural="daemonsets",
        kind="DaemonSet",
        short_names=("ds",),
        has_status=True,
        bookmark='{"spec":{"selector":null,'
        + _TEMPLATE
        + ',"updateStrategy":{}},"status":{"currentNumberScheduled":0,"numberMisscheduled":0,'
        + '"desiredNumberScheduled":0,"numberReady":0}}',
        bookmark_annotations='"deprecated.daemonset.template.generation":"0"',
    ),
    Resource(
        group="batch",
        version="v1",
        plural="jobs",
        kind="Job",
        fields=_fields("status.successful"),
        has_status=True,
        bookmark='{"spec":{' + _TEMPLATE + '},"status":{}}',
    ),
    Resource(
        group="batch",
        version="v1",
        plural="cronjobs",
        kind="CronJob",
        short_names=("cj",),
        has_status=True,
        bookmark='{"spec":{"schedule":"","jobTemplate":{"metadata":{},"spec":{' + _TEMPLATE + '}}},"status":{}}',
    ),
    Resource(
        group="autoscaling",
        version="v2",
        plural="horizontalpodautoscalers",
        kind="HorizontalPodAutoscaler",
        short_names=("hpa",),
        has_status=True,
        has_generation=False,
        bookmark='{"spec":{"scaleTargetRef":{"kind":"","name":""},"maxReplicas":0},'
        '"status":{"desiredReplicas":0,"currentMetrics":null}}',
    ),
    Resource(
        group="policy",
        version="v1",
        plural="poddisruptionbudgets",
        kind="PodDisruptionBudget",
        short_names=("pdb",),
        has_status=True,
        bookmark='{"spec":{},"status":{"disruptionsAllowed":0,"currentHealthy":0,"desiredHealthy":0,"expectedPods":0}}',
    ),
    Resource(
        group="networking.k8s.io",
        version="v1",
        plural="ingresses",
        kind="Ingress",
        short_names=("ing",),
        has_status=True,
        bookmark='{"spec":{},"status":{"loadBalancer":{}}}',
    ),
    Resource(
        group="networking.k8s.io",
        version="v1",
        plural="networkpolicies",
        kind="NetworkPolicy",
        short_names=("netpol",),
        bookmark='{"spec":{"podSelector":{}}}',
    ),
    Resource(
        group="discovery.k8s.io",
        version="v1",
        plural="endpointslices",
        kind="EndpointSlice",
        bookmark='{"addressType":"","endpoints":null,"ports":null}',
    ),
    _rbac("roles", "Role", '{"rules":null}', namespaced=True),
    _rbac("rolebindings", "RoleBinding", _ROLE_REF, namespaced=True),
    _rbac("clusterroles", "ClusterRole", '{"rules":null}', namespaced=False),
    _rbac("clusterrolebindings", "ClusterRoleBinding", _ROLE_REF, namespaced=False),
    Resource(
        group="storage.k8s.io",
        version="v1",
        plural="storageclasses",
        kind="StorageClass",
        namespaced=False,
        short_names=("sc",),
        has_generation=False,
        bookmark='{"provisioner":""}',
    ),
    Resource(
        group="scheduling.k8s.io",
        version="v1",
        plural="priorityclasses",
        kind="PriorityClass",
        namespaced=False,
        short_names=("pc",),
        bookmark='{"value":0}',
    ),
    Resource(
        group="admissionregistration.k8s.io",
        version="v1",
        plural="validatingwebhookconfigurations",
        kind="ValidatingWebhookConfiguration",
        namespaced=False,
    ),
    Resource(
        group="admissionregistration.k8s.io",
        version="v1",
        plural="mutatingwebhookconfigurations",
        kind="MutatingWebhookConfiguration",
        namespaced=False,
    ),
    Resource(
        group="apiregistration.k8s.io",
        version="v1",
        plural="apiservices",
        kind="APIService",
        namespaced=False,
        has_status=True,
        has_generation=False,
        bookmark='{"spec":{"groupPriorityMinimum":0,"versionPriority":0},"status":{}}',
    ),
    Resource(
        group="apiextensions.k8s.io",
        version="v1",
        plural="customresourcedefinitions",
        kind="CustomResourceDefinition",
        namespaced=False,
        short_names=("crd", "crds"),
        has_status=True,
        bookmark='{"spec":{"group":"","names":{"plural":"","kind":""},"scope":"","versions":null},'
        '"status":{"conditions":null,"acceptedNames":{"plural":"","kind":""},"storedVersions":null}}',
    ),
    Resource(
        group="coordination.k8s.io",
        version="v1",
        plural="leases",
        kind="Lease",
        has_generation=False,
        needs_version=True,
        creates_on_update=True,
        returns_deleted=False,
        bookmark='{"spec":{}}',
    ),
)

CUSTOM: tuple[Resource, ...] = (
    Resource(group="argoproj.io", version="v1alpha1", plural="applications", kind="Application"),
    Resource(group="argoproj.io", version="v1alpha1", plural="rollouts", kind="Rollout", has_status=True),
    Resource(
        group="karpenter.sh", version="v1", plural="nodepools", kind="NodePool", namespaced=False, has_status=True
    ),
    Resource(
        group="karpenter.sh", version="v1", plural="nodeclaims", kind="NodeClaim", namespaced=False, has_status=True
    ),
)
"""Served when their groups are switched on, as by an installed CustomResourceDefinition."""

REVIEWS: tuple[Resource, ...] = (
    Resource(
        group="authentication.k8s.io",
        version="v1",
        plural="tokenreviews",
        kind="TokenReview",
        namespaced=False,
        has_generation=False,
        verbs=("create",),
    ),
)
"""Questions to the server that are answered and not stored."""

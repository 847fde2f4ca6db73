"""What a cluster has besides applications: namespaces, rights, classes, quotas, webhooks, extensions, volumes."""

from collections.abc import Iterator

from simulator.world.catalog import NAMESPACES
from simulator.world.cluster import Object

Placed = tuple[str, Object, str]
"""Resource, object, field manager."""

_RBAC = "rbac.authorization.k8s.io"
_CA = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="
_TEAMS = ("shop", "payments", "data")


def namespaces() -> Iterator[Placed]:
    """Yield the namespaces and what the controller manager puts into each."""
    for name in NAMESPACES:
        is_system = name.startswith(("kube-", "default"))
        namespace = {
            "kind": "Namespace",
            "apiVersion": "v1",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
        yield "namespaces", namespace, "kube-apiserver" if is_system else "kubectl-create"
        root = {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {
                "name": "kube-root-ca.crt",
                "namespace": name,
                "annotations": {
                    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver."
                },
            },
            "data": {
                "ca.crt": "-----BEGIN CERTIFICATE-----\nMIIBdzCCAR2gAwIBAgIBADAKBggqhkjOPQQDAjAjMSEwHwYDVQQDDBhr\n"
            },
        }
        yield "configmaps", root, "kube-controller-manager"
        account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default", "namespace": name}}
        yield "serviceaccounts", account, "kube-controller-manager"


def classes() -> Iterator[Placed]:
    """Yield StorageClass and PriorityClasses."""
    storage: Object = {
        "kind": "StorageClass",
        "apiVersion": "storage.k8s.io/v1",
        "metadata": {"name": "gp3", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "ebs.csi.aws.com",
        "parameters": {"type": "gp3", "encrypted": "true"},
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    yield "storageclasses", storage, "kubectl-client-side-apply"
    for name, value in (("system-node-critical", 2000001000), ("system-cluster-critical", 2000000000)):
        priority = {
            "kind": "PriorityClass",
            "apiVersion": "scheduling.k8s.io/v1",
            "metadata": {"name": name},
            "value": value,
            "description": "Used for system critical pods that must run in the cluster.",
            "preemptionPolicy": "PreemptLowerPriority",
        }
        yield "priorityclasses", priority, "kube-apiserver"


def rights() -> Iterator[Placed]:
    """Yield Roles, ClusterRoles and their bindings."""
    rules = [{"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods", "services", "configmaps"]}]
    subject = {"kind": "Group", "apiGroup": _RBAC, "name": "sre"}
    cluster_role = {"kind": "ClusterRole", "apiVersion": f"{_RBAC}/v1", "metadata": {"name": "sre-view"}}
    yield "clusterroles", {**cluster_role, "rules": rules}, "kubectl-client-side-apply"
    reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "sre-view"}
    binding = {"kind": "ClusterRoleBinding", "apiVersion": f"{_RBAC}/v1", "metadata": {"name": "sre-view"}}
    yield "clusterrolebindings", {**binding, "subjects": [subject], "roleRef": reference}, "kubectl-client-side-apply"
    for namespace in _TEAMS:
        metadata = {"name": "deployer", "namespace": namespace}
        role = {"kind": "Role", "apiVersion": f"{_RBAC}/v1", "metadata": dict(metadata)}
        allowed = [{"verbs": ["get", "list", "patch"], "apiGroups": ["apps"], "resources": ["deployments"]}]
        yield "roles", {**role, "rules": allowed}, "kubectl-client-side-apply"
        bound = {"kind": "RoleBinding", "apiVersion": f"{_RBAC}/v1", "metadata": dict(metadata)}
        team = {"kind": "Group", "apiGroup": _RBAC, "name": f"team-{namespace}"}
        role_ref = {"apiGroup": _RBAC, "kind": "Role", "name": "deployer"}
        yield "rolebindings", {**bound, "subjects": [team], "roleRef": role_ref}, "kubectl-client-side-apply"


def limits() -> Iterator[Placed]:
    """Yield what bounds the teams: quota, limit range, network policy."""
    for namespace in _TEAMS:
        hard = {"pods": "4000", "requests.cpu": "2k", "requests.memory": "8Ti"}
        quota = {
            "kind": "ResourceQuota",
            "apiVersion": "v1",
            "metadata": {"name": "team", "namespace": namespace},
            "spec": {"hard": hard},
            "status": {"hard": hard, "used": {"pods": "0", "requests.cpu": "0", "requests.memory": "0"}},
        }
        yield "resourcequotas", quota, "kubectl-client-side-apply"
        default = {
            "type": "Container",
            "default": {"memory": "512Mi"},
            "defaultRequest": {"cpu": "50m", "memory": "64Mi"},
        }
        limit_range = {
            "kind": "LimitRange",
            "apiVersion": "v1",
            "metadata": {"name": "defaults", "namespace": namespace},
            "spec": {"limits": [default]},
        }
        yield "limitranges", limit_range, "kubectl-client-side-apply"
        policy = {
            "kind": "NetworkPolicy",
            "apiVersion": "networking.k8s.io/v1",
            "metadata": {"name": "default-deny", "namespace": namespace},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
        }
        yield "networkpolicies", policy, "kubectl-client-side-apply"


def extensions() -> Iterator[Placed]:
    """Yield webhooks, an APIService and a CustomResourceDefinition."""
    rule = {
        "operations": ["CREATE", "UPDATE"],
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["pods"],
        "scope": "*",
    }
    webhook: Object = {
        "name": "policy.example.com",
        "clientConfig": {
            "service": {"namespace": "kube-system", "name": "policy", "path": "/check", "port": 443},
            "caBundle": _CA,
        },
        "rules": [rule],
        "failurePolicy": "Ignore",
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "sideEffects": "None",
        "timeoutSeconds": 5,
        "admissionReviewVersions": ["v1"],
    }
    for kind in ("Validating", "Mutating"):
        extra = {"reinvocationPolicy": "Never"} if kind == "Mutating" else {}
        configuration = {
            "kind": f"{kind}WebhookConfiguration",
            "apiVersion": "admissionregistration.k8s.io/v1",
            "metadata": {"name": "policy"},
            "webhooks": [{**webhook, **extra}],
        }
        yield f"{kind.lower()}webhookconfigurations", configuration, "helm"
    api_service = {
        "kind": "APIService",
        "apiVersion": "apiregistration.k8s.io/v1",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "service": {"namespace": "kube-system", "name": "metrics-server", "port": 443},
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
        "status": {"conditions": []},
    }
    yield "apiservices", api_service, "kubectl-client-side-apply"
    names = {"plural": "nodepools", "singular": "nodepool", "kind": "NodePool", "listKind": "NodePoolList"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "nodepools.karpenter.sh"},
        "spec": {
            "group": "karpenter.sh",
            "names": names,
            "scope": "Cluster",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            "conversion": {"strategy": "None"},
        },
        "status": {"conditions": [], "acceptedNames": names, "storedVersions": ["v1"]},
    }
    yield "customresourcedefinitions", definition, "helm"


def volume(namespace: str, claim: str, uid: str) -> Iterator[Placed]:
    """Yield the claim of a StatefulSet's pod and the volume bound to it; *uid* names the volume."""
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3", "volumeMode": "Filesystem"}
    name, capacity = f"pvc-{uid}", {"storage": "50Gi"}
    yield (
        "persistentvolumeclaims",
        {
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "metadata": {"name": claim, "namespace": namespace, "finalizers": ["kubernetes.io/pvc-protection"]},
            "spec": {**spec, "resources": {"requests": capacity}, "volumeName": name},
            "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": capacity},
        },
        "kube-controller-manager",
    )
    yield (
        "persistentvolumes",
        {
            "kind": "PersistentVolume",
            "apiVersion": "v1",
            "metadata": {"name": name, "finalizers": ["kubernetes.io/pv-protection"]},
            "spec": {
                **spec,
                "capacity": capacity,
                "csi": {
                    "driver": "ebs.csi.aws.com",
                    "volumeHandle": f"vol-0{uid.replace('-', '')[:16]}",
                    "fsType": "ext4",
                },
                "claimRef": {
                    "kind": "PersistentVolumeClaim",
                    "namespace": namespace,
                    "name": claim,
                    "apiVersion": "v1",
                },
                "persistentVolumeReclaimPolicy": "Delete",
            },
            "status": {"phase": "Bound"},
        },
        "csi-provisioner",
    )

"""The objects of one application as its author writes them, with the API server's defaults."""

import json

from simulator.world.catalog import App
from simulator.world.cluster import Object
from simulator.world.fates import POOL_SIZE_KEY
from simulator.world.templates import labels_of, pod_spec, small_container, template_of

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
POOL_SIZE = "20"


def metadata_of(app: App, name: str = "") -> Object:
    """Return the metadata of an object that belongs to *app*, with the marks of the tool that applied it."""
    metadata: Object = {"name": name or app.name, "namespace": app.namespace, "labels": labels_of(app)}
    if app.manager == "helm":
        metadata["labels"]["app.kubernetes.io/managed-by"] = "Helm"
        metadata["annotations"] = {
            "meta.helm.sh/release-name": app.name,
            "meta.helm.sh/release-namespace": app.namespace,
        }
    elif app.manager == "argocd-controller":
        kind = f"{app.namespace}-{app.name}"
        metadata["annotations"] = {
            "argocd.argoproj.io/tracking-id": f"{kind}:apps/Deployment:{app.namespace}/{app.name}"
        }
    elif app.manager == "kubectl-client-side-apply":
        applied = {"metadata": {"name": metadata["name"], "namespace": app.namespace}}
        metadata["annotations"] = {LAST_APPLIED: json.dumps(applied, separators=(",", ":")) + "\n"}
    return metadata


def deployment_of(app: App) -> Object:
    """Return the Deployment of an application."""
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": metadata_of(app),
        "spec": {
            "replicas": app.replicas,
            "selector": {"matchLabels": labels_of(app)},
            "template": template_of(app),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": 600,
        },
        "status": {},
    }


def service_of(app: App, number: int) -> Object:
    """Return the Service of an application; *number* makes its address."""
    address = f"172.20.{number // 250}.{number % 250 + 10}"
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": metadata_of(app),
        "spec": {
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": "http"}],
            "selector": labels_of(app),
            "clusterIP": address,
            "clusterIPs": [address],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    }


def config_map_of(app: App) -> Object:
    """Return the settings of an application."""
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": metadata_of(app, app.config_name),
        "data": {
            POOL_SIZE_KEY: POOL_SIZE,
            "REQUEST_TIMEOUT": "3s",
            "CACHE_TTL": "300",
            "app.yaml": f"name: {app.name}\nregion: ap-northeast-2\nfeatures:\n  newPricing: false\n  tracing: true\n",
        },
    }


def service_account_of(app: App) -> Object:
    """Return the ServiceAccount of an application."""
    return {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": metadata_of(app)}


def autoscaler_of(app: App) -> Object:
    """Return the HorizontalPodAutoscaler of an application."""
    target = {"type": "Utilization", "averageUtilization": 70}
    return {
        "kind": "HorizontalPodAutoscaler",
        "apiVersion": "autoscaling/v2",
        "metadata": metadata_of(app),
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": app.name, "apiVersion": "apps/v1"},
            "minReplicas": app.replicas,
            "maxReplicas": app.replicas + 4,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
        "status": {"currentReplicas": app.replicas, "desiredReplicas": app.replicas, "currentMetrics": None},
    }


def disruption_budget_of(app: App) -> Object:
    """Return the PodDisruptionBudget of an application."""
    return {
        "kind": "PodDisruptionBudget",
        "apiVersion": "policy/v1",
        "metadata": metadata_of(app),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels_of(app)}},
        "status": {
            "disruptionsAllowed": 1,
            "currentHealthy": app.replicas,
            "desiredHealthy": max(0, app.replicas - 1),
            "expectedPods": app.replicas,
            "observedGeneration": 1,
        },
    }


def ingress_of(app: App) -> Object:
    """Return the Ingress of an application."""
    backend = {"service": {"name": app.name, "port": {"name": "http"}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {
        "kind": "Ingress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": metadata_of(app),
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": f"{app.name}.example.com", "http": {"paths": [path]}}],
        },
        "status": {"loadBalancer": {"ingress": [{"hostname": "k8s-public.elb.ap-northeast-2.amazonaws.com"}]}},
    }


def daemon_set_of(name: str, image: str) -> Object:
    """Return a DaemonSet of kube-system."""
    labels = {"app.kubernetes.io/name": name}
    spec = pod_spec(small_container("app", image), service_account=name)
    spec |= {"priorityClassName": "system-node-critical", "tolerations": [{"operator": "Exists"}]}
    return {
        "kind": "DaemonSet",
        "apiVersion": "apps/v1",
        "metadata": {
            "name": name,
            "namespace": "kube-system",
            "labels": labels,
            "annotations": {"deprecated.daemonset.template.generation": "1"},
        },
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
            "revisionHistoryLimit": 10,
        },
        "status": {
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        },
    }


def stateful_set_of(namespace: str, name: str, replicas: int) -> Object:
    """Return a StatefulSet whose pods each claim a volume."""
    labels = {"app.kubernetes.io/name": name}
    container = small_container("app", f"public.ecr.aws/docker/library/{name}:17.6")
    container["volumeMounts"] = [{"name": "data", "mountPath": "/var/lib/data"}]
    claim = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "50Gi"}},
            "storageClassName": "gp3",
            "volumeMode": "Filesystem",
        },
        "status": {"phase": "Pending"},
    }
    revision = f"{name}-5f7b9c8d66"
    return {
        "kind": "StatefulSet",
        "apiVersion": "apps/v1",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(container)},
            "volumeClaimTemplates": [claim],
            "serviceName": name,
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "revisionHistoryLimit": 10,
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        },
        "status": {
            "replicas": 0,
            "currentRevision": revision,
            "updateRevision": revision,
            "collisionCount": 0,
            "availableReplicas": 0,
        },
    }


def cron_job_of(name: str, minutes: int, env: list[Object]) -> Object:
    """Return a CronJob that runs every so many minutes."""
    container = {**small_container("app", f"public.ecr.aws/acme/{name}:2.1.0"), "env": env}
    template = {"metadata": {}, "spec": pod_spec(container, restart_policy="Never")}
    return {
        "kind": "CronJob",
        "apiVersion": "batch/v1",
        "metadata": {"name": name, "namespace": "batch"},
        "spec": {
            "schedule": f"*/{minutes} * * * *",
            "concurrencyPolicy": "Allow",
            "suspend": False,
            "jobTemplate": {"metadata": {}, "spec": {"backoffLimit": 2, "template": template}},
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
        },
        "status": {},
    }

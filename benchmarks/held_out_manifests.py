"""
Four pods as they are created, with the fields that the recorded ones lack; their lives are held_out_pods.py's.

Written by hand after what the charts of a mesh, a database operator, a workflow engine and a node agent make.
"""

import hashlib
import json
from typing import Any

Json = dict[str, Any]


def _pod(name: str, kind: str, labels: Json, annotations: Json, **spec: Any) -> Json:
    owner, digest = name.rpartition("-")[0], hashlib.sha256(name.encode()).hexdigest()
    uids = ["-".join((d[:8], d[8:12], d[12:16], d[16:20], d[20:32])) for d in (digest, digest[::-1])]
    token = {
        "name": "kube-api-access-x7k2p",
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [
                            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                        ]
                    }
                },
            ],
            "defaultMode": 420,
        },
    }
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        container.setdefault("volumeMounts", []).append(
            {"name": token["name"], "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
        )
        container |= {
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "imagePullPolicy": "Always",
        }
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "generateName": owner + "-",
            "namespace": "shop",
            "uid": uids[0],
            "creationTimestamp": "2026-11-23T09:00:04Z",
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
                    "kind": kind,
                    "name": owner,
                    "uid": uids[1],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "volumes": [*spec.pop("volumes", []), token],
            **spec,
            "serviceAccountName": owner,
            "serviceAccount": owner,
            "schedulerName": "default-scheduler",
            "enableServiceLinks": False,
            "preemptionPolicy": "PreemptLowerPriority",
        },
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    }


def _probe(path: str, port: Any, period: int) -> Json:
    return {
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "timeoutSeconds": 3,
        "periodSeconds": period,
        "successThreshold": 1,
        "failureThreshold": 4,
    }


def _env(**values: str) -> list[Json]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _field(name: str, path: str) -> Json:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def meshed() -> Json:
    """Return a web service in a mesh: an init container, a native sidecar, probes, spreads, rollout annotations."""
    proxy = {
        "name": "mesh-proxy",
        "image": "docker.io/meshworks/proxyv2:1.27.1",
        "args": ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local", "--concurrency", "2"],
        "ports": [{"name": "http-envoy-prom", "containerPort": 15090, "protocol": "TCP"}],
        "env": [
            *_env(PILOT_CERT_PROVIDER="istiod", CA_ADDR="istiod.istio-system.svc:15012", ISTIO_META_CLUSTER_ID="prod"),
            _field("POD_NAME", "metadata.name"),
            _field("POD_NAMESPACE", "metadata.namespace"),
            _field("HOST_IP", "status.hostIP"),
        ],
        "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "volumeMounts": [
            {"name": "workload-socket", "mountPath": "/var/run/secrets/workload-spiffe-uds"},
            {"name": "istiod-ca-cert", "mountPath": "/var/run/secrets/istio"},
            {"name": "istio-envoy", "mountPath": "/etc/istio/proxy"},
        ],
        "startupProbe": _probe("/healthz/ready", 15021, 1),
        "readinessProbe": _probe("/healthz/ready", 15021, 15),
        "restartPolicy": "Always",
        "securityContext": {
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "runAsUser": 1337,
            "runAsGroup": 1337,
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
        },
    }
    init = {
        "name": "mesh-init",
        "image": "docker.io/meshworks/proxyv2:1.27.1",
        "args": ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*"],
        "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]}, "runAsUser": 0},
    }
    app = {
        "name": "storefront",
        "image": "ghcr.io/acme-retail/storefront:2026.11.3-g41fa",
        "command": ["/opt/storefront/bin/server"],
        "ports": [
            {"name": "http", "containerPort": 8443, "protocol": "TCP"},
            {"name": "admin", "containerPort": 9404, "protocol": "TCP"},
        ],
        "envFrom": [{"configMapRef": {"name": "storefront-settings"}}, {"secretRef": {"name": "storefront-secrets"}}],
        "env": [
            *_env(JAVA_TOOL_OPTIONS="-XX:MaxRAMPercentage=70", OTEL_SERVICE_NAME="storefront", LOG_FORMAT="json"),
            _field("POD_IP", "status.podIP"),
        ],
        "resources": {"limits": {"memory": "1536Mi"}, "requests": {"cpu": "750m", "memory": "1536Mi"}},
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "certs", "readOnly": True, "mountPath": "/etc/tls"},
        ],
        "livenessProbe": _probe("/actuator/health/liveness", "admin", 10),
        "readinessProbe": _probe("/actuator/health/readiness", "admin", 5),
        "startupProbe": _probe("/actuator/health", "admin", 2),
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", "sleep 15"]}}},
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    labels = {
        "app.kubernetes.io/name": "storefront",
        "app.kubernetes.io/instance": "storefront-eu",
        "app.kubernetes.io/part-of": "retail",
        "app.kubernetes.io/version": "2026.11.3",
        "pod-template-hash": "6f7bd4c9d5",
        "security.istio.io/tlsMode": "istio",
        "service.istio.io/canonical-name": "storefront",
        "team": "frontline",
    }
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "15020",
        "sidecar.istio.io/status": json.dumps({"initContainers": ["mesh-init", "mesh-proxy"], "revision": "1-27"}),
        "checksum/config": hashlib.sha256(b"config").hexdigest(),
        "kubectl.kubernetes.io/restartedAt": "2026-11-20T18:11:02+01:00",
    }
    return _pod(
        "storefront-6f7bd4c9d5-q8zvx",
        "ReplicaSet",
        labels,
        annotations,
        volumes=[
            {"name": "workload-socket", "emptyDir": {}},
            {"name": "istio-envoy", "emptyDir": {"medium": "Memory"}},
            {"name": "istiod-ca-cert", "configMap": {"name": "istio-ca-root-cert", "defaultMode": 420}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "512Mi"}},
            {"name": "certs", "secret": {"secretName": "storefront-tls", "defaultMode": 288}},
        ],
        initContainers=[init, proxy],
        containers=[app],
        restartPolicy="Always",
        terminationGracePeriodSeconds=60,
        dnsPolicy="ClusterFirst",
        affinity={
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "karpenter.sh/nodepool", "operator": "In", "values": ["web"]}]}
                    ]
                }
            },
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 80,
                        "podAffinityTerm": {
                            "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "storefront"}},
                            "topologyKey": "kubernetes.io/hostname",
                        },
                    }
                ]
            },
        },
        topologySpreadConstraints=[
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "storefront"}},
            }
        ],
        priorityClassName="business-critical",
        priority=100000,
        securityContext={"fsGroup": 2000, "fsGroupChangePolicy": "OnRootMismatch"},
    )


def database() -> Json:
    """Return a replica of a database operator: volumes of a claim, an exporter beside it, exec probes."""
    main = {
        "name": "postgres",
        "image": "ghcr.io/cloudnative-pg/postgresql:17.2-bookworm",
        "command": ["/controller/manager", "instance", "run", "--status-port-tls", "--log-level=info"],
        "ports": [{"name": "postgresql", "containerPort": 5432, "protocol": "TCP"}],
        "env": _env(PGDATA="/var/lib/postgresql/data/pgdata", PGPORT="5432", PGHOST="/controller/run", TMPDIR="/tmp"),
        "resources": {"limits": {"cpu": "4", "memory": "16Gi"}, "requests": {"cpu": "4", "memory": "16Gi"}},
        "volumeMounts": [
            {"name": "pgdata", "mountPath": "/var/lib/postgresql/data"},
            {"name": "scratch-data", "mountPath": "/controller"},
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
        "livenessProbe": {"exec": {"command": ["pg_isready", "-U", "postgres"]}, "periodSeconds": 10},
        "readinessProbe": {"tcpSocket": {"port": 5432}, "initialDelaySeconds": 5, "periodSeconds": 10},
    }
    exporter = {
        "name": "metrics",
        "image": "quay.io/prometheuscommunity/postgres-exporter:v0.17.1",
        "args": ["--collector.stat_statements", "--no-collector.wal"],
        "ports": [{"name": "metrics", "containerPort": 9187, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
    }
    return _pod(
        "orders-db-2",
        "StatefulSet",
        {"cnpg.io/cluster": "orders-db", "cnpg.io/instanceName": "orders-db-2", "role": "replica"},
        {"cnpg.io/operatorVersion": "1.27.0", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        volumes=[
            {"name": "pgdata", "persistentVolumeClaim": {"claimName": "orders-db-2"}},
            {"name": "scratch-data", "emptyDir": {}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        ],
        containers=[main, exporter],
        restartPolicy="Always",
        terminationGracePeriodSeconds=1800,
        hostname="orders-db-2",
        subdomain="orders-db",
        nodeSelector={"node.kubernetes.io/instance-type": "r7g.xlarge"},
        securityContext={"runAsUser": 26, "runAsGroup": 26, "fsGroup": 26, "runAsNonRoot": True},
        tolerations=[{"key": "dedicated", "operator": "Equal", "value": "databases", "effect": "NoSchedule"}],
    )


def worker() -> Json:
    """Return a task of a workflow engine: two init steps, a device, ephemeral volumes."""
    steps = [
        {
            "name": step,
            "image": "registry.internal.example/ml/stage:4f1c",
            "command": ["python", "-m", "stage", step, "--bucket", "s3://training-eu/run-8812"],
            "env": _env(AWS_REGION="eu-central-1", STAGE=step, HF_HOME="/scratch/hf"),
            "resources": {"requests": {"cpu": "1", "memory": "2Gi"}},
            "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        }
        for step in ("fetch", "unpack")
    ]
    main = {
        "name": "train",
        "image": "registry.internal.example/ml/train:4f1c",
        "args": ["--epochs", "3", "--resume", "/scratch/ckpt"],
        "env": _env(NCCL_DEBUG="WARN", OMP_NUM_THREADS="8"),
        "resources": {"limits": {"nvidia.com/gpu": "1", "memory": "48Gi"}, "requests": {"nvidia.com/gpu": "1"}},
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
    }
    return _pod(
        "run-8812-train-7d4kq",
        "Job",
        {"workflows.example.io/run": "8812", "batch.kubernetes.io/job-name": "run-8812-train", "gpu": "l4"},
        {"workflows.example.io/node-name": "run-8812.train(0)", "karpenter.sh/do-not-disrupt": "true"},
        volumes=[
            {
                "name": "scratch",
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "metadata": {},
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "resources": {"requests": {"storage": "200Gi"}},
                            "storageClassName": "gp3-fast",
                        },
                    }
                },
            }
        ],
        initContainers=steps,
        containers=[main],
        restartPolicy="Never",
        activeDeadlineSeconds=86400,
        runtimeClassName="nvidia",
        tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    )


def node_agent() -> Json:
    """Return a pod of every node: the host's network, its paths, privileges, tolerations for everything."""
    main = {
        "name": "collector",
        "image": "public.ecr.aws/observability/collector:0.139.0",
        "args": ["--config=/conf/relay.yaml", "--feature-gates=+telemetry.stable"],
        "ports": [{"name": "otlp", "hostPort": 4317, "containerPort": 4317, "protocol": "TCP"}],
        "env": [_field("K8S_NODE_NAME", "spec.nodeName"), *_env(GOMEMLIMIT="409MiB", GOGC="80")],
        "resources": {"limits": {"memory": "512Mi"}, "requests": {"cpu": "50m", "memory": "256Mi"}},
        "volumeMounts": [
            {"name": "varlogpods", "readOnly": True, "mountPath": "/var/log/pods"},
            {"name": "hostfs", "readOnly": True, "mountPath": "/hostfs", "mountPropagation": "HostToContainer"},
        ],
        "livenessProbe": {"grpc": {"port": 13133, "service": "liveness"}, "periodSeconds": 10, "failureThreshold": 5},
        "securityContext": {"privileged": True, "runAsUser": 0},
    }
    return _pod(
        "otel-collector-agent-9xkfm",
        "DaemonSet",
        {"app.kubernetes.io/name": "otel-collector", "component": "agent-collector", "controller-revision-hash": "7c9"},
        {"checksum/config": hashlib.sha256(b"relay").hexdigest()},
        volumes=[
            {"name": "varlogpods", "hostPath": {"path": "/var/log/pods", "type": ""}},
            {"name": "hostfs", "hostPath": {"path": "/", "type": "Directory"}},
        ],
        containers=[main],
        restartPolicy="Always",
        hostNetwork=True,
        hostPID=True,
        dnsPolicy="ClusterFirstWithHostNet",
        priorityClassName="system-node-critical",
        priority=2000001000,
        tolerations=[{"operator": "Exists"}],
    )

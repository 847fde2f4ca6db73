"""
What the labels of a foreign shipper tell of the container that a line came from. Pure.

Promtail and Alloy name `namespace`, `pod`, `container` and `filename`; Fluent Bit and Fluentd flatten the map
`kubernetes`; the OpenTelemetry collector sends `k8s.…` attributes, which Loki writes with underscores. What one label
does not tell, the path of the file may, and what none of them tells stays empty.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

NAMESPACE = ("namespace", "k8s_namespace_name", "kubernetes_namespace_name", "namespace_name", "kubernetes_namespace")
POD = ("pod", "k8s_pod_name", "kubernetes_pod_name", "pod_name", "kubernetes_pod")
POD_UID = ("pod_uid", "k8s_pod_uid", "kubernetes_pod_id", "kubernetes_pod_uid", "pod_id")
CONTAINER = ("container", "k8s_container_name", "kubernetes_container_name", "container_name", "kubernetes_container")
CONTAINER_ID = ("container_id", "kubernetes_docker_id", "kubernetes_container_id", "docker_id")
RESTART = ("k8s_container_restart_count", "restart")
PATHS = ("filename", "log_file_path", "file_path", "file", "path", "tag", "fluentd_tag")
"""Fluent Bit's and Fluentd's tags are the file's path with dots for slashes."""

_PODS = re.compile(r"pods[/.]([a-z0-9-]+)_([a-z0-9.-]+)_([0-9a-f-]{32,36})/([a-z0-9-]+)/(\d+)\.log")
_CONTAINERS = re.compile(r"containers[/.]([^/]+)\.log\b")
_CUT_LENGTH = 255 - len(".log")
"""The kubelet cuts the name of the link in /var/log/containers there (kuberuntime/legacy.go)."""

_ID = re.compile(r"(?:^|//)([0-9a-f]{64})$")
_WITH_ID = re.compile(r"^(.+)-([0-9a-f]{64})$")
_WITH_PART = re.compile(r"^(.+)-[0-9a-f]{0,63}$")


class Clue(NamedTuple):
    """What is known of a container; "" and None for what is not. `uid` may be that of the files of a static pod."""

    uid: str = ""
    container_id: str = ""
    namespace: str = ""
    pod: str = ""
    container: str = ""
    restart: int | None = None

    @property
    def names_a_pod(self) -> bool:
        """Tell whether there is anything to find a pod by."""
        return bool(self.uid or self.container_id or (self.namespace and self.pod))


NOTHING = Clue()


def clue_of(labels: Mapping[str, str]) -> Clue:
    """Return what *labels* (with structured metadata that every line has, where there is some) tell."""
    path = NOTHING
    for name in PATHS:
        if (value := labels.get(name)) and (path := clue_of_path(value)) is not NOTHING:
            break
    found = _ID.search(labels.get(_present(labels, CONTAINER_ID), ""))
    restart = labels.get(_present(labels, RESTART), "")
    return Clue(
        uid=labels.get(_present(labels, POD_UID), "") or path.uid,
        container_id=found[1] if found else path.container_id,
        namespace=labels.get(_present(labels, NAMESPACE), "") or path.namespace,
        pod=labels.get(_present(labels, POD), "") or path.pod,
        container=labels.get(_present(labels, CONTAINER), "") or path.container,
        restart=int(restart) if restart.isascii() and restart.isdigit() and len(restart) < 9 else path.restart,
    )


def clue_of_path(path: str) -> Clue:
    """Return what the path of a container's log file tells, NOTHING for another file."""
    if (found := _PODS.search(path)) is not None:
        return Clue(namespace=found[1], pod=found[2], uid=found[3], container=found[4], restart=int(found[5][:9]))
    if (found := _CONTAINERS.search(path)) is None:
        return NOTHING
    stem = found[1]
    pod, _, rest = stem.partition("_")
    namespace, _, rest = rest.partition("_")
    if (whole := _WITH_ID.match(rest)) is not None:
        return Clue(namespace=namespace, pod=pod, container=whole[1], container_id=whole[2])
    if len(stem) != _CUT_LENGTH or not rest:
        return NOTHING
    # Cut off: the id is of no use, and where nothing of it is left the container's name may be cut as well.
    cut = _WITH_PART.match(rest)
    return Clue(namespace=namespace, pod=pod, container=cut[1] if cut else "")


def _present(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((name for name in names if labels.get(name)), names[0])

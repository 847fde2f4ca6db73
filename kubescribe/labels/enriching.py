"""
The labels and the structured metadata of a container's lines (design section 8). Pure.

The same pod, container and node facts always give the same: whoever sends a line again sends the same bytes, and Loki
drops the repeat. So nothing that changes in a pod's life is in it, and whoever sends keeps the result with its
checkpoint before the first line goes out, since node facts and the rules here may change under a running pod.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from kubescribe.labels.names import label_name, label_value, selector_text
from kubescribe.labels.pods import SERVICE_NAME, TRACKING_ID, PodFacts, first_of
from kubescribe.labels.workloads import Workload, workload_of

STREAM_LABELS = (
    "cluster",
    "namespace",
    "service_name",
    "application",
    "workload_kind",
    "workload",
    "container",
    "stream",
)
"""All there are, but for `late`; none of them has more values than the cluster has workloads."""

METADATA = ("pod", "pod_uid", "node", "zone", "image", "revision", "owner", "restart", "meta")
"""The names of structured metadata that are ours; a label of pods that would be called so is left out."""


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What a line carries that its pod does not tell: where it runs."""

    cluster: str = ""
    node: str = ""
    zone: str = ""


class Enrichment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """
    What every line of one instance of a container carries.

    `labels` are those of its Loki stream but `stream` (stdout or stderr), `metadata` is structured metadata. No value
    is empty, and both keep Loki's rules.
    """

    labels: dict[str, str]
    metadata: dict[str, str]

    def selector(self, stream: str) -> str:
        """Return the labels of the lines of *stream* as a push carries them."""
        return selector_text({**self.labels, "stream": stream})


class Names(NamedTuple):
    """The workload, service and application that a pod belongs to."""

    workload_kind: str
    workload: str
    service_name: str
    application: str
    revision: str
    owner: str


def names_of(pod: PodFacts) -> Names:
    """Return what *pod* is part of."""
    return names_in(workload_of(pod), pod.labels, pod.annotations)


def names_in(workload: Workload, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Names:
    """Return what belongs to *workload*, by the labels and annotations that its pods carry."""
    tracked = annotations.get(TRACKING_ID, "").partition(":")[0]
    return Names(
        workload_kind=workload.kind,
        workload=workload.name,
        service_name=annotations.get(SERVICE_NAME)
        or first_of(labels, "app.kubernetes.io/name", "app", "k8s-app")
        or workload.name,
        application=tracked
        or first_of(labels, "app.kubernetes.io/part-of", "app.kubernetes.io/instance")
        or workload.name,
        revision=workload.revision,
        owner=workload.owner,
    )


def enrich(
    pod: PodFacts, *, container: str, restart: int | None, node: NodeFacts, pod_labels: Iterable[str] = ()
) -> Enrichment:
    """
    Return what the lines of *container*, started for the *restart*-th time again, carry.

    *restart* is None where it is not known (a shipper does not always tell). *pod_labels* are the labels of pods that
    are added to the structured metadata.
    """
    names = names_of(pod)
    labels = {
        "cluster": node.cluster,
        "namespace": pod.namespace,
        "service_name": names.service_name,
        "application": names.application,
        "workload_kind": names.workload_kind,
        "workload": names.workload,
        "container": container,
    }
    metadata = {
        "pod": pod.name,
        "pod_uid": pod.uid,
        "node": pod.node or node.node,
        "zone": node.zone,
        "image": pod.images.get(container, ""),
        "revision": names.revision,
        "owner": names.owner,
        "restart": "" if restart is None else str(restart),
        # Whoever looks for lines by a label of the pod should know why some have none.
        "meta": "partial" if pod.is_guessed else "",
    }
    for wanted in pod_labels:
        name = label_name(wanted)
        if name and name not in metadata and name not in labels:
            metadata[name] = pod.labels.get(wanted, "")
    return Enrichment(labels=_kept(labels), metadata=_kept(metadata))


def _kept(values: Mapping[str, str]) -> dict[str, str]:
    return {name: kept for name, value in values.items() if (kept := label_value(value))}

"""
Under which names the lines of an instance go out: decided once, from the pod as it was first seen. Pure.

Lines of a pod that nobody has told of yet stay in their file for a while; then their path has to do. Nothing is changed
afterwards, so that whatever is sent again is the same.
"""

from dataclasses import dataclass
from typing import Protocol

from agent.tail.paths import Instance
from kubescribe.labels.enriching import Enrichment, NodeFacts, enrich
from kubescribe.labels.pods import PodFacts, guessed_pod


class Pods(Protocol):
    """Who knows the pods of this agent's nodes."""

    def of_file(self, uid: str) -> PodFacts | None:
        """Return the pod whose files carry *uid*."""
        ...

    def is_over(self, file_uid: str) -> bool:
        """Tell whether no container will ever write again of the pod whose files carry *file_uid*."""
        ...

    def zone_of(self, node: str) -> str | None:
        """Return the zone of *node*, "" for one that has none, None when nobody has told yet."""
        ...

    def is_zone_coming(self, node: str) -> bool:
        """Tell whether the zone of *node* may well be told soon."""
        ...

    def is_list_coming(self) -> bool:
        """Tell whether the first list of all pods may well come soon."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """The rules: `node` is this agent's, "" for one that sees several; `pod_labels` are wanted as metadata."""

    pods: Pods
    cluster: str
    node: str = ""
    pod_labels: tuple[str, ...] = ()
    hold_seconds: float = 5.0

    def decide(self, instance: Instance, *, waited_seconds: float) -> Enrichment | None:
        """
        Return what lines of *instance* carry, None to wait for the pod and its zone: for `hold_seconds`.

        Where they are still to come it is waited longer; the pods know for how long at most.
        """
        is_late = waited_seconds >= self.hold_seconds
        pod = self.pods.of_file(instance.uid)
        if pod is None and (not is_late or self.pods.is_list_coming()):
            return None
        if pod is None:
            pod = guessed_pod(instance.namespace, instance.pod, instance.uid, node=self.node)
        node = pod.node or self.node
        zone = self.pods.zone_of(node)
        if zone is None and (not is_late or self.pods.is_zone_coming(node)):
            return None
        return enrich(
            pod,
            container=instance.container,
            restart=instance.restart,
            node=NodeFacts(cluster=self.cluster, node=node, zone=zone or ""),
            pod_labels=self.pod_labels,
        )

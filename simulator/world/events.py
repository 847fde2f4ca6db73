"""
The Events that the components post, in the two shapes of real life.

Controllers and kubelets post core/v1 Events whose `count` grows while the same thing goes on; the scheduler posts
events.k8s.io/v1 Events, which core/v1 shows without count, with `eventTime` and `action`.
"""

from collections.abc import Mapping
from typing import Any

from simulator.world.cluster import Cluster, Object
from simulator.world.naming import hexadecimal, micro_stamp, parse_stamp

_MANAGERS = {
    "kubelet": "kubelet",
    "default-scheduler": "kube-scheduler",
    "karpenter": "karpenter",
    "ingress-nginx-controller": "nginx-ingress-controller",
}
# As client-go's EventCorrelator (tools/events, maxLruCacheEntries).
_REMEMBERED = 4096


class Recorder:
    """Posts Events, counts repetitions, and deletes what has not been seen for *ttl_seconds*."""

    def __init__(self, cluster: Cluster, *, ttl_seconds: float = 3600.0) -> None:
        self._cluster = cluster
        self._ttl_seconds = ttl_seconds
        self._seen: dict[tuple[str, ...], str] = {}
        self._expiry: dict[tuple[str, str], float] = {}

    def post(
        self,
        component: str,
        about: Mapping[str, Any],
        reason: str,
        message: str,
        *,
        kind: str,
        api_version: str = "v1",
        warning: bool = False,
        host: str = "",
        field_path: str = "",
    ) -> None:
        """Say that *reason* happened to the object *about*; a repetition raises the count of the one that stands."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace", "default")
        key = (component, host, namespace, metadata["name"], metadata["uid"], reason, message, field_path)
        known = self._seen.pop(key, None)
        if known is not None and self._repeat(namespace, known, component):
            self._seen[key] = known
            return
        involved: Object = {"kind": kind, "namespace": metadata.get("namespace"), "name": metadata["name"]}
        involved |= {"uid": metadata["uid"], "apiVersion": api_version}
        if not metadata.get("namespace"):
            del involved["namespace"]
        if field_path:
            involved["fieldPath"] = field_path
        else:
            involved["resourceVersion"] = metadata.get("resourceVersion", "")
        now = self._cluster.stamp
        event: Object = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": f"{metadata['name']}.{self._tail()}", "namespace": namespace},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": {"component": component, "host": host} if host else {"component": component},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": "Warning" if warning else "Normal",
            "eventTime": None,
            "reportingComponent": component,
            "reportingInstance": host,
        }
        self._create(event, component)
        self._seen[key] = event["metadata"]["name"]
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def post_scheduling(self, pod: Object, reason: str, message: str, *, action: str, warning: bool = False) -> None:
        """Post what the scheduler says: a new Event each time, without a count."""
        metadata = pod["metadata"]
        event: Object = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": f"{metadata['name']}.{self._tail()}", "namespace": metadata["namespace"]},
            "involvedObject": {
                "kind": "Pod",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                "apiVersion": "v1",
                "resourceVersion": metadata.get("resourceVersion", ""),
            },
            "reason": reason,
            "message": message,
            "source": {},
            "firstTimestamp": None,
            "lastTimestamp": None,
            "type": "Warning" if warning else "Normal",
            "eventTime": micro_stamp(self._cluster.now),
            "action": action,
            "reportingComponent": "default-scheduler",
            "reportingInstance": "default-scheduler-ip-10-0-0-10",
        }
        self._create(event, "default-scheduler")

    def adopt(self) -> None:
        """Take over the Events that the store has: each lives on for what is left of its time."""
        self._seen.clear()
        self._expiry.clear()
        for event in self._cluster.store.list("events"):
            last = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
            self._keep(event["metadata"]["namespace"], event["metadata"]["name"], parse_stamp(last))

    def _tail(self) -> str:
        return f"18{hexadecimal(self._cluster.rng, 14)}"

    def _create(self, event: Object, component: str) -> None:
        self._cluster.create("events", event, _MANAGERS.get(component, "kube-controller-manager"))
        self._keep(event["metadata"]["namespace"], event["metadata"]["name"], self._cluster.now)

    def _repeat(self, namespace: str, name: str, component: str) -> bool:
        def count(event: Object) -> None:
            event["count"] += 1
            event["lastTimestamp"] = self._cluster.stamp

        manager = _MANAGERS.get(component, "kube-controller-manager")
        if self._cluster.edit("events", namespace, name, count, manager=manager) is None:
            return False
        self._expiry[namespace, name] = self._cluster.now + self._ttl_seconds / self._cluster.pace
        return True

    def _keep(self, namespace: str, name: str, seen: float) -> None:
        """Give an Event its lease, as etcd does: the last write renews it, its end deletes it."""
        expiry = seen + self._ttl_seconds / self._cluster.pace
        self._expiry[namespace, name] = expiry
        self._cluster.agenda.add(expiry, lambda: self._expire(namespace, name))

    def _expire(self, namespace: str, name: str) -> None:
        expiry = self._expiry.get((namespace, name))
        if expiry is None:
            return
        if expiry > self._cluster.now:
            self._cluster.agenda.add(expiry, lambda: self._expire(namespace, name))
            return
        del self._expiry[namespace, name]
        if self._cluster.exists("events", namespace, name):
            self._cluster.store.delete("events", namespace, name)

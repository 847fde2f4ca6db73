"""A journal with a pod, its Deployment and what happens to them, and an outlet that brings it to Loki."""

import asyncio
import json
from contextlib import asynccontextmanager

from aggregator.outlets.loki.outlet import LokiOutlet
from aggregator.records import OccurrenceRow
from aggregator.store.memory import MemoryJournal
from kubescribe.loki.config import LokiConfig
from kubescribe.loki.limits import SenderLimits
from kubescribe.loki.opening import open_sender
from kubescribe.wire.records import ObjectReference, Occurrence
from kubescribe.wire.times import from_rfc3339, to_rfc3339
from tests.aggregator.store.story import Story

QUICK = SenderLimits(
    linger_seconds=0.01,
    idle_linger_seconds=0.0,
    first_retry_seconds=0.01,
    max_retry_seconds=0.05,
    max_setting_seconds=0.05,
)
SECOND = 10**9
POD_UID = "8f0c9a3e-0000-4000-8000-000000000001"
POD = "web-6d4cf56db6-x7k2p"
LABELS = {"app": "web", "app.kubernetes.io/part-of": "storefront", "pod-template-hash": "6d4cf56db6"}


def pod(*, containers=(), node="n1", labels=LABELS):
    """Return a pod's body; *containers* are statuses."""
    owner = {"kind": "ReplicaSet", "name": "web-6d4cf56db6", "controller": True}
    meta = {"name": POD, "namespace": "shop", "uid": POD_UID, "labels": labels, "ownerReferences": [owner]}
    spec = {"nodeName": node, "containers": [{"name": "app", "image": "shop/web:1.2"}]}
    status = {"containerStatuses": list(containers)}
    return json.dumps({"kind": "Pod", "metadata": meta, "spec": spec, "status": status}, separators=(",", ":")).encode()


def ended(at, *, code=1, reason="Error", container_id="containerd://c1", **more):
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "startedAt": to_rfc3339(at - 90 * SECOND)[:19] + "Z",
            "finishedAt": to_rfc3339(at)[:19] + "Z",
            "containerID": container_id,
            **more,
        }
    }


def status(name="app", *, restarts=0, state=None, last=None):
    return {
        "name": name,
        "restartCount": restarts,
        "state": state or {"running": {}},
        "lastState": last or {},
    }


def deployment(replicas=2, image="shop/web:1.2"):
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "app", "image": image}]}}
    meta = {"name": "web", "namespace": "shop", "uid": "d-1", "labels": {"team": "shop"}}
    body = {"kind": "Deployment", "metadata": meta, "spec": {"replicas": replicas, "template": template}}
    return json.dumps(body, separators=(",", ":")).encode()


class ShopStory(Story):
    """A story about the shop; times are of now, so that Loki takes them."""

    def __init__(self, now):
        super().__init__()
        self.now = now
        self.committed_at = now
        self.versions_made = 100

    def web_pod(self, **facts):
        self.versions_made += 1
        return self.pod(POD, self.versions_made, uid=POD_UID, at=self.now, body=pod(**facts), node="n1")

    def node(self, name, zone, *, gone=False):
        self.versions_made += 1
        labels = {"topology.kubernetes.io/zone": zone}
        body = json.dumps({"kind": "Node", "metadata": {"name": name, "labels": labels}}, separators=(",", ":"))
        return self.pod(
            name,
            self.versions_made,
            kind="Node",
            namespace="",
            node="",
            uid=f"node-{name}",
            at=self.now,
            body=body.encode(),
            gone=gone,
        )

    def deployment(self, **facts):
        self.versions_made += 1
        body = deployment(**facts)
        return self.pod(
            "web", self.versions_made, kind="Deployment", uid="d-1", at=self.now, body=body, manager="argocd-controller"
        )

    def happened(self, reason, *, kind="Pod", name=POD, uid=POD_UID, at=0, message="", count=1, **more):
        self.versions_made += 1
        it = Occurrence(
            stream="events",
            term=1,
            uid=f"e-{self.versions_made}",
            name=f"{name}.{self.versions_made}",
            resource_version=self.versions_made,
            observed_at=self.now,
            namespace="shop",
            reason=reason,
            event_type=more.pop("type", "Warning"),
            message=message or f"{reason} {name}",
            count=count,
            first_at=(at or self.now) - 60 * SECOND,
            last_at=at or self.now,
            regarding=ObjectReference(kind=kind, namespace=more.pop("namespace", "shop"), name=name, uid=uid, **more),
            reporter="kubelet",
            reporter_instance="n1",
        )
        row = OccurrenceRow(seq=next(self.seqs), epoch=1, added=1, committed_at=self.committed_at, occurrence=it)
        self.plan.occurrences.append(row)
        return row


@asynccontextmanager
async def outlet_of(journal, url, *, now_ns, last_seq):
    """Yield the outlet while its parts run; behind the block they are stopped in order."""
    async with open_sender(LokiConfig(url=url), version="1.2", limits=QUICK) as sender:
        outlet = LokiOutlet(journal, sender, cluster=lambda: "prod", last_seq=last_seq, now_ns=now_ns)
        running = [asyncio.create_task(part.run()) for part in outlet.parts()]
        sending = asyncio.create_task(sender.run())
        try:
            yield outlet
        finally:
            for part in outlet.parts():
                await part.stop()
            await asyncio.wait(running)
            await sender.stop(0)
            await sending
            for task in running:
                task.result()


async def open_memory(story):
    journal = MemoryJournal()
    await journal.open()
    await journal.commit(story.take())
    return journal


async def until(holds, seconds=10):
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)


def second(at):
    return from_rfc3339(to_rfc3339(at)[:19] + "Z")

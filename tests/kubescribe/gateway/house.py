"""A gateway over real sockets, with a finder that knows a few pods; and bodies as Loki's clients encode them."""

import asyncio
import io
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from kubescribe.gateway.config import GatewayConfig
from kubescribe.gateway.gateway import open_gateway
from kubescribe.labels.enriching import NodeFacts
from kubescribe.labels.pods import PodFacts
from kubescribe.loki.encoding import compress, encode_entry, encode_metadata, encode_stream
from kubescribe.runtime.room import Room
from kubescribe.runtime.serving import serving
from kubescribe.runtime.values import HostPort
from tests.kubescribe.loki.house import fake_loki, sending, until

NOW = 1_790_000_000_000_000_000
UID = "0a1b2c3d-0000-4000-8000-00000000000e"
ID = "0123456789abcdef" * 4
WEB = PodFacts(
    namespace="shop",
    name="web-6d4cf56db6-x7k2p",
    uid=UID,
    node="n1",
    owner_kind="ReplicaSet",
    owner_name="web-6d4cf56db6",
    labels={"pod-template-hash": "6d4cf56db6", "app.kubernetes.io/part-of": "storefront"},
    images={"app": "registry/web:1.2"},
)
OURS = {
    "cluster": "prod",
    "namespace": "shop",
    "service_name": "web",
    "application": "storefront",
    "workload_kind": "Deployment",
    "workload": "web",
    "container": "app",
}
METADATA = {
    "pod": WEB.name,
    "pod_uid": UID,
    "node": "n1",
    "zone": "z1",
    "image": "registry/web:1.2",
    "revision": "6d4cf56db6",
}
ENOUGH = lambda _: Room(1.0, 1.0)  # noqa: E731


class Book:
    """Knows WEB and whom it is told of, as an agent's book does."""

    def __init__(self, *pods):
        self.pods = [WEB, *pods]
        self.ids = {ID: WEB}

    def find(self, clue, at=0):  # noqa: ARG002
        if clue.uid:
            return next((pod for pod in self.pods if clue.uid in (pod.uid, pod.file_uid)), None)
        if clue.container_id in self.ids:
            return self.ids[clue.container_id]
        named = (clue.namespace, clue.pod)
        return next((pod for pod in reversed(self.pods) if (pod.namespace, pod.name) == named), None)

    def node_of(self, pod):  # noqa: ARG002
        return NodeFacts(cluster="prod", node="n1", zone="z1")


class Pushing:
    """A gateway that listens, and what reaches Loki through it."""

    def __init__(self, gateway, url, session, loki):
        self.gateway, self.url, self.session, self.loki = gateway, url, session, loki

    async def post(self, body, headers=None, path="/loki/api/v1/push"):
        """Return status and text of the answer to *body*."""
        skip = [] if headers and "Content-Type" in headers else ["Content-Type"]
        data = io.BytesIO(body) if isinstance(body, bytes) else body
        async with self.session.post(
            self.url + path, data=data, headers=headers or {}, skip_auto_headers=skip
        ) as answer:
            return answer.status, await answer.text()

    async def stored(self, count):
        """Return what Loki stores, once it is *count* lines: {labels: [(ns, line, metadata)]}."""
        await until(lambda: sum(len(lines) for lines in self.loki.stored.values()) >= count)
        return {
            labels: [(at, line, dict(metadata)) for at, line, metadata in lines]
            for labels, lines in self.loki.stored.items()
        }


@asynccontextmanager
async def running(folder, sender, finder=None, *, room=ENOUGH, pod_labels=(), tenant="", **config):
    """Yield a gateway that runs and listens, and its URL."""
    opening = open_gateway(
        GatewayConfig(**config), folder, sender, finder or Book(), pod_labels=pod_labels, room=room, tenant=tenant
    )
    async with opening as gateway:
        app = web.Application()
        for method, path, handler in gateway.routes:
            app.router.add_route(method, path, handler)
        task = asyncio.create_task(gateway.part.run())
        async with serving(
            app, HostPort("127.0.0.1", 0), option="x", shutdown_seconds=0.1, auto_decompress=False, lingering_time=0.1
        ) as at:
            try:
                yield gateway, at.url
            finally:
                gateway.forwarder.cut_off()
                await task


@asynccontextmanager
async def pushing(folder, finder=None, *, decide=None, **options):
    """Yield a gateway with a Loki behind it that answers as *decide* says."""
    async with (
        fake_loki(decide) as loki,
        sending(loki.url) as sender,
        running(folder, sender, finder, **options) as (gateway, url),
        aiohttp.ClientSession() as session,
    ):
        yield Pushing(gateway, url, session, loki)


def stream(labels, *lines, at=NOW, metadata=None):
    """Return a stream as it lies in a push request."""
    encoded = encode_metadata(metadata or {})
    return encode_stream(labels, b"".join(encode_entry(at + n, line, encoded) for n, line in enumerate(lines)))


def snappy(*streams):
    """Return a push as Promtail, Alloy and Vector send it."""
    return compress(b"".join(streams))

"""
How many events of a watch one core turns into records, beside `kubernetes_asyncio.watch` typed, in the same run.

The production path: a Watcher reads a chunked watch of 4 KB pods from a loopback socket and splits, decodes, compares,
redacts, finds the actor, makes the body, and hands Changes to a sink. The server is another process and only sends
bytes rendered before.

The value is events per CPU second of this process, user and system time together, the reading of the socket included:
what one core gives, also while other processes have their turns on it. (They still show: shared caches and memory make
a CPU second on a busy machine worth less, for both sides.) The two sides are measured in turns, and each one's figure
is the median of its rounds. In a round each pod comes forty times; the first time is as dear as in a real watch,
nothing of it is remembered.
"""

import asyncio
import contextlib
import gc
import http.server
import json
import multiprocessing
import os
import random
import socketserver
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import uvloop

from agent.kube.session import open_session
from agent.spool.marks import StreamMark
from agent.watch.keyring import Keyring
from agent.watch.kinds import PODS
from agent.watch.sharing import watch_tools
from agent.watch.watcher import Watcher
from kubescribe.kube.access import Access, NoCredentials
from kubescribe.runtime.loops import settle_garbage_collection
from kubescribe.wire.link import Grant
from kubescribe.wire.records import AnyRecord, Change

PODS_COUNT = 3_000
VARIANTS = 4
EVENTS = 120_000
BASELINE_EVENTS = 1_500
ROUNDS = 5


def run() -> list[dict[str, Any]]:
    """Run the bench, print its line, and return it."""
    with _server() as url:
        # In turns, and the median of each: a busy moment of the machine meets both sides alike.
        rounds = [(_records_per_second(url), _peer_events_per_second(url)) for _ in range(ROUNDS)]
    value, baseline = (statistics.median(side) for side in zip(*rounds, strict=True))
    line = {
        "name": "watch",
        "value": round(value),
        "unit": "events/s",
        "baseline": round(baseline),
        "ratio": round(value / baseline, 1),
    }
    print(json.dumps(line), flush=True)
    return [line]


class _CountingSink:
    """Takes what a spool would take, and ends the run when enough changes have come."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self.changes = 0
        self.done = asyncio.Event()
        self.started_at = 0.0
        self.ended_at = 0.0

    async def put(self, records: Sequence[AnyRecord], mark: StreamMark) -> None:  # noqa: ARG002 - a Sink
        if not self.changes:
            self.started_at = time.process_time()
            self._wanted += len(records)
        self.changes += sum(type(record) is Change for record in records)
        if self.changes >= self._wanted and not self.done.is_set():
            self.ended_at = time.process_time()
            self.done.set()


def _records_per_second(url: str) -> float:
    async def watch() -> float:
        # The first read warms up and is not counted.
        sink = _CountingSink(EVENTS - 5_000)
        async with open_session(Access(base_url=url, credentials=NoCredentials()), version="bench") as session:
            watcher = Watcher(PODS, None, watch_tools(session, sink, Keyring(key=b"bench")))
            watcher.granted(Grant(name=watcher.stream, term=1, epoch=1, resource_version=1))
            task = asyncio.create_task(watcher.run(), name="watcher")
            try:
                async with asyncio.timeout(60):
                    await sink.done.wait()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        return (EVENTS - 5_000) / (sink.ended_at - sink.started_at)

    # As every daemon runs; the peer gets back what a Python process has by itself.
    usual = gc.get_threshold()
    settle_garbage_collection()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(watch())
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)
        gc.collect()


def _peer_events_per_second(url: str) -> float:
    from kubernetes_asyncio import client, watch  # noqa: PLC0415 - the peer, only here

    async def stream() -> float:
        configuration = client.Configuration()
        configuration.host = url
        async with client.ApiClient(configuration) as api:
            events = 0
            started_at = time.process_time()
            # Closed with the block: a Watch opens a session of its own.
            async with watch.Watch() as peer:
                pods = client.CoreV1Api(api).list_pod_for_all_namespaces
                async for _ in peer.stream(pods, resource_version="1"):
                    events += 1
                    if events == 1:
                        started_at = time.process_time()
                    if events > BASELINE_EVENTS:
                        break
                ended_at = time.process_time()
            return BASELINE_EVENTS / (ended_at - started_at)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(stream())


# The server.


@contextlib.contextmanager
def _server() -> Iterator[str]:
    context = multiprocessing.get_context("spawn")
    port = context.Queue()
    process = context.Process(target=_serve, args=(port,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{port.get(timeout=60)}"
    finally:
        process.terminate()
        process.join(10)


def _serve(port: "multiprocessing.Queue[int]") -> None:
    blocks = list(_blocks())

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "watch=" not in self.path:
                body = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                for _ in range(EVENTS // (PODS_COUNT * VARIANTS)):
                    for block in blocks:
                        self.wfile.write(block)
                time.sleep(60)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 - the base's names
            return

    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True

    # A bench that is killed must not leave its server behind.
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with Server(("127.0.0.1", 0), Handler) as server:
        port.put(server.server_port)
        server.serve_forever()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(0)


def _blocks() -> Iterator[bytes]:
    """Yield the watch in writes of 64 events, each event a chunk of its own, as an API server flushes them."""
    draw = random.Random(1)
    specs = [_pod(draw, number) for number in range(PODS_COUNT)]
    pending = []
    version = 2
    for variant in range(VARIANTS):
        for number, pod in enumerate(specs):
            version += 1
            line = json.dumps({"type": "MODIFIED", "object": _with_status(pod, number, variant, version)})
            data = line.replace(": ", ":").replace(", ", ",").encode() + b"\n"
            pending.append(b"%x\r\n%b\r\n" % (len(data), data))
            if len(pending) == 64:
                yield b"".join(pending)
                pending = []
    yield b"".join(pending)


def _pod(draw: random.Random, number: int) -> dict[str, Any]:
    workload = f"service-{number // 10:03d}"
    suffix = f"{draw.getrandbits(40):x}"[:10]
    env: list[dict[str, Any]] = [{"name": f"SETTING_{index}", "value": f"value-{index}"} for index in range(6)]
    env.append({"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": workload, "key": "password"}}})
    env.append({"name": "API_TOKEN", "value": "0123456789"})
    container = {
        "name": workload,
        "image": f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/{workload}:1.4.{number % 7}",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": env,
        "resources": {"limits": {"memory": "512Mi"}, "requests": {"cpu": "250m", "memory": "512Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http", "scheme": "HTTP"}, "periodSeconds": 10},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": f"{workload}-{suffix}",
            "generateName": f"{workload}-",
            "namespace": f"team-{number % 20}",
            "uid": f"00000000-0000-4000-8000-{number:012d}",
            "resourceVersion": "0",
            "generation": 1,
            "creationTimestamp": "2026-11-01T10:00:00Z",
            "labels": {"app.kubernetes.io/name": workload, "pod-template-hash": suffix[:9]},
            "annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-01T09:59:58Z"},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": workload, "uid": suffix, "controller": True}
            ],
        },
        "spec": {
            "containers": [container],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": workload,
            "nodeName": f"ip-10-0-{number % 200}-7.eu-central-1.compute.internal",
            "schedulerName": "default-scheduler",
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
            "enableServiceLinks": True,
        },
    }


def _with_status(pod: dict[str, Any], number: int, variant: int, version: int) -> dict[str, Any]:
    since = f"2026-11-01T10:{variant:02d}:{number % 60:02d}Z"
    name = pod["spec"]["containers"][0]["name"]
    conditions = [
        {"type": kind, "status": str(variant % 2 == 0), "lastProbeTime": None, "lastTransitionTime": since}
        for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    status = {
        "phase": "Running",
        "conditions": conditions,
        "hostIP": "10.0.1.7",
        "podIP": f"10.1.{number % 250}.{variant}",
        "startTime": "2026-11-01T10:00:00Z",
        "containerStatuses": [
            {
                "name": name,
                "state": {"running": {"startedAt": since}},
                "lastState": {},
                "ready": variant % 2 == 0,
                "restartCount": variant,
                "image": pod["spec"]["containers"][0]["image"],
                "imageID": "sha256:" + "0f" * 32,
                "containerID": "containerd://" + "ab" * 32,
                "started": True,
            }
        ],
        "qosClass": "Burstable",
    }
    return {
        **pod,
        "metadata": {**pod["metadata"], "resourceVersion": str(version), "managedFields": _fields(name, since)},
        "status": status,
    }


def _fields(container: str, since: str) -> list[dict[str, Any]]:
    owned = ("image", "imagePullPolicy", "name", "resources", "terminationMessagePath", "terminationMessagePolicy")
    conditions: dict[str, Any] = {
        f'k:{{"type":"{kind}"}}': {
            ".": {},
            "f:lastProbeTime": {},
            "f:lastTransitionTime": {},
            "f:status": {},
            "f:type": {},
        }
        for kind in ("ContainersReady", "Initialized", "PodReadyToStartContainers", "Ready")
    }
    spec: dict[str, Any] = {f'k:{{"name":"{container}"}}': {".": {}, **{f"f:{name}": {} for name in owned}}}
    return [
        {
            "manager": "kube-controller-manager",
            "operation": "Update",
            "apiVersion": "v1",
            "time": "2026-11-01T10:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:generateName": {}, "f:labels": {".": {}, "f:app.kubernetes.io/name": {}}},
                "f:spec": {"f:containers": spec, "f:dnsPolicy": {}, "f:enableServiceLinks": {}, "f:restartPolicy": {}},
            },
        },
        {
            "manager": "kubelet",
            "operation": "Update",
            "apiVersion": "v1",
            "time": since,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:status": {"f:conditions": conditions, "f:containerStatuses": {}, "f:podIP": {}}},
            "subresource": "status",
        },
    ]


if __name__ == "__main__":
    run()

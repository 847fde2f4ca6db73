"""
`gateway`: how many lines a gateway takes and forwards for a second of CPU: bytes of a push in, 204, spool, push out.

A process with the gateway of the agent takes pushes as Promtail sends them (snappy protobuf, about 1 MiB, ten
containers each) over a socket, names them after pods that it knows, syncs them to disk, reads them back and gives them
to a sink. Counted is the CPU time of all its threads, everything included but the client and the first pushes, which
fill memory and caches. The baseline decodes the same pushes, adds the same labels and metadata and encodes them, with
google.protobuf and nothing else. On stderr: the same without metadata, the same as JSON with gzip, and the most memory
that the process held.
"""

import asyncio
import gzip
import http.client
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from aiohttp import web

from benchmarks.memory import peak_bytes
from kubescribe.gateway.config import GatewayConfig
from kubescribe.gateway.finding import PodFinder
from kubescribe.gateway.gateway import open_gateway
from kubescribe.gateway.messages import Push as PushMessage
from kubescribe.labels.clues import Clue
from kubescribe.labels.enriching import NodeFacts
from kubescribe.labels.pods import PodFacts
from kubescribe.loki.encoding import compress, encode_entry, encode_stream
from kubescribe.loki.pushes import Outcome, Push
from kubescribe.runtime.loops import run
from kubescribe.runtime.room import Room
from kubescribe.runtime.serving import serving
from kubescribe.runtime.values import HostPort

_PUSHES = 200
_PODS = 10
_LINES = 400
_START = 1_790_000_000_000_000_000
_WARM = 10
"""One of so many pushes warms up what is not counted then; that makes one or two hundredths."""


class Sink:
    """Takes every push at once."""

    def __init__(self) -> None:
        self.lines = 0

    async def submit(self, push: Push) -> "asyncio.Future[Outcome]":
        """Count *push*."""
        self.lines += push.count
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        done.set_result(Outcome(accepted=push.count))
        return done

    def withdraw(self, outcome: "asyncio.Future[Outcome]") -> bool:  # noqa: ARG002 - the protocol's
        """Give nothing back: all of it has arrived."""
        return False


class Pods:
    """Ten pods; without metadata they look as if nothing but their labels were known."""

    def __init__(self, *, metadata: bool) -> None:
        self._pods = {(pod.namespace, pod.name): pod for pod in map(pod_of, range(_PODS))}
        if not metadata:
            bare = {"name": "", "uid": "", "node": "", "images": {}, "labels": {"app.kubernetes.io/part-of": "shop"}}
            self._pods = {key: msgspec.structs.replace(pod, **bare) for key, pod in self._pods.items()}
        self._node = NodeFacts(cluster="prod", node="n1" * metadata, zone="eu-west-2a" * metadata)

    def find(self, clue: Clue, at: int = 0) -> PodFacts | None:  # noqa: ARG002 - the protocol's
        """Return the pod by its name."""
        return self._pods.get((clue.namespace, clue.pod))

    def node_of(self, _: PodFacts | None) -> NodeFacts:
        """Return the node."""
        return self._node


def pod_of(number: int) -> PodFacts:
    """Return one of the pods."""
    return PodFacts(
        namespace="shop",
        name=f"web-{number}-6d4cf56db6-x7k2p",
        uid=f"0a1b2c3d-0000-4000-8000-{number:012d}",
        node="ip-10-0-1-7.eu-west-2.compute.internal",
        owner_kind="StatefulSet",
        owner_name=f"web-{number}",
        labels={"app.kubernetes.io/part-of": "storefront", "controller-revision-hash": f"web-{number}-6d4cf56db6"},
        images={"app": "registry.example.org/shop/web:1.27.3"},
    )


def labels_of(number: int) -> str:
    """Return the labels that Promtail sends of a pod."""
    pod = pod_of(number)
    return (
        f'{{app="web-{number}", container="app", filename="/var/log/pods/shop_{pod.name}_{pod.uid}/app/0.log",'
        f' job="shop/web", namespace="shop", node_name="n1", pod="{pod.name}", stream="stdout"}}'
    )


def line_of(rng: random.Random) -> bytes:
    """Return a line of about 260 bytes, as an application writes it."""
    return (
        f'level=info msg="handled request" method={rng.choice(("GET", "POST", "PUT"))} status=200'
        f" path=/api/v1/carts/{rng.randrange(10**8)}/items user={rng.randrange(10**6)} duration={rng.random():.6f}s"
        f" trace={rng.getrandbits(128):032x} upstream=10.0.{rng.randrange(256)}.{rng.randrange(256)}:8080"
        f' bytes={rng.randrange(10**5)} agent="Mozilla/5.0 (X11; Linux x86_64)"'
    ).encode()


def requests() -> list[bytes]:
    """Return the pushes, not compressed; each has entries and times of its own."""
    rng = random.Random(5)
    lines = [line_of(rng) for _ in range(4096)]
    made = []
    for push in range(_PUSHES):
        at = _START + push * 10**9
        made.append(
            b"".join(
                encode_stream(
                    labels_of(pod),
                    b"".join(encode_entry(at + n * 10**5, rng.choice(lines)) for n in range(_LINES)),
                )
                for pod in range(_PODS)
            )
        )
    return made


def as_json(request: bytes) -> bytes:
    """Return a push as Fluentd sends it."""
    streams = []
    for number, stream in enumerate(PushMessage.FromString(request).streams):
        labels = {"namespace": "shop", "pod": pod_of(number).name, "container": "app"}
        values = [[str(one.time.seconds * 10**9 + one.time.nanos), one.line] for one in stream.entries]
        streams.append({"stream": labels, "values": values})
    return gzip.compress(json.dumps({"streams": streams}).encode(), 1)


async def serve(folder: Path, *, metadata: bool) -> None:
    """Run a gateway, print its port, and answer at /lines how many went out."""
    sink, finder = Sink(), Pods(metadata=metadata)
    checked: PodFinder = finder
    opening = open_gateway(GatewayConfig(), folder, sink, checked, room=lambda _: Room(1.0, 1.0))
    async with opening as gateway:
        app = web.Application()
        for method, path, handler in gateway.routes:
            app.router.add_route(method, path, handler)

        async def lines(_: web.Request) -> web.Response:
            return web.Response(text=str(sink.lines))

        app.router.add_get("/lines", lines)
        async with serving(app, HostPort("127.0.0.1", 0), option="bench", auto_decompress=False) as at:
            print(at.port, flush=True)
            await gateway.part.run()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that the threads of a process took so far; its ticks of 10 ms would be too coarse."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def through_the_gateway(bodies: Sequence[bytes], headers: dict[str, str], *, metadata: bool) -> tuple[float, int]:
    """Return the lines for a CPU second, and the most bytes that the process held."""
    warm = len(bodies) // _WARM
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.gateway", "serve", folder, "metadata" if metadata else ""]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
            try:
                port = int(gateway.stdout.readline()) if gateway.stdout else 0
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                _through(client, bodies[:warm], headers, before=0)
                started = cpu_seconds(gateway.pid)
                lines = _through(client, bodies[warm:], headers, before=warm * _PODS * _LINES)
                return lines / (cpu_seconds(gateway.pid) - started), peak_bytes(gateway.pid)
            finally:
                gateway.kill()


def _through(
    client: http.client.HTTPConnection, bodies: Sequence[bytes], headers: dict[str, str], *, before: int
) -> int:
    """Push *bodies*, wait until all of them came out behind the lines *before*, and return how many lines that is."""
    for body in bodies:
        client.request("POST", "/loki/api/v1/push", body, headers)
        answer = client.getresponse()
        said = answer.read()
        if answer.status != 204:
            raise RuntimeError(f"{answer.status}: {said[:200]!r}")
    lines = len(bodies) * _PODS * _LINES
    deadline = time.monotonic() + 60
    while (out := _lines(client)) < before + lines:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{before + lines} lines were pushed, {out} came out")
        time.sleep(0.02)
    return lines


def _lines(client: http.client.HTTPConnection) -> int:
    client.request("GET", "/lines")
    return int(client.getresponse().read())


def decoded_and_encoded(requests_: Sequence[bytes]) -> float:
    """Return the lines for a CPU second of google.protobuf alone."""
    ours = {"workload": "web", "workload_kind": "StatefulSet", "application": "storefront", "cluster": "prod"}
    metadata = {
        "pod_uid": "0a1b2c3d-0000-4000-8000-000000000000",
        "node": "n1",
        "zone": "z1",
        "revision": "r",
        "x": "y",
    }
    started = time.process_time()
    for request in requests_:
        message = PushMessage.FromString(request)
        for stream in message.streams:
            stream.labels = stream.labels[:-1] + "".join(f', {name}="{value}"' for name, value in ours.items()) + "}"
            for entry in stream.entries:
                for name, value in metadata.items():
                    entry.metadata.add(name=name, value=value)
        compress(message.SerializeToString())
    return len(requests_) * _PODS * _LINES / (time.process_time() - started)


def main() -> None:
    """Print the result."""
    plain = requests()
    snappy = [compress(request) for request in plain]
    headers = {"Content-Type": "application/x-protobuf", "User-Agent": "promtail/3.5.1"}
    value, peak = through_the_gateway(snappy, headers, metadata=True)
    bare, _ = through_the_gateway(snappy, headers, metadata=False)
    as_fluentd = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    of_json, _ = through_the_gateway([as_json(request) for request in plain[:20]], as_fluentd, metadata=True)
    each = sum(map(len, plain)) / (_PUSHES * _PODS * _LINES)
    print(
        f"gateway: labels alone {bare:,.0f} lines/CPU s, JSON with gzip {of_json:,.0f}; {each:.0f} bytes a line,"
        f" peak {peak / 1e6:.0f} MB",
        file=sys.stderr,
    )
    baseline = decoded_and_encoded(plain[:10])
    result = {"name": "gateway", "value": round(value), "unit": "lines/CPU s", "baseline": round(baseline)}
    print(json.dumps({**result, "ratio": round(value / baseline, 2)}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        run(serve(Path(sys.argv[2]), metadata=bool(sys.argv[3])))
    else:
        main()

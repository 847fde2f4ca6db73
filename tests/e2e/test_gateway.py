"""Shippers push through a node's agent and through the aggregator to a strict Loki; processes are killed meanwhile."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kubescribe.loki.encoding import compress, encode_entry, encode_stream
from tests.e2e.checkout import deploy, entries
from tests.e2e.processes import ANYWHERE, Answer, Cluster, Process, Rig, ask, eventually, pretend_cluster, running
from tests.ports import free_port

pytestmark = pytest.mark.timeout(120)

TOKEN = "s3cret-of-shippers"


class Stage:
    """One node with an agent that has a gateway, an aggregator with another one, and a stand-in for Loki."""

    def __init__(self, folder: Path, cluster: Cluster, serving: Process, loki: str) -> None:
        self.folder, self.cluster, self.loki = folder, cluster, loki
        self.aggregator = serving
        self.rig = Rig(cluster, serving, serving, folder)
        self.token_file = folder / "tokens"
        self.token_file.write_text(f"shippers:{TOKEN}\n")
        self.lives = 0

    def agent(self) -> Any:
        self.lives += 1
        return running(
            "agent",
            self.folder / f"life-{self.lives}",
            *("--data", str(self.folder / "agent"), "--kubeconfig", str(self.cluster.kubeconfig)),
            *("--metrics", "127.0.0.1:0", "--aggregator", self.aggregator.said["ingest"]),
            *("--spool-free-floor", "0%", "--scope", "node", "--node", "node-a", "--cluster", "prod"),
            # Nobody here tells the aggregator of Nodes.
            *(
                "--logs-first-hold",
                "0s",
                "--loki",
                self.loki,
                "--gateway",
                "127.0.0.1:0",
                "--gateway-token-file",
                str(self.token_file),
            ),
        )

    def stored(self, query: str) -> list[tuple[dict[str, str], str]]:
        return entries(self.loki, query)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("gateway")
    port = free_port()
    loki = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        cluster = stack.enter_context(pretend_cluster(folder / "cluster", "--quiet", "--loki-port", str(port)))
        serving = stack.enter_context(
            running("aggregator", folder, "--data", str(folder / "journal"), "--loki", loki, *ANYWHERE)
        )
        yield Stage(folder, cluster, serving, loki)


def snappy(pod: str, *lines: str) -> bytes:
    at = time.time_ns()
    entries = b"".join(encode_entry(at + number, line.encode()) for number, line in enumerate(lines))
    return compress(encode_stream(f'{{job="shop/checkout", namespace="default", pod="{pod}"}}', entries))


def push(url: str, body: bytes, **headers: str) -> Answer:
    return ask(f"{url}/loki/api/v1/push", method="POST", body=body, **headers)


def bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


def gateway_of(process: Process) -> str:
    (listening,) = eventually(lambda: process.events("gateway.listening"), lambda: process.log[-2000:])
    url: str = listening["url"]
    return url


def check_credentials(process: Process) -> None:
    """A token comes in either way, no page gets in, and all of it is counted."""
    basic = base64.b64encode(f"anybody:{TOKEN}".encode()).decode()
    url = gateway_of(process)
    body = compress(encode_stream('{job="tokens"}', encode_entry(time.time_ns(), b"x")))

    assert push(url, body, Authorization=f"Basic {basic}").status == 204
    assert push(url, body, Authorization="Bearer wrong").status == 401
    assert push(url, body).status == 401
    assert push(url, body, Origin="http://evil", **bearer()).status == 403
    assert push(url, b"nonsense", **bearer()).status == 400
    text = ask(process.said["metrics"] + "/metrics").body.decode()
    for code, count in ((204, 1), (400, 1), (401, 2), (403, 1)):
        assert f'kubescribe_gateway_requests_total{{code="{code}"}} {count}.0' in text


async def test_a_shipper_on_the_node_pushes_through_its_agent_that_is_killed(stage: Stage) -> None:
    async with stage.cluster.control() as control:
        await control.create("nodes", {"metadata": {"name": "node-a"}, "spec": {}, "status": {}})
    pod = (await deploy(stage.cluster, "aaaaa"))["name"]
    with stage.agent() as process:
        url = gateway_of(process)
        eventually(lambda: ask(f"{url}/ready", **bearer()).status == 200, lambda: process.log[-2000:])
        for number in range(20):
            assert push(url, snappy(pod, f"line {number}"), **bearer()).status == 204
        process.popen.kill()
        process.popen.wait()
    with stage.agent() as process:
        eventually(lambda: len(stage.stored('{job="shop/checkout"}')) >= 20, lambda: process.log[-2000:])
        check_credentials(process)
        assert process.end() == 0

    # The very first one has its pod's name, too.
    named = stage.stored('{workload="checkout", job="shop/checkout"}')
    assert sorted(line for _, line in named) == sorted(f"line {number}" for number in range(20))
    ((labels, _), *_) = named
    assert labels["cluster"] == "prod"
    assert labels["pod"] == pod


async def test_a_shipper_anywhere_pushes_through_the_aggregator_also_for_a_pod_that_is_gone(stage: Stage) -> None:
    pod = (await deploy(stage.cluster, "bbbbb"))["name"]
    with stage.agent():
        eventually(lambda: stage.rig.objects(f"kind=Pod&name={pod}"))
        async with stage.cluster.control() as control:
            await control.delete("pods", "default", pod)
        eventually(lambda: not stage.rig.objects(f"kind=Pod&name={pod}"))
    words = "last words " + "x" * 100_000
    values = [[str(time.time_ns()), words]]
    labels = {"kubernetes_namespace_name": "default", "kubernetes_pod_name": pod, "job": "fluentbit"}
    body = json.dumps({"streams": [{"stream": labels, "values": values}]}).encode()

    answer = push(stage.aggregator.said["ingest"], body, **{"Content-Type": "application/json"})

    assert answer.status == 204
    ((found, line),) = eventually(lambda: stage.stored('{job="fluentbit"}'), lambda: stage.aggregator.log[-2000:])
    assert line == words
    assert found["workload"] == "checkout"
    assert found["workload_kind"] == "Deployment"

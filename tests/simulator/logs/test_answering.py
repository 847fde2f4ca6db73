"""`pods/log` of the pretend cluster answers as a real one does."""

import asyncio
import json

import aiohttp
import pytest

from simulator.app import opened
from simulator.logs.folder import LogFolder
from simulator.logs.podlogs import PodLogs
from simulator.logs.writer import ContainerLog, LogOf
from simulator.settings import SimulatorSettings

POD = "/api/v1/namespaces/shop/pods/web-0/log"


class Cluster:
    """A pretend cluster with one pod on a node, whose status and log the test writes."""

    def __init__(self, simulator, session, root):
        self.etcd = simulator.etcd
        self.session = session
        self.url = simulator.url
        self.root = root
        self.uid = self.etcd.create("pods", self.pod(), manager="test")["metadata"]["uid"]
        self.log = ContainerLog(root, LogOf(namespace="shop", pod="web-0", uid=self.uid, container="app"))

    @staticmethod
    def pod():
        containers = [{"name": "app", "image": "x/app:1.0"}]
        return {
            "metadata": {"name": "web-0", "namespace": "shop", "labels": {"app.kubernetes.io/name": "web"}},
            "spec": {"containers": containers, "nodeName": "node-1"},
        }

    def report(self, state, *, restarts=0, last_state=None, name="app"):
        pod = self.etcd.get("pods", "shop", "web-0")
        status = {"name": name, "state": state, "lastState": last_state or {}, "restartCount": restarts}
        pod["status"] = {"phase": "Running", "containerStatuses": [status]}
        self.etcd.update("pods", pod, manager="test", subresource="status")
        self.etcd.flush()

    async def get(self, **query):
        async with self.session.get(self.url + POD, params=query) as response:
            text = await response.text()
            return text if response.status == 200 else (response.status, json.loads(text)["message"])


@pytest.fixture
async def cluster(tmp_path):
    settings = SimulatorSettings(quiet=True, token="t0ken", logs=tmp_path / "logs")
    async with (
        opened(settings) as simulator,
        aiohttp.ClientSession(headers={"Authorization": "Bearer t0ken"}) as session,
    ):
        cluster = Cluster(simulator, session, tmp_path / "logs")
        yield cluster
        cluster.log.close()


RUNNING = {"running": {"startedAt": "2026-11-25T12:00:00Z"}}
ENDED = {"terminated": {"exitCode": 1, "reason": "Error"}}


async def test_lines_come_without_what_the_runtime_added(cluster):
    cluster.report(RUNNING)
    cluster.log.write(["one", "x" * 20_000])
    cluster.log.write(["three"], "stderr")

    assert await cluster.get() == "one\n" + "x" * 20_000 + "\nthree\n"
    assert await cluster.get(tailLines="1", container="app") == "three\n"
    assert await cluster.get(limitBytes="2") == "on"
    (first, *_, last) = (await cluster.get(timestamps="true")).splitlines()
    assert len(first.split(" ")[0]) == len("2026-11-25T12:00:00.000000000Z")
    assert last.endswith("Z three")
    assert await cluster.get(sinceTime="2100-01-01T00:00:00Z") == ""
    assert (await cluster.get(sinceSeconds="3600")).startswith("one\n")


async def test_an_older_generation_is_not_read(cluster):
    cluster.report(RUNNING)
    cluster.log.write(["one"])
    cluster.log.rotate()
    cluster.log.write(["two"])

    assert await cluster.get() == "two\n"


async def test_previous_is_the_instance_that_ended(cluster):
    cluster.report(RUNNING)
    cluster.log.write(["one"])
    assert await cluster.get(previous="true") == (
        400,
        'previous terminated container "app" in pod "web-0" not found',
    )

    cluster.report({"waiting": {"reason": "CrashLoopBackOff"}}, last_state=ENDED)
    assert await cluster.get() == await cluster.get(previous="true") == "one\n"

    cluster.log.restart()
    cluster.log.write(["two"])
    cluster.report(RUNNING, restarts=1, last_state=ENDED)
    assert await cluster.get() == "two\n"
    assert await cluster.get(previous="true") == "one\n"


async def test_followed_lines_come_until_the_container_ends(cluster):
    cluster.report(RUNNING)
    cluster.log.write(["one"])

    async with cluster.session.get(cluster.url + POD, params={"follow": "true"}) as response:
        async with asyncio.timeout(10):
            assert await response.content.readline() == b"one\n"
            cluster.log.write(["two"])
            assert await response.content.readline() == b"two\n"
            cluster.report(ENDED)
            assert await response.content.read() == b""


async def test_what_cannot_be_told_is_refused_in_the_servers_words(cluster):
    cluster.report({"waiting": {"reason": "ContainerCreating"}})

    assert await cluster.get() == (400, 'container "app" in pod "web-0" is waiting to start: ContainerCreating')
    assert await cluster.get(container="db") == (400, "container db is not valid for pod web-0")
    cluster.etcd.delete("pods", "shop", "web-0")
    assert await cluster.get() == (404, 'pods "web-0" not found')


async def test_the_log_files_of_the_pretend_cluster_are_what_is_read(cluster):
    cluster.report(RUNNING)
    logs = PodLogs(cluster.etcd, LogFolder(cluster.root, by_node=False))

    logs.open()

    assert "starting web" in await cluster.get()

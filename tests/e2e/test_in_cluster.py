"""A node's agent in a pod: the service account's files, TLS, one connection, and no large client library."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import in_pod
from tests.e2e.processes import ANYWHERE, TOKEN, ask, environment, eventually, pretend_cluster, running

pytestmark = pytest.mark.timeout(90)

AGENT = """
import asyncio, os, sys
from pathlib import Path
from agent.config import AgentConfig
from kubescribe.kube.access import in_cluster_access
from kubescribe.cli.roles import ROLES
from kubescribe.runtime.settings import build
from kubescribe.runtime.values import HostPort

account, data, aggregator = sys.argv[1:]
run, _ = ROLES["agent"].entry()
given = {"scope": "node", "node": "node-1", "data": Path(data), "aggregator": aggregator, "spool.freeFloor": 0.0}
config = build(AgentConfig, {**given, "metrics": HostPort("127.0.0.1", 0)})

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    await run(config, stop, access=in_cluster_access(os.environ, Path(account)))

asyncio.run(main())
print("imported:", "kubernetes_asyncio" in sys.modules)
"""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    return in_pod.make_account(tmp_path_factory.mktemp("account"), TOKEN)


async def test_it_needs_no_client_library_and_keeps_one_connection(tmp_path: Path, account: Path) -> None:
    with (
        pretend_cluster(tmp_path / "cluster", "--quiet") as cluster,
        running("aggregator", tmp_path, "--data", str(tmp_path / "journal"), *ANYWHERE) as aggregator,
    ):
        async with in_pod.pod(account, cluster.url) as pod:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", AGENT, str(account), str(tmp_path / "agent"), aggregator.said["ingest"]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(KUBERNETES_SERVICE_HOST="127.0.0.1", KUBERNETES_SERVICE_PORT=str(pod.port)),
                cwd=Path(__file__).parents[2],
            )
            agents = aggregator.said["http"].rstrip("/") + "/api/v1/agents"

            def is_live() -> bool:
                items = ask(agents).json()["items"]
                return [(it["name"], it["state"]) for item in items for it in item["streams"]] == [
                    ("pods/node=node-1", "live")
                ]

            try:
                await asyncio.to_thread(eventually, is_live, lambda: ask(agents).body)
                # That of its first list was closed with it.
                await asyncio.to_thread(eventually, lambda: pod.connections.open == 1, lambda: pod.connections)
            finally:
                said, _ = await process.communicate(b"end\n")

    assert process.returncode == 0
    assert said.decode().splitlines()[-1] == "imported: False"

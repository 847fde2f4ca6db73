"""A node's agent in a pod: the service account's files, TLS, one connection, and no large client library."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

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
    """Return what the kubelet mounts, and beside it the API server's key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("account")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=kube-apiserver", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "ca.crt")]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    (folder / "token").write_text(TOKEN)
    (folder / "namespace").write_text("kubescribe")
    return folder


@asynccontextmanager
async def with_tls(url: str, account: Path, connections: list[int]) -> AsyncIterator[int]:
    """Serve what is at *url* with TLS; yield the port. *connections* holds how many are open."""
    host, port = url.removeprefix("http://").split(":")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(account / "ca.crt", account / "key")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(2**16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[0] += 1
        behind_reader, behind_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, behind_writer), pump(behind_reader, writer))
        for each in (writer, behind_writer):
            with contextlib.suppress(OSError):
                await each.wait_closed()
        connections[0] -= 1

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        async with asyncio.timeout(10):
            while connections[0]:
                await asyncio.sleep(0.01)


async def test_it_needs_no_client_library_and_keeps_one_connection(tmp_path: Path, account: Path) -> None:
    connections = [0]
    with (
        pretend_cluster(tmp_path / "cluster", "--quiet") as cluster,
        running("aggregator", tmp_path, "--data", str(tmp_path / "journal"), *ANYWHERE) as aggregator,
    ):
        async with with_tls(cluster.url, account, connections) as port:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", AGENT, str(account), str(tmp_path / "agent"), aggregator.said["ingest"]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(KUBERNETES_SERVICE_HOST="127.0.0.1", KUBERNETES_SERVICE_PORT=str(port)),
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
                await asyncio.to_thread(eventually, lambda: connections[0] == 1, lambda: connections)
            finally:
                said, _ = await process.communicate(b"end\n")

    assert process.returncode == 0
    assert said.decode().splitlines()[-1] == "imported: False"

"""
`kubescribe agent` as it runs in a pod: the service account's files, TLS to the API server, and no kubeconfig.

The command is the real one; only the place where the kubelet mounts the files is another.
"""

import asyncio
import contextlib
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import daemons

COMMAND = (
    sys.executable,
    "-c",
    """
import sys
from pathlib import Path
from kubescribe.kube import account
account.SERVICE_ACCOUNT = Path(sys.argv.pop(1))
from kubescribe.cli.main import main
sys.exit(main())
""",
)
"""Takes the account's folder, then what `kubescribe` takes."""


@dataclass(slots=True)
class Connections:
    """How many connections are open."""

    open: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What a pod is given: the folder of its account, and the port at which the API server is on 127.0.0.1."""

    account: Path
    port: int
    connections: Connections = field(default_factory=Connections)

    def environment(self) -> dict[str, str]:
        """Return the variables of a process in the pod."""
        inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        service = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port)}
        return {**inherited, **service, "HOME": "/nonexistent"}


def make_account(folder: Path, token: str) -> Path:
    """Write what the kubelet mounts, and beside it the API server's key; needs openssl. Return *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    request = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    names = ("-subj", "/CN=kube-apiserver", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(folder / "key"), "-out", str(folder / "ca.crt"))
    subprocess.run(["openssl", *request, *names, *files], check=True, capture_output=True)
    (folder / "token").write_text(token)
    (folder / "namespace").write_text("kubescribe")
    return folder


@asynccontextmanager
async def pod(account: Path, url: str) -> AsyncIterator[Pod]:
    """Serve the API server at *url* with TLS, by the certificate in *account*, while the block runs."""
    host, port = url.removeprefix("http://").split(":")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(account / "ca.crt", account / "key")
    connections = Connections()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(2**16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.open += 1
        behind_reader, behind_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, behind_writer), pump(behind_reader, writer))
        for each in (writer, behind_writer):
            with contextlib.suppress(OSError):
                await each.wait_closed()
        connections.open -= 1

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield Pod(account=account, port=server.sockets[0].getsockname()[1], connections=connections)
    finally:
        server.close()
        async with asyncio.timeout(10):
            while connections.open:
                await asyncio.sleep(0.01)


def agent(folder: Path, pod: Pod, *, ingest: str, options: Sequence[str] = ()) -> daemons.Daemon:
    """Return an agent in *pod* with its spool in *folder*, not started."""
    return daemons.Daemon(
        "agent",
        folder,
        [
            *("--data", str(folder / "data"), "--aggregator", ingest),
            *("--metrics", "127.0.0.1:0", "--spool-free-floor", "0", *options),
        ],
        ready="agent.watching",
        command=(*COMMAND, str(pod.account)),
        environ=pod.environment(),
    )

"""A role that cannot start: one line on stderr that says what and what to do, exit code 2, and nothing else."""

import shutil
import socket
import socketserver
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from tests.e2e.processes import ANYWHERE, Cluster, ended, pretend_cluster, remount, running, small_disk


def refused(*words: str) -> str:
    """Run the command; return its one line."""
    done = ended(*words)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.splitlines()
    prefix = f"kubescribe {words[0]}: "
    assert line.startswith(prefix)
    assert len(line) < 500
    return line.removeprefix(prefix)


def both_refused(tmp_path: Path, kubeconfig: Path, *options: str) -> str:
    """Return the line that agent and up agree on."""
    with ThreadPoolExecutor(2) as pool:
        agent = pool.submit(
            refused, "agent", "--kubeconfig", str(kubeconfig), "--data", str(tmp_path / "agent"), *options
        )
        up = pool.submit(
            refused, "up", "--kubeconfig", str(kubeconfig), "--data", str(tmp_path / "up"), *ANYWHERE, *options
        )
    assert agent.result() == up.result()
    return up.result()


def kubeconfig(path: Path, server: object = "https://127.0.0.1:1", **more: object) -> Path:
    """Write one whose parts may be replaced."""
    tree = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path.write_text(yaml.safe_dump({name: value for name, value in {**tree, **more}.items() if value is not None}))
    return path


def plugin(command: str) -> list[object]:
    version = "client.authentication.k8s.io/v1beta1"
    return [{"name": "u", "user": {"exec": {"apiVersion": version, "command": command, "interactiveMode": "Never"}}}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist: name one with --kubeconfig or KUBECONFIG, or try --simulate"),
        (b"}{", "is not YAML"),
        (b"\xff\xfe\x00nonsense", "is not YAML"),
        (b"just words", "is not a kubeconfig"),
        (b"", "is not a kubeconfig"),
    ],
)
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_bytes(content)

    assert said in refused("agent", "--kubeconfig", str(path), "--data", str(tmp_path / "agent"))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"current-context": None}, "has no current context: run `kubectl config use-context NAME`"),
        ({"current-context": "there"}, "does not define the context 'there'; it has: here"),
        ({"contexts": 5}, "its contexts are no list"),
        ({"users": []}, "names the user 'u', which it does not define"),
        ({"clusters": None}, "names the cluster 'c', which it does not define"),
        ({"server": 17}, "the server of its cluster is '17'; expected https://HOST:PORT"),
        ({"users": plugin("no-such-plugin")}, "'no-such-plugin' is not installed or not on PATH"),
        ({"users": plugin("false")}, "does 'false' work when run by hand?"),
    ],
)
def test_a_kubeconfig_that_cannot_be_followed(tmp_path: Path, parts: dict[str, object], said: str) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", **parts)

    assert said in refused("agent", "--kubeconfig", str(path), "--data", str(tmp_path / "agent"))


class Babble(socketserver.BaseRequestHandler):
    """Speaks no TLS and no HTTP."""

    def handle(self) -> None:
        self.request.recv(1024)
        self.request.sendall(b"220 mail.example.org ESMTP\r\n")


class Silence(socketserver.BaseRequestHandler):
    """Takes what is said and says nothing; notes for how many seconds each caller waited."""

    waits: ClassVar[list[float]] = []

    def handle(self) -> None:
        began = time.monotonic()
        with suppress(ConnectionError):
            while self.request.recv(1024):
                pass
        self.waits.append(time.monotonic() - began)


@contextmanager
def babbling(manners: type[socketserver.BaseRequestHandler] = Babble) -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), manners) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_an_api_server_that_is_not_there(tmp_path: Path) -> None:
    line = both_refused(tmp_path, kubeconfig(tmp_path / "kubeconfig"))

    assert "https://127.0.0.1:1 does not answer" in line
    assert "is the cluster up, the network (VPN) on, and the context the right one?" in line


def test_a_port_that_speaks_something_else(tmp_path: Path) -> None:
    """Neither TLS nor HTTP."""
    with babbling() as port, ThreadPoolExecutor(2) as pool:
        servers = [f"{scheme}://127.0.0.1:{port}" for scheme in ("http", "https")]
        files = [kubeconfig(tmp_path / f"kubeconfig-{at}", server) for at, server in enumerate(servers)]
        lines = list(
            pool.map(lambda file: refused("agent", "--kubeconfig", str(file), "--data", f"{file}-data"), files)
        )

    for server, line in zip(servers, lines, strict=True):
        assert f"{server} does not answer" in line


def test_a_server_that_takes_the_connection_and_says_nothing(tmp_path: Path) -> None:
    """Before TLS or behind it: whoever waits for the command is told within some ten seconds."""
    noting = type("Noting", (Silence,), {"waits": []})
    with babbling(noting) as port, ThreadPoolExecutor(2) as pool:
        plain, encrypted = pool.map(
            lambda scheme: both_refused(
                tmp_path / scheme, kubeconfig(tmp_path / f"kubeconfig-{scheme}", f"{scheme}://127.0.0.1:{port}")
            ),
            ("http", "https"),
        )

    for scheme, line in (("http", plain), ("https", encrypted)):
        assert (
            f"{scheme}://127.0.0.1:{port} does not answer: get namespaces: no answer within 10.0 s; is the cluster"
            in line
        )
    # As the server saw it: how long a process takes to start is the machine's. TLS alone would wait for 60 s.
    assert len(noting.waits) == 4
    assert max(noting.waits) < 40


def test_an_agent_that_knows_its_cluster_does_not_wait_for_a_silent_server(tmp_path: Path, used: Path) -> None:
    """What it spooled must reach the aggregator all the same; the server is asked again and again."""
    (folder,) = (used / "clusters").iterdir()
    shutil.copytree(folder / "spool", tmp_path / "agent" / "spool")
    with babbling(Silence) as port:
        watched = ("--kubeconfig", str(kubeconfig(tmp_path / "kubeconfig", f"http://127.0.0.1:{port}")))
        with running("agent", tmp_path, "--data", str(tmp_path / "agent"), *watched, "--metrics", "127.0.0.1:0") as it:
            (blind,) = it.events("agent.started_blind")
            assert "no answer within 10.0 s" in blind["error"]
            assert it.ready()["reason"] == "the API server has not told its kinds yet"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pretend_cluster(tmp_path_factory.mktemp("cluster"), "--quiet") as it:
        yield it


def test_credentials_that_are_not_known(tmp_path: Path, cluster: Cluster) -> None:
    line = both_refused(tmp_path, kubeconfig(tmp_path / "kubeconfig", cluster.url))

    assert "answered 401 Unauthorized: the credentials are expired or unknown; log in again" in line


async def test_credentials_that_may_not(tmp_path: Path, cluster: Cluster) -> None:
    async with cluster.control() as control:
        await control.verb("forbid", resource="namespaces", verb="get")
        try:
            line = both_refused(tmp_path, cluster.kubeconfig)
        finally:
            await control.verb("forbid", resource="namespaces", verb="get", on=False)

    assert "answered 403 Forbidden: grant `get` on the namespace kube-system" in line


def test_a_kind_that_is_never_watched(tmp_path: Path, cluster: Cluster) -> None:
    line = both_refused(tmp_path, cluster.kubeconfig, "--watch-kinds", "batch/v1/Job, core/v1/Secret")

    assert line == "watch.kinds: Secrets are never watched"


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("option", ["--http", "--ingest", "--metrics"])
def test_a_port_in_use(tmp_path: Path, cluster: Cluster, taken: str, option: str) -> None:
    said = f"{option} {taken}: the port is in use; end the process that has it or choose another one"
    words = [*ANYWHERE, option, taken]
    watched = ["--kubeconfig", str(cluster.kubeconfig)]

    if option == "--metrics":
        assert refused("agent", "--data", str(tmp_path), *watched, option, taken) == said
    else:
        assert refused("aggregator", "--data", str(tmp_path), *words) == said
    if option == "--http":
        assert refused("up", "--data", str(tmp_path), *watched, *words) == said


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Path:
    """Return the data folder of an `up` that ran and stopped."""
    folder = tmp_path_factory.mktemp("used")
    with running("up", folder, "--data", str(folder), "--kubeconfig", str(cluster.kubeconfig), *ANYWHERE) as up:
        assert up.end() == 0
    return folder


def journal_in(folder: Path) -> Path:
    (journal,) = folder.glob("clusters/*/journal.db")
    return journal


def change(journal: Path, sql: str) -> None:
    with closing(sqlite3.connect(journal, isolation_level=None)) as connection:
        connection.execute(sql)


def test_a_journal_that_cannot_serve(tmp_path: Path, used: Path, cluster: Cluster) -> None:
    """Each is left as it was, byte for byte."""

    def no_sqlite(path: Path) -> None:
        path.write_bytes(b"a diary, but not ours\n" * 100)

    def not_ours(path: Path) -> None:
        change(path, "CREATE TABLE recipes (name TEXT)")

    def newer(path: Path) -> None:
        shutil.copy(journal_in(used), path)
        change(path, "PRAGMA user_version = 9000")

    def cut(path: Path) -> None:
        path.write_bytes(journal_in(used).read_bytes()[:20_000])

    def scribbled(path: Path) -> None:
        data = bytearray(journal_in(used).read_bytes())
        data[4096:-4096] = b"\x5a" * (len(data) - 8192)
        path.write_bytes(data)

    def a_folder(path: Path) -> None:
        path.mkdir()

    cases = {
        no_sqlite: "is not an SQLite file, so it is no journal; name another file with --store or --data",
        not_ours: "is an SQLite file, but not a kubescribe journal; name another file",
        newer: "was written by a newer kubescribe (schema 9000, this one knows ",
        cut: "is damaged",
        scribbled: "is damaged",
        a_folder: "Is a directory; name another file with --store or --data",
    }

    def attempt(make: object, said: str) -> None:
        folder = tmp_path / make.__name__
        folder.mkdir()
        make(folder / "journal.db")
        before = (folder / "journal.db").read_bytes() if make is not a_folder else b""
        line = refused("aggregator", "--data", str(folder), *ANYWHERE)
        assert said in line, make.__name__
        assert str(folder / "journal.db") in line
        if make is not a_folder:
            assert (folder / "journal.db").read_bytes() == before, make.__name__

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(attempt, cases.keys(), cases.values()))


def test_a_folder_that_belongs_to_another_cluster(tmp_path: Path, used: Path, cluster: Cluster) -> None:
    for name, break_it, said in (
        ("journal", _marry, "is of another cluster (other, not "),
        ("spool", _rename_cluster, "holds records of cluster 00000000-0000-0000-0000-000000000000, not of "),
    ):
        folder = tmp_path / name
        shutil.copytree(used, folder)
        break_it(folder)
        assert said in refused("up", "--data", str(folder), "--kubeconfig", str(cluster.kubeconfig), *ANYWHERE)


def _marry(folder: Path) -> None:
    change(journal_in(folder), "UPDATE meta SET value = 'other' WHERE name = 'cluster_uid'")


def _rename_cluster(folder: Path) -> None:
    (identity,) = folder.glob("clusters/*/spool/spool.json")
    uid = identity.parents[1].name
    identity.write_text(identity.read_text().replace(uid, "00000000-0000-0000-0000-000000000000"))


def test_data_that_is_no_folder_to_write_in(tmp_path: Path, cluster: Cluster) -> None:
    (tmp_path / "file").write_text("")
    watched = ["--kubeconfig", str(cluster.kubeconfig)]

    def attempt(words: tuple[str, ...]) -> None:
        for place in (str(tmp_path / "file"), "/proc/kubescribe"):
            line = refused(*words, "--data", place)
            assert place in line
            assert "--data" in line

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(attempt, (("aggregator", *ANYWHERE), ("agent", *watched), ("up", *watched, *ANYWHERE))))


def test_a_disk_that_is_full(tmp_path: Path, cluster: Cluster) -> None:
    with small_disk(tmp_path / "disk", "16k") as disk:
        (disk / "filler").write_bytes(b"x" * 8192)
        for role in ("aggregator", "agent"):
            more = ANYWHERE if role == "aggregator" else ("--kubeconfig", str(cluster.kubeconfig))
            line = refused(role, "--data", str(disk / role), *more)
            assert "no space left" in line.lower()


def test_a_disk_that_is_read_only(tmp_path: Path, used: Path, cluster: Cluster) -> None:
    """With a journal and a spool on it, and without: one line, and nothing is changed."""
    (folder,) = (used / "clusters").iterdir()
    with small_disk(tmp_path / "disk", "64m") as disk:
        shutil.copytree(folder, disk / "used")
        (disk / "new").mkdir()
        remount(disk, "ro")
        for name in ("used", "new"):
            line = refused("aggregator", "--data", str(disk / name), *ANYWHERE)
            assert f"the journal {disk / name / 'journal.db'} cannot be opened: Read-only file system; it needs" in line
            line = refused("agent", "--data", str(disk / name), "--kubeconfig", str(cluster.kubeconfig))
            assert "read-only file system" in line.lower()
            assert str(disk / name) in line
        data = str(disk / "up")
        line = refused("up", "--data", data, "--kubeconfig", str(cluster.kubeconfig), *ANYWHERE)
        assert "cannot be opened: Read-only file system" in line
        assert (disk / "used" / "journal.db").read_bytes() == (folder / "journal.db").read_bytes()


def test_a_journal_or_a_spool_that_another_process_holds(tmp_path: Path, cluster: Cluster) -> None:
    watched = ["--kubeconfig", str(cluster.kubeconfig)]
    with running("up", tmp_path, "--data", str(tmp_path), *watched, *ANYWHERE) as up:
        (folder,) = tmp_path.glob("clusters/*")
        assert "in use by another process; stop it" in refused("up", "--data", str(tmp_path), *watched, *ANYWHERE)
        assert "in use by another process; stop it" in refused("aggregator", "--data", str(folder), *ANYWHERE)
        assert "another agent uses this folder; stop it" in refused("agent", "--data", str(folder), *watched)
        assert up.popen.poll() is None


def test_a_kubeconfig_that_cannot_be_written() -> None:
    line = refused("simulate", "--port", "0", "--pods", "1", "--write-kubeconfig", "/proc/nowhere/kubeconfig")

    assert line.startswith("--write-kubeconfig /proc/nowhere/kubeconfig: ")

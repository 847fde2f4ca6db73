"""
The command as an operator meets it, run as a process: what is printed where, and the exit code.

What ends before it does anything is forked (tests/nursery.py); the rest is started, and ends, as `python -m` does.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kubescribe.cli.roles import ROLES
from kubescribe.runtime.settings import table
from kubescribe.runtime.sources import is_injected
from tests.e2e.processes import ended

COMMAND = [sys.executable, "-m", "kubescribe.cli.main"]
ROOT = Path(__file__).parents[3]


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(ROOT)}


def started(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, timeout=60, env=environment(), check=False
    )


@pytest.mark.parametrize("name", ROLES)
def test_help_documents_every_setting(name: str) -> None:
    done = ended(name, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    for row in table(ROLES[name].settings):
        assert row.option in done.stdout
        assert row.declared.help.split()[0] in done.stdout


@pytest.mark.parametrize("name", ROLES)
def test_every_default_is_valid(name: str) -> None:
    done = ended(name, "--check-config")

    assert (done.returncode, done.stderr) == (0, "")
    for row in table(ROLES[name].settings):
        if row.default is not None and row.default not in ("", ()):
            assert row.declared.kind.parse(row.declared.kind.show(row.default)) == row.default


@pytest.mark.parametrize("name", ROLES)
def test_kubernetes_cannot_set_anything_by_accident(name: str) -> None:
    assert [row.variable for row in table(ROLES[name].settings) if row.variable and is_injected(row.variable)] == []


def test_without_a_role_the_roles_are_listed() -> None:
    done = ended("--help")

    assert done.returncode == 0
    assert all(name in done.stdout for name in ROLES)
    assert ended().returncode == 2
    assert re.fullmatch(r"kubescribe \S+\n", ended("--version").stdout)


def test_help_is_not_slowed_by_what_only_a_role_needs() -> None:
    program = (
        "import sys; from kubescribe.cli.main import main; code = main(['up', '--help']);"
        "heavy = {'kubernetes_asyncio', 'aiohttp', 'aiosqlite', 'structlog', 'uvloop', 'msgspec', 'yaml'};"
        "print(sorted(heavy & set(sys.modules)), code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=environment(), check=True
    )

    assert done.stdout.splitlines()[-1] == "[] 0"


def test_a_role_that_does_not_exist_is_one_line() -> None:
    done = ended("agnet")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "kubescribe: 'agnet' is no command; did you mean agent?\n"


def test_every_bad_setting_is_a_line_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("spool: {maxBytes: huge}\nlgo: {}\nlog: {levle: info}\n")

    done = ended(
        "agent", "--config", str(tmp_path / "c.yaml"), "--metrics", "here", "--check-config", KUBESCRIBE_SCOPE="mars"
    )

    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("kubescribe agent: ") for line in lines)
    assert "did you mean log.level?" in done.stderr


def test_variables_and_file_reach_the_settings(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("http: {basePath: /cluster-info}\n")

    done = ended(
        "aggregator",
        "--check-config",
        KUBESCRIBE_CONFIG=str(tmp_path / "c.yaml"),
        KUBESCRIBE_LOG_LEVEL="debug",
        KUBESCRIBE_SERVICE_HOST="10.0.0.1",
        KUBESCRIBE_PORT="tcp://10.0.0.1:8080",
        KUBESCRIBE_AGGREGATOR_PORT_8081_TCP_ADDR="10.0.0.1",
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "basePath: /cluster-info  # " in done.stdout
    assert "level: debug  # KUBESCRIBE_LOG_LEVEL" in done.stdout


@pytest.mark.parametrize("name", ["aggregator", "up"])
def test_an_address_that_others_reach_needs_a_credential(tmp_path: Path, name: str) -> None:
    (tmp_path / "tokens").write_text("secret\n")

    done = ended(name, "--http", ":8080", "--ingest", "0.0.0.0:8081", "--check-config")
    with_token = ended(
        name, "--http", ":8080", "--ingest", "0.0.0.0:8081", "--token-file", str(tmp_path / "tokens"), "--check-config"
    )

    assert done.returncode == 2
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["--http :8080", "--ingest 0.0.0.0:8081"]
    assert "--token-file" in done.stderr
    assert with_token.returncode == 0
    assert "secret" not in with_token.stdout.replace("secrets", "")


@pytest.mark.parametrize("words", [["up", "--help"], ["--version"]])
def test_output_into_a_closed_pipe_is_quiet(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            [*COMMAND, *words],
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=60,
            env=environment(),
            check=False,
        )

    assert done.stderr == b""


def simulate(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, "simulate", "--port", "0", "--log-format", "json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_an_ordered_and_quiet_end(tmp_path: Path, number: signal.Signals) -> None:
    with simulate("--write-kubeconfig", str(tmp_path / "kubeconfig"), "--pods", "2", "--nodes", "1") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "simulator.started" in line:
                break
        process.send_signal(number)
        rest = process.stderr.read()

        assert process.wait(30) == 0
    assert "Traceback" not in rest
    assert "process.stopped" in rest
    assert "server: http://127.0.0.1:" in (tmp_path / "kubeconfig").read_text()


def test_a_port_in_use_is_one_line_and_exit_code_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = ended("simulate", "--port", str(port), "--pods", "2", "--nodes", "1")

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"kubescribe simulate: --port {port}: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["agent", "--kubeconfig", "/nowhere"], "kubeconfig /nowhere does not exist"),
        (["up", "--kubeconfig", "/nowhere"], "kubeconfig /nowhere does not exist"),
        (["up", "--simulate", "--data", "/proc/nowhere"], "--data /proc/nowhere: "),
        (["aggregator", "--data", "/proc/nowhere", "--metrics", "127.0.0.1:0"], "/proc/nowhere/journal.db"),
    ],
)
def test_a_role_that_cannot_start_says_one_line_and_nothing_else(tmp_path: Path, words: list[str], said: str) -> None:
    more = [] if "--data" in words else ["--data", str(tmp_path)]
    done = started(*words, *more)

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert said in line

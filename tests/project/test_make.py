"""The targets do what `make help` says, as far as it can be tried without setting anything up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*words: str, folder: Path = ROOT, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=60, env={**os.environ, **environ}, check=False
    )


def test_make_alone_lists_the_targets() -> None:
    done = run("make")

    assert done.returncode == 0
    for target in (
        "demo",
        "test",
        "bench",
        "bench-agents",
        "soak",
        "fmt",
        "docs",
        "manifests",
        "dashboards",
        "pictures",
        "help",
    ):
        assert f"make {target} " in done.stdout


@pytest.mark.parametrize("script", ["scripts/set-up", "scripts/test-programs", ".ci/run"])
def test_the_scripts_are_executable_and_well_formed(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    assert run("bash", "-n", script).returncode == 0


def test_without_a_python_the_set_up_says_what_to_install(tmp_path: Path) -> None:
    for name in ("scripts/set-up", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "dirname", "cat", "cksum"):
        found = next(path for path in (Path("/usr/bin", tool), Path("/bin", tool)) if path.exists())
        (tools / tool).symlink_to(found)

    done = run(str(tools / "bash"), "scripts/set-up", folder=tmp_path, PATH=str(tools))

    assert done.returncode == 1
    assert "no Python 3.11 or newer found" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_the_versions_are_exact_and_nothing_of_this_machine() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]

    assert all(line.count("==") == 1 and "/" not in line for line in lines)


def bench(tmp_path: Path, body: str, limit: float = 20.0, *names: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "tried.py").write_text(body)
    program = (
        "import sys; from benchmarks.__main__ import main;"
        f"sys.exit(main({list(names)!r}, {{'tried': 'tried'}}, {limit!r}))"
    )
    return run(sys.executable, "-c", program, PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}")


def test_a_bench_prints_one_line_of_json(tmp_path: Path) -> None:
    line = {"name": "tried", "value": 1, "unit": "s", "baseline": 2, "ratio": 0.5}

    done = bench(tmp_path, f"print('noise'); print({json.dumps(json.dumps(line))})", 20.0, "tried")

    assert (done.returncode, json.loads(done.stdout)) == (0, line)


@pytest.mark.parametrize(
    ("body", "limit", "said"),
    [
        ("raise SystemExit(3)", 20.0, "exit code 3"),
        ("print('no JSON')", 20.0, "not JSON"),
        ("print('{}')", 20.0, "has not the fields"),
        ("import time; time.sleep(60)", 0.2, "not done after 0.2 s"),
    ],
)
def test_a_bench_that_fails_is_told_and_the_exit_code_says_so(
    tmp_path: Path, body: str, limit: float, said: str
) -> None:
    done = bench(tmp_path, body, limit)

    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


def test_a_bench_that_does_not_exist_is_told_with_those_that_do(tmp_path: Path) -> None:
    done = bench(tmp_path, "", 20.0, "nothing")

    assert done.returncode == 2
    assert "no such name: nothing; there are tried" in done.stderr

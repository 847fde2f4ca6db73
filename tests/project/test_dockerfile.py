"""
The image: pinned, small in what it may do, and what its steps make really runs.

There is no engine where this is tested; imagebuild.py says how its steps are carried out all the same.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from scripts.rendering import NOTES, rendered
from tests.project.dockerfile import Stage, context_files, pairs, parse

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
MOUNTS = """
set -e
mount -t tmpfs tmpfs "$1" && mkdir "$1"/upper "$1"/work "$1"/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1"/root && chroot "$1"/root true
"""

SERVE = """
import json, subprocess, urllib.request
words = ["kubescribe", "aggregator", *(f"--{name}=127.0.0.1:0" for name in ("http", "ingest", "metrics"))]
with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
    said = next(line for line in map(json.loads, process.stderr) if line["event"] == "aggregator.listening")
    page = urllib.request.urlopen(said["http"] + "/", timeout=20).read().decode()
    script = urllib.request.urlopen(said["http"] + "/app.js", timeout=20).status
    ready = urllib.request.urlopen(said["metrics"] + "/readyz", timeout=20).status
    process.terminate()
    process.stderr.read()
print(json.dumps([process.returncode, "<title>" in page, script, ready]))
"""

UNCOMPILED = """
import importlib.util, pathlib
sources = list(pathlib.Path("/opt/kubescribe/lib").rglob("*.py"))
print(len(sources), sum(not pathlib.Path(importlib.util.cache_from_source(str(path))).exists() for path in sources))
"""

PACKAGES = """
from importlib.metadata import distributions
print(*(f"{each.name}=={each.version}" for each in distributions()))
"""

COMMANDS = {
    "help": ["kubescribe", "--help"],
    "version": ["kubescribe", "--version"],
    "aggregator": ["kubescribe", "aggregator", "--check-config"],
    "agent": ["kubescribe", "agent", "--check-config"],
    "serve": ["python", "-c", SERVE],
    "pip": ["python", "-m", "pip", "--version"],
    "base pip": ["/usr/local/bin/python", "-m", "pip", "--version"],
    "id": ["id", "-u"],
    "packages": ["python", "-c", PACKAGES],
    "step": ["python", "-c", "from kubescribe.gateway.entries import IS_COMPILED; print(IS_COMPILED)"],
    "uncompiled": ["python", "-c", UNCOMPILED],
    "root": ["touch", "/opt/kubescribe/x"],
}


@dataclass(frozen=True)
class Ran:
    code: int
    out: str


def stages() -> list[Stage]:
    return parse(ROOT / "Dockerfile")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """Build the image, and return what each of COMMANDS said in it."""
    folder = tmp_path_factory.mktemp("image")
    if os.geteuid() != 0:
        pytest.skip("the steps of the image need root")
    trial = subprocess.run(["unshare", "--mount", "sh", "-c", MOUNTS, "sh", folder], capture_output=True, check=False)
    if trial.returncode != 0:
        pytest.skip(f"no mount namespace with an overlay here: {trial.stderr.decode().strip()}")
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-m", "tests.project.imagebuild"],
        input=json.dumps({"scratch": str(folder), "commands": list(COMMANDS.values())}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return {name: Ran(**said) for name, said in zip(COMMANDS, json.loads(done.stdout), strict=True)}


def test_both_stages_stand_on_one_exact_version_of_python() -> None:
    bases = {stage.base for stage in stages()}

    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+", bases.pop())


def test_the_image_says_what_it_is() -> None:
    last = stages()[-1]
    arguments = {name: value for text in last.each("ARG") for name, value in pairs(text).items()}
    (labels,) = last.each("LABEL")

    assert arguments["VERSION"] == PROJECT["version"]
    assert (
        pairs(labels).items()
        >= {
            "org.opencontainers.image.version": "${VERSION}",
            "org.opencontainers.image.licenses": PROJECT["license"],
            "org.opencontainers.image.revision": "${REVISION}",
        }.items()
    )


def test_the_user_is_a_number_and_not_root() -> None:
    pods = [yaml.safe_load(text) for path, text in rendered().items() if path != NOTES and "statefulset" in path]

    assert stages()[-1].each("USER") == ["10001:10001"]
    assert pods[0]["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == 10001


def test_the_ports_are_those_of_the_chart() -> None:
    (exposed,) = stages()[-1].each("EXPOSE")
    text = "".join(rendered({"auth": {"tokenSecret": "people"}}).values())

    assert set(exposed.split()) == set(re.findall(r"containerPort: (\d+)", text))


def test_nothing_is_built_or_fetched_in_the_last_stage() -> None:
    steps = " ".join(stages()[-1].each("RUN"))

    assert not re.search(r"pip (install|wheel)|apt|curl|wget", steps)
    assert [copied for copied in stages()[-1].each("COPY") if not copied.startswith("--from=")] == []


def test_the_step_is_compiled_by_the_version_that_everybody_has_and_its_absence_ends_the_build() -> None:
    first = stages()[0]
    arguments = {name: value for text in first.each("ARG") for name, value in pairs(text).items()}

    assert f"Cython=={arguments['CYTHON']}" in PYPROJECT["build-system"]["requires"]
    assert any(step.endswith('-I -c "import kubescribe.gateway._entries"') for step in first.each("RUN"))


def test_the_build_sees_only_what_it_copies() -> None:
    copied = {word for text in stages()[0].each("COPY") for word in text.split()[:-1]}

    assert set(context_files(ROOT)) == copied
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.timeout(600)
def test_what_the_steps_make_runs(image: dict[str, Ran]) -> None:
    assert image["help"].out.startswith("kubescribe: a flight recorder")
    assert image["version"].out == f"kubescribe {PROJECT['version']}\n"
    assert image["step"].out == "True\n"
    assert 'listen: "127.0.0.1:8080"' in image["aggregator"].out
    assert "data: /var/lib/kubescribe" in image["agent"].out
    assert [image[name].code for name in ("help", "version", "aggregator", "agent")] == [0, 0, 0, 0]


@pytest.mark.timeout(600)
def test_an_aggregator_serves_its_page_below_a_read_only_root(image: dict[str, Ran]) -> None:
    assert image["root"].code != 0
    assert "Read-only file system" in image["root"].out
    assert image["id"].out == "10001\n"
    assert json.loads(image["serve"].out) == [0, True, 200, 200]


@pytest.mark.timeout(600)
def test_the_versions_are_the_tested_ones_and_nothing_installs_more(image: dict[str, Ran]) -> None:
    constraints = {line.lower() for line in (ROOT / "constraints.txt").read_text().split("\n")}
    found = {re.sub("_", "-", each.lower()) for each in image["packages"].out.split()}

    assert found - {f"kubescribe=={PROJECT['version']}"} <= {re.sub("_", "-", line) for line in constraints}
    assert {image["pip"].code, image["base pip"].code} == {1}


@pytest.mark.timeout(600)
def test_everything_is_compiled(image: dict[str, Ran]) -> None:
    sources, uncompiled = map(int, image["uncompiled"].out.split())

    assert sources > 1000
    assert uncompiled == 0

"""`kubescribe preview` against a pretend cluster, as an operator meets it: what is printed where, and the exit code."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import msgspec
import pytest
import pytest_asyncio
import yaml

from kubescribe.cli.preview import app
from kubescribe.cli.previewconfig import PreviewConfig, PreviewLogsConfig
from kubescribe.kube.errors import AccessForbidden
from simulator.app import opened
from simulator.control import Control
from simulator.settings import SimulatorSettings
from simulator.world.app import World

COMMAND = Path(sys.executable).with_name("kubescribe")


class Answered(NamedTuple):
    """What the command printed."""

    code: int
    out: str
    err: str


class Cluster(NamedTuple):
    """A pretend cluster in which nothing happens."""

    kubeconfig: Path
    control: Control
    base_url: str

    async def preview(self, *options: str, kubeconfig: Path | None = None) -> Answered:
        words = [COMMAND, "preview", "--kubeconfig", kubeconfig or self.kubeconfig, *options]
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        return Answered(process.returncode or 0, out.decode(), err.decode())


def kubeconfig(path: Path, base_url: str, token: str) -> Path:
    tree: dict[str, Any] = {
        "current-context": "x",
        "clusters": [{"name": "arn:aws:eks:eu-west-2:111122223333:cluster/eu", "cluster": {"server": base_url}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [
            {"name": "x", "context": {"cluster": "arn:aws:eks:eu-west-2:111122223333:cluster/eu", "user": "u"}}
        ],
    }
    path.write_text(yaml.safe_dump(tree))
    return path


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(opened(SimulatorSettings(quiet=True, token="t0ken")))
        World(simulator.etcd, nodes=3, fargate_nodes=0, pods=30, seed=1).populate()
        simulator.etcd.flush()
        control = await stack.enter_async_context(Control(simulator.url, simulator.token))
        yield Cluster(kubeconfig(tmp_path / "kubeconfig", simulator.url, "t0ken"), control, simulator.url)


async def said(cluster: Cluster, capsys: pytest.CaptureFixture[str], **config: Any) -> str:
    """What is printed; in this process, where no interpreter has to start."""
    await app.run(PreviewConfig(kubeconfig=cluster.kubeconfig, **config), asyncio.Event())
    return capsys.readouterr().out


async def test_the_streams_are_counted_and_listed_for_people(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    text = await said(cluster, capsys)

    assert text.startswith("cluster eu: ")
    assert "labelled by pod (Promtail's default)" in text
    assert "kube-system" in text
    assert "warning" not in text


async def test_json_says_the_same_for_machines(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    logs = PreviewLogsConfig(pod_labels=("k8s-app", "nope"))

    made = json.loads(await said(cluster, capsys, output="json", namespaces=("kube-system", "shop"), logs=logs))

    assert made["streams"] == len(made["items"]) > 0
    assert made["streamsByPod"] == 2 * made["containers"] == sum(item["pods"] for item in made["items"])
    assert {item["labels"]["namespace"] for item in made["items"]} == {"kube-system", "shop"}
    assert {item["labels"]["stream"] for item in made["items"]} == {"stdout", "stderr"}
    assert [each["label"] for each in made["podLabels"]] == ["k8s-app", "nope"]
    assert "the label nope: no pod has it" in made["warnings"]


async def test_a_long_list_is_read_in_pages(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = await said(cluster, capsys, output="json")
    monkeypatch.setattr(app, "PAGE_PODS", 7)

    assert await said(cluster, capsys, output="json") == everything
    assert json.loads(everything)["pods"] > 14


async def test_a_namespace_without_pods_is_an_answer_too(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    text = await said(cluster, capsys, namespaces=("nowhere",))

    assert "0 pods" in text
    assert "No pod, no stream." in text


@pytest.mark.parametrize(
    ("namespaces", "told"),
    [
        ((), "grant `list` on pods in all namespaces, or give --namespace ("),
        (("shop",), "grant `list` on pods in the namespace shop ("),
    ],
)
async def test_a_missing_permission_is_one_line_that_says_which(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], namespaces: tuple[str, ...], told: str
) -> None:
    await cluster.control.forbid("pods")

    with pytest.raises(AccessForbidden) as caught:
        await said(cluster, capsys, namespaces=namespaces)

    assert told in str(caught.value)


async def test_what_cannot_be_asked_is_one_line(cluster: Cluster, tmp_path: Path) -> None:
    refused = await cluster.preview(kubeconfig=kubeconfig(tmp_path / "other", cluster.base_url, "wrong"))

    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert refused.err.startswith("kubescribe preview: the API server ")
    assert "answered 401 Unauthorized" in refused.err


async def test_wrong_settings_are_a_line_each(cluster: Cluster) -> None:
    done = await cluster.preview("--output", "xml", "--namespace", "Shop!", "--pods", "3")

    assert (done.code, done.out) == (2, "")
    lines = done.err.splitlines()
    assert sorted(line.split(": ")[1].partition(" ")[0] for line in lines) == ["--namespace", "--output", "--pods"]


async def test_a_reader_that_goes_away_is_no_error(cluster: Cluster) -> None:
    process = await asyncio.create_subprocess_shell(
        f"{quote(str(COMMAND))} preview --kubeconfig {quote(str(cluster.kubeconfig))} | head -1",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()

    assert (out.count(b"\n"), err) == (1, b"")


async def test_a_pod_that_does_not_decode_is_skipped_and_told(caplog: pytest.LogCaptureFixture) -> None:
    seen = app._seen([msgspec.Raw(b'{"metadata":{"name":3}}'), msgspec.Raw(b'{"metadata":{"name":"a","uid":"u"}}')])

    assert [pod.facts.name for pod in seen] == ["a"]

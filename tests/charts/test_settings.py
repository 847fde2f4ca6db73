"""The programs accept what the chart tells them: `--check-config` with the rendered files, options and variables."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubescribe.cli.main import main
from tests.charts.conftest import LOKI, Rendering, render, values_at

DOWNWARD = {
    "status.hostIP": "2001:db8::a1",
    "spec.nodeName": "ip-10-0-1-2.eu-west-2.compute.internal",
    "metadata.namespace": "kubescribe",
}


def place(made: Rendering, component: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lay the pod's files into *folder*, set its variables, and return its arguments as they are on this machine."""
    container, pod = made.container(component), made.pod(component)
    (folder / "config.yaml").write_text(made.one("ConfigMap", component)["data"]["config.yaml"])
    for name in ("token", "password", "bearer-token", "ca.crt"):
        (folder / name).write_text("a-secret\n")
    for variable in container.get("env", ()):
        value = variable.get("value") or DOWNWARD[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        # The kubelet puts in what was said before.
        value = re.sub(r"\$\((\w+)\)", lambda found: os.environ[found[1]], value)
        monkeypatch.setenv(variable["name"], value)
    arguments = container["args"]
    for mount in container["volumeMounts"]:
        (volume,) = [volume for volume in pod["volumes"] if volume["name"] == mount["name"]]
        if volume.keys() & {"configMap", "secret", "projected"}:
            arguments = [argument.replace(f"={mount['mountPath']}/", f"={folder}/") for argument in arguments]
    return arguments


def checked(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> dict[str, Any]:
    code = main([*arguments, "--check-config"])
    said = capsys.readouterr()
    assert code == 0, said.err
    return yaml.safe_load(said.out)


@pytest.mark.parametrize("component", ["aggregator", "cluster-agent", "node-agent"])
def test_the_programs_accept_what_the_chart_tells_them(
    each: Rendering,
    component: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if component not in each.components:
        pytest.skip("this example leaves it out")
    arguments = place(each, component, tmp_path, monkeypatch)

    effective = checked(capsys, arguments)

    mounted = {mount["mountPath"] for mount in each.container(component)["volumeMounts"]}
    assert effective["data"] in mounted, "the folder of data is a volume"
    (metrics,) = [port["containerPort"] for port in each.container(component)["ports"] if port["name"] == "metrics"]
    assert effective["metrics"] == f":{metrics}"


def test_an_agent_has_its_scope_its_node_its_profile_and_its_lease(
    plain: Rendering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node = checked(capsys, place(plain, "node-agent", tmp_path, monkeypatch))

    assert (node["scope"], node["node"], node["profile"]) == ("node", DOWNWARD["spec.nodeName"], "beside")

    monkeypatch.delenv("KUBESCRIBE_NODE")
    cluster = checked(capsys, place(plain, "cluster-agent", tmp_path, monkeypatch))

    assert (cluster["scope"], cluster["profile"]) == ("cluster", "beside")
    lease = {name: cluster["election"][name] for name in ("leaseName", "leaseNamespace")}
    assert lease == {"leaseName": "kubescribe-cluster-agent", "leaseNamespace": "kubescribe"}


def test_a_node_agent_that_reads_usage_is_told_where_its_kubelet_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = render({"profile": "standalone", **LOKI})

    node = checked(capsys, place(made, "node-agent", tmp_path, monkeypatch))

    assert node["usage"]["kubelet"] == "https://[2001:db8::a1]:10250"


def test_any_setting_can_be_given_and_stands_over_the_charts_own() -> None:
    given = {"watch": {"startJitter": "2m"}, "log": {"level": "debug"}, "aggregator": "https://elsewhere.example"}
    made = render({"nodeAgent": {"settings": given}, "clusterAgent": {"settings": {"spool": {"maxBytes": "1GiB"}}}})

    assert made.settings("node-agent") == given
    assert made.settings("cluster-agent")["spool"] == {"maxBytes": "1GiB"}
    assert made.settings("cluster-agent")["election"] == {"leaseName": "kubescribe-cluster-agent"}


def test_large_numbers_stay_whole() -> None:
    made = render(values_at("aggregator.settings.ingest.waitingRecords", 10_000_000))

    assert "waitingRecords: 10000000\n" in made.one("ConfigMap", "aggregator")["data"]["config.yaml"]


def test_the_name_of_the_cluster_reaches_both_agents() -> None:
    made = render({"clusterName": "shop-production"})

    assert {made.settings(agent)["cluster"] for agent in ("cluster-agent", "node-agent")} == {"shop-production"}
    assert "cluster" not in render().settings("node-agent")

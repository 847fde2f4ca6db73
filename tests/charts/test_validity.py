"""What is rendered is what Kubernetes takes: its own schemas, strictly, of the oldest and the newest version."""

import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import jsonschema
import kubernetes_validate
import pytest
import yaml
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

from scripts.rendering import CHART
from tests.charts import operator
from tests.charts.conftest import EXAMPLES, Rendering, example, render

ROOT = Path(__file__).parents[2]
CHART_YAML = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
OLDEST = re.sub(r"[^0-9.]", "", CHART_YAML["kubeVersion"].partition("-")[0])
NEWEST = kubernetes_validate.latest_version()
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "FlowSchema", "PriorityLevelConfiguration", "StorageClass"}


@cache
def validator(version: str, kind: str, api_version: str) -> jsonschema.Draft202012Validator:
    """The package's own way in reads a megabyte for each object; this reads it once a version."""
    if kind in operator.SPECS:
        return jsonschema.Draft202012Validator(operator.schema(kind))
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    schema = schema_contents(f"kubernetes-json-schema/v{version}-local-strict/{kind.lower()}-{group}.json", version)
    registry = Resource.from_contents(schema) @ definitions(version)
    return jsonschema.Draft202012Validator(schema, registry=registry)


@cache
def definitions(version: str) -> Registry[Any]:
    contents = schema_contents(f"kubernetes-json-schema/v{version}-local-strict/_definitions.json", version)
    return Resource.from_contents(contents) @ Registry()


@pytest.mark.parametrize("version", [f"{OLDEST}", NEWEST])
def test_kubernetes_takes_every_object(each: Rendering, version: str) -> None:
    for made in each.objects:
        errors = list(validator(version, made["kind"], made["apiVersion"]).iter_errors(made))

        assert not errors, (made["kind"], [(list(error.path), error.message) for error in errors])


def test_an_object_that_kubernetes_would_refuse_is_found() -> None:
    wrong = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "x"}, "spec": {"replicas": 1}}

    assert list(validator(NEWEST, "DaemonSet", "apps/v1").iter_errors(wrong))


def test_an_object_that_the_operator_would_half_understand_is_found(each: Rendering) -> None:
    for monitor in each.kind("ServiceMonitor"):
        (endpoint,) = monitor["spec"]["endpoints"]
        wrong = {**monitor, "spec": {**monitor["spec"], "endpoints": [{**endpoint, "honourLabels": True}]}}

        assert list(validator(NEWEST, "ServiceMonitor", "monitoring.coreos.com/v1").iter_errors(wrong))


def test_names_and_places_are_those_of_the_release() -> None:
    made = render(example("eks-alb"), name="recorder", namespace="ops")

    for each in made.objects:
        metadata = each["metadata"]
        assert metadata.get("namespace") == (None if each["kind"] in CLUSTER_WIDE else "ops")
        assert metadata["name"].startswith("recorder-kubescribe") or each["kind"] == "StorageClass"
        assert len(metadata["name"]) <= 52, "a StatefulSet's name and a hash are a label of its pods"
        assert (
            metadata["labels"].items()
            >= {
                "app.kubernetes.io/name": "kubescribe",
                "app.kubernetes.io/instance": "recorder",
                "app.kubernetes.io/part-of": "kubescribe",
                "app.kubernetes.io/version": CHART_YAML["appVersion"],
                "app.kubernetes.io/managed-by": "Helm",
            }.items()
        )


@pytest.mark.parametrize("key", ["nameOverride", "fullnameOverride"])
def test_a_long_name_is_cut_and_still_valid(key: str) -> None:
    made = render({key: "a-very-long-name-for-a-recorder-of-what-happens-in-a-cluster"}, name="recorder")

    assert all(len(each["metadata"]["name"]) <= 54 for each in made.objects)


def test_the_same_values_render_the_same_twice() -> None:
    values = example("eks-alb")

    assert render(values).files == render(values).files


def test_no_template_asks_the_cluster_or_draws_lots() -> None:
    drift = re.compile(r"\b(lookup|rand\w+|uuidv4|gen[A-Z]\w+|now|htpasswd)\b")

    for path in (CHART / "templates").rglob("*.*"):
        assert not drift.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("name", ["plain", *EXAMPLES])
def test_helm_has_nothing_to_complain_of(name: str) -> None:
    values = {} if name == "plain" else example(name)

    report = helm_python.lint(CHART, values, strict=True, namespace="kubescribe")

    assert report["errors"] == []
    assert [each["error"] for each in report["messages"]] == ["icon is recommended"]


def test_the_chart_is_of_the_version_of_the_programs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert CHART_YAML["appVersion"] == project["version"]


def test_the_package_holds_the_chart_and_not_its_examples(tmp_path: Path) -> None:
    archive = helm_python.package(CHART, destination=tmp_path)
    with helm_python.Chart.load(archive) as chart:
        names = {file["name"] for file in chart.files}

        assert json.loads(json.dumps(chart.schema))["title"] == "kubescribe"
        assert not [name for name in names if name.startswith("ci/")]

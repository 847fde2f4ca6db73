"""manifests/ is the chart, without Helm."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from scripts.manifests import manifests, write
from scripts.rendering import NOTES, rendered

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "manifests"
KUBECTL = Path(sys.executable).parent / "kubectl"
HELMS_OWN = {
    "labels": {"app.kubernetes.io/managed-by", "helm.sh/chart"},
    "annotations": {"helm.sh/resource-policy"},
}


def built() -> list[dict[str, Any]]:
    """What `kubectl apply -k manifests` would apply."""
    done = subprocess.run(
        [KUBECTL, "kustomize", FOLDER], capture_output=True, text=True, timeout=60, check=True, env={"HOME": "/"}
    )
    return list(yaml.safe_load_all(done.stdout))


def without_helms_own(made: dict[str, Any]) -> dict[str, Any]:
    for place, names in HELMS_OWN.items():
        for name in names:
            made["metadata"].get(place, {}).pop(name, None)
    return made


def key(made: dict[str, Any]) -> tuple[str, str]:
    return made["kind"], made["metadata"]["name"]


def test_the_manifests_are_those_of_the_chart_as_it_is() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}

    assert written == manifests(), "run `make manifests`"


def test_kubectl_applies_what_helm_would_with_its_default_values() -> None:
    expected = [yaml.safe_load(text) for path, text in rendered().items() if path != NOTES]

    namespace, *others = sorted(built(), key=lambda made: made["kind"] != "Namespace")

    assert namespace["kind"] == "Namespace"
    assert {key(made): made for made in others} == {key(made): without_helms_own(made) for made in expected}
    assert len(others) == len(expected)


def test_the_namespace_allows_what_the_node_agent_mounts() -> None:
    namespace = next(made for made in built() if made["kind"] == "Namespace")

    assert namespace["metadata"]["name"] == "kubescribe"
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"


def test_a_file_that_is_no_longer_made_goes(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("kind: Old\n")

    write(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == set(manifests())

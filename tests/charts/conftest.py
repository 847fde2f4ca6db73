"""What the tests of the chart ask of a rendering: one object, one pod, the settings of a component."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
import yaml
from helm_python.errors import HelmRenderError

from scripts.rendering import CHART, NOTES, rendered

EXAMPLES = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
COMPONENTS = {"aggregator": "StatefulSet", "cluster-agent": "Deployment", "node-agent": "DaemonSet"}


@dataclass(frozen=True)
class Rendering:
    """What an installation would apply."""

    files: dict[str, str]

    @property
    def notes(self) -> str:
        return self.files[NOTES]

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        texts = [text for path, text in self.files.items() if path != NOTES]
        return [made for text in texts for made in yaml.load_all(text, LOADER) if made]

    @property
    def components(self) -> list[str]:
        return [component for component, kind in COMPONENTS.items() if self.find(kind, component)]

    def find(self, kind: str, component: str) -> dict[str, Any] | None:
        found = [
            each
            for each in self.objects
            if each["kind"] == kind and each["metadata"]["labels"]["app.kubernetes.io/component"] == component
        ]
        assert len(found) <= 1
        return found[0] if found else None

    def kind(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind: str, component: str) -> dict[str, Any]:
        found = self.find(kind, component)
        assert found is not None, f"there is no {kind} of {component}"
        return found

    def pod(self, component: str) -> dict[str, Any]:
        return self.one(COMPONENTS[component], component)["spec"]["template"]["spec"]

    def container(self, component: str) -> dict[str, Any]:
        (container,) = self.pod(component)["containers"]
        return container

    def settings(self, component: str) -> dict[str, Any]:
        return yaml.safe_load(self.one("ConfigMap", component)["data"]["config.yaml"])


LOKI = {"loki": {"url": "http://loki:3100"}}
"""What the profile standalone is not rendered without."""


def render(values: dict[str, Any] | None = None, **place: Any) -> Rendering:
    """*place* as of `rendered`: name, namespace, apis, chart."""
    return Rendering(rendered(values, **place))


def refusal(values: dict[str, Any], **place: Any) -> str:
    """Return what an operator is told of *values* that a guard of the chart refuses."""
    with pytest.raises(HelmRenderError) as caught:
        rendered(values, **place)
    return str(caught.value)


def example(name: str) -> dict[str, Any]:
    return yaml.safe_load(EXAMPLES[name].read_text(encoding="utf-8"))


def values_at(path: str, value: Any) -> dict[str, Any]:
    """Return the values that say *value* at `a.b.c`."""
    for part in reversed(path.split(".")):
        value = {part: value}
    return value


@pytest.fixture(scope="session")
def plain() -> Rendering:
    """What `helm install` without a value applies."""
    return render()


@pytest.fixture(scope="session", params=["plain", *EXAMPLES])
def each(request: pytest.FixtureRequest) -> Rendering:
    """The default installation, and each of the examples."""
    return render(None if request.param == "plain" else example(request.param))

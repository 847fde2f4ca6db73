"""
manifests/ for `kubectl apply -k`: the chart with its default values, as plain YAML. `make manifests` writes it.

What only Helm needs to find its objects again is left out; the namespace, which a chart does not make, is added.
"""

import argparse
import re
from pathlib import Path

from scripts.rendering import NOTES, rendered

HEADER = "# Made by `make manifests` from charts/kubescribe with its default values; do not edit.\n"

NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata:
  name: kubescribe
  labels:
    app.kubernetes.io/name: kubescribe
    app.kubernetes.io/part-of: kubescribe
    # The node agent mounts two folders of its node, which every lower level forbids.
    pod-security.kubernetes.io/enforce: privileged
"""

_HELMS_OWN = re.compile(
    r"^ +(app\.kubernetes\.io/managed-by|helm\.sh/chart|helm\.sh/resource-policy): .*\n", re.MULTILINE
)


def manifests() -> dict[str, str]:
    """Return the files of manifests/ by name: one for each component, in the order in which they are applied."""
    parts: dict[str, list[str]] = {"namespace": [NAMESPACE]}
    for path, text in rendered().items():
        if path != NOTES:
            component = path.partition("/")[0]
            parts.setdefault(component, []).append(_HELMS_OWN.sub("", text).strip("\n") + "\n")
    files = {f"{component}.yaml": HEADER + "---\n" + "---\n".join(texts) for component, texts in parts.items()}
    return {**files, "kustomization.yaml": _kustomization(list(files))}


def _kustomization(files: list[str]) -> str:
    resources = "".join(f"  - {name}\n" for name in files)
    return f"""\
{HEADER}# Where your image lies, an overlay says: `images: [{{name: kubescribe, newName: example.org/kubescribe}}]`.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
{resources}"""


def write(folder: Path) -> None:
    """Write the files into *folder*, and remove what is no longer one of them."""
    files = manifests()
    folder.mkdir(exist_ok=True)
    for stale in {path.name for path in folder.glob("*.yaml")} - set(files):
        (folder / stale).unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the plain manifests into a folder.")
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)

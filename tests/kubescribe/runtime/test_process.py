"""The version is that of the distribution."""

import tomllib
from pathlib import Path

from kubescribe.runtime.process import version_string

ROOT = Path(__file__).parents[3]


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert version_string() == project["version"]

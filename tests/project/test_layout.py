"""The tree keeps the shape that a reader relies on."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("kubescribe", "agent", "aggregator", "simulator", "dashboards", "benchmarks", "scripts", "tests")
MAX_LINES = 400
MAX_TEST_LINES = 600
"""A suite is read one test at a time; what it shares lies in the conftest beside it."""
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "tools"}


def sources() -> list[Path]:
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path.relative_to(ROOT) for path in found]


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    long = {}
    for path in sources():
        lines = len((ROOT / path).read_text().splitlines())
        if lines > (MAX_TEST_LINES if path.parts[0] == "tests" else MAX_LINES):
            long[str(path)] = lines

    assert long == {}


def test_the_init_files_hold_a_docstring_and_nothing_else() -> None:
    for path in (path for path in sources() if path.name == "__init__.py"):
        body = ast.parse((ROOT / path).read_text()).body

        assert len(body) == 1, path
        assert isinstance(body[0], ast.Expr), path


def test_a_module_says_what_it_is_for() -> None:
    silent = [str(path) for path in sources() if ast.get_docstring(ast.parse((ROOT / path).read_text())) is None]

    assert silent == []


def test_a_module_is_named_for_what_it_does() -> None:
    assert [str(path) for path in sources() if path.stem in VAGUE] == []


def test_tests_are_no_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


@pytest.mark.parametrize("package", ["kubescribe", "agent", "aggregator", "simulator"])
def test_a_test_file_belongs_to_a_source_file_or_tells_what_it_is_about(package: str) -> None:
    """`tests/agent/watch/test_lines.py` is about `agent/watch/lines.py`, or a whole stage: `test_watch_…`."""
    for path in (ROOT / "tests" / package).rglob("test_*.py"):
        folder = ROOT / path.parent.relative_to(ROOT / "tests")

        assert folder.is_dir(), f"{path}: there is no {folder}"

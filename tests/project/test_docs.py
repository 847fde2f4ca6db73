"""What the documents say is so."""

import re
from pathlib import Path

import pytest

from kubescribe.cli import metricspage
from kubescribe.cli.configpage import page
from kubescribe.cli.roles import ROLES
from kubescribe.runtime.settings import table

ROOT = Path(__file__).parents[2]
TARGET = re.compile(r"\bmake ([a-z]+)\b")
DOCUMENTS = [
    *("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/install.md", "docs/logs.md"),
    *("docs/alerts.md", "docs/dashboards.md"),
    *(f"docs/runbooks/{path.name}" for path in sorted((ROOT / "docs/runbooks").glob("*.md"))),
]


def test_the_configuration_page_is_that_of_the_table() -> None:
    written = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")

    assert written == page(), "run `make docs`"


def test_the_metrics_page_is_that_of_the_families() -> None:
    written = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")

    assert written == metricspage.page(), "run `make docs`"


@pytest.mark.parametrize("name", ROLES)
def test_every_setting_says_what_it_does_and_why_its_default(name: str) -> None:
    for row in table(ROLES[name].settings):
        assert re.fullmatch(r"[A-Z].*\.", row.declared.help), f"{row.key}: one sentence"
        assert row.declared.why, f"{row.key}: a reason for the default"
        assert not row.declared.why.endswith("."), f"{row.key}: the reason is a part of a sentence"
        assert f"`{row.key}`" in page()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_make_targets_that_documents_name_exist(document: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = re.findall(r"`[^`]*`|^ {4}.*$", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE)
    named = {target for part in code for target in TARGET.findall(part)}

    assert named <= targets


@pytest.mark.parametrize("document", [*DOCUMENTS, "CHANGELOG.md"])
def test_links_inside_the_tree_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{document} → {target}"


def test_the_options_that_the_readme_names_exist() -> None:
    known = {row.option for role in ROLES.values() for row in table(role.settings)}
    known |= {"--config", "--check-config", "--help", "--version"}
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    for line in (line for line in text.splitlines() if "kubescribe " in line):
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", line)) <= known

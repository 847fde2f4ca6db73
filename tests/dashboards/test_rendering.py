"""The files in the chart are those of the code, and Grafana takes them as they are."""

import json
from pathlib import Path

from dashboards.rendering import FOLDER, write
from tests.dashboards.conftest import Board

ROOT = Path(__file__).parents[2]


def test_the_files_in_the_chart_are_those_of_the_code(files: dict[str, str]) -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / FOLDER).iterdir()}

    assert written == files, "run `make dashboards`"


def test_a_file_that_is_no_longer_made_goes(tmp_path: Path, files: dict[str, str]) -> None:
    (tmp_path / "old.json").write_text("{}")

    write(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == set(files)


def test_there_are_six_and_each_is_found_under_its_uid(files: dict[str, str]) -> None:
    uids = {name.removesuffix(".json"): json.loads(text)["uid"] for name, text in files.items()}

    assert list(uids) == [f"kubescribe-{it}" for it in ("incident", "workload", "infra", "logs", "pipeline", "storage")]
    assert all(name == uid for name, uid in uids.items())


def test_nobody_edits_them_and_they_follow_the_browser_and_the_clock(boards: list[Board]) -> None:
    for board in boards:
        said = {name: board[name] for name in ("editable", "timezone", "refresh", "schemaVersion", "tags")}
        expected = {
            "editable": False,
            "timezone": "browser",
            "refresh": "30s",
            "schemaVersion": 39,
            "tags": ["kubescribe"],
        }
        assert said == expected, board["uid"]


def test_each_leads_to_the_others_with_its_variables_and_its_time(boards: list[Board]) -> None:
    for board in boards:
        (others,) = board["links"]
        assert (others["type"], others["tags"], others["includeVars"], others["keepTime"]) == (
            "dashboards",
            ["kubescribe"],
            True,
            True,
        ), board["uid"]


def test_the_cluster_is_optional_and_the_sources_are_variables(boards: list[Board]) -> None:
    for board in boards:
        variables = {it["name"]: it for it in board["templating"]["list"]}
        assert (variables["prometheus"]["type"], variables["loki"]["type"]) == ("datasource", "datasource")
        cluster = variables["cluster"]
        assert (cluster["allValue"], cluster["hide"], cluster["current"]["value"]) == (".*", 2, "$__all")
        assert variables["kubescribe_url"]["type"] == "constant"
        for name in {"namespace", "workload", "node"} & variables.keys():
            assert variables[name]["refresh"] == 2, "their values follow the time shown"


def test_one_installation_is_shown_at_a_time(boards: list[Board]) -> None:
    for board in boards:
        (it,) = (it for it in board["templating"]["list"] if it["name"] == "installation")
        assert not it.get("includeAll")
        assert not it.get("multi")
        assert it["query"]["query"].endswith(", installation)")
        assert 'installation=~".*"' in it["query"]["query"], "it does not ask for itself"


def test_changes_and_terminations_can_be_drawn_into_every_graph(boards: list[Board]) -> None:
    for board in boards:
        drawn = {it["name"]: it for it in board["annotations"]["list"]}
        assert set(drawn) == {"Changes", "Terminations"}, board["uid"]
        assert 'stream="change"' in drawn["Changes"]["expr"]
        assert all(it["datasource"]["uid"] == "${loki}" and not it["hide"] for it in drawn.values())
    assert [board["annotations"]["list"][0]["enable"] for board in boards] == [True] * 4 + [False] * 2

"""What panels' queries answer: promtool evaluates them against what somebody once was misled by."""

import math
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.queries import fullest, series
from tests.dashboards.test_panels import concrete
from tests.programs import program

Board = dict[str, Any]


def answers(
    folder: Path,
    expression: str,
    given: Mapping[str, float | str],
    expected: Mapping[str, float],
    *,
    installation: str = ".*",
) -> str:
    """Return what promtool complains about: "" where *expression* answers *expected*, labels and values."""
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": f"{value}x20"} for name, value in given.items()],
        "promql_expr_test": [
            {
                "expr": concrete(expression.replace("$installation", installation)),
                "eval_time": "10m",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in expected.items()],
            }
        ],
    }
    path = folder / "case.yaml"
    path.write_text(yaml.safe_dump({"tests": [case]}))
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def columns_of(panels: list[tuple[str, Board]], title: str) -> list[str]:
    return [target["expr"] for _, panel in panels if panel["title"] == title for target in panel["targets"]]


def test_a_container_without_a_limit_beside_a_sidecar_that_has_one_is_not_above_it(tmp_path: Path) -> None:
    used, may = "kubescribe_container_memory_working_set_bytes", "kubescribe_container_resource_limits"
    given = {
        f'{used}{{namespace="shop", pod="web-1", container="app"}}': 4000,
        f'{used}{{namespace="shop", pod="web-1", container="mesh"}}': 60,
        f'{may}{{namespace="shop", pod="web-1", container="mesh", resource="memory"}}': 100,
        f'{used}{{namespace="shop", pod="web-2", container="app"}}': 90,
        f'{used}{{namespace="shop", pod="web-2", container="mesh"}}': 1,
        f'{may}{{namespace="shop", pod="web-2", container="app", resource="memory"}}': 100,
        f'{may}{{namespace="shop", pod="web-2", container="mesh", resource="memory"}}': 100,
    }
    expression = fullest(
        series("container_memory_working_set_bytes"), series("container_resource_limits", resource="memory")
    )

    assert not answers(
        tmp_path,
        expression,
        given,
        {'{namespace="shop", pod="web-1"}': 0.6, '{namespace="shop", pod="web-2"}': 0.9},
    )


def test_the_leftovers_of_jobs_make_no_tile_red(tmp_path: Path, panels: list[tuple[str, Board]]) -> None:
    """Their pods stay in the phase Failed for as long as the Job does, for days: that is not "broken now"."""
    given = {'kubescribe_pods{namespace="a", phase="Failed"}': 40, 'kubescribe_pods{namespace="a", phase="Pending"}': 2}

    assert not answers(tmp_path, columns_of(panels, "Pods pending")[0], given, {"{}": 2})


def test_what_is_lost_is_told_of_every_place_where_it_can_be(tmp_path: Path, panels: list[tuple[str, Board]]) -> None:
    growing = {
        "kubescribe_spool_dropped_records_total": "0+1",
        'kubescribe_loki_rejected_entries_total{reason="line_too_long"}': "0+10",
        "kubescribe_gateway_damaged_frames_total": "0+100",
        "kubescribe_journal_writable": 1,
    }
    (lost,) = columns_of(panels, "Lost for good, 1 h")

    assert not answers(tmp_path, lost.replace("[1h]", "[10m]"), growing, {"{}": 1110})
    del growing["kubescribe_gateway_damaged_frames_total"]
    assert not answers(tmp_path, lost.replace("[1h]", "[10m]"), growing, {"{}": 110})


def test_two_clusters_with_nodes_of_one_name_break_no_table_of_nodes(
    tmp_path: Path, panels: list[tuple[str, Board]]
) -> None:
    given = {}
    for cluster, zone, requested in (("east", "a", 2), ("west", "b", 3)):
        one = f'cluster="{cluster}", node="ip-10-0-0-1"'
        given |= {
            f'kubescribe_node_info{{{one}, zone="{zone}", instance_type="m7"}}': 1,
            f'kubescribe_node_condition{{{one}, condition="Ready"}}': 1,
            f'kubescribe_node_allocatable{{{one}, resource="cpu", unit="core"}}': 4,
            f'kubescribe_container_resource_requests{{{one}, resource="cpu", unit="core", pod="p"}}': requested,
        }
    zones, fullest_nodes = columns_of(panels, "Zones")[2], columns_of(panels, "The fullest nodes")[3]

    assert not answers(tmp_path, zones, given, {'{zone="a"}': 0.5, '{zone="b"}': 0.75})
    assert not answers(
        tmp_path,
        fullest_nodes,
        given,
        {
            '{cluster="east", node="ip-10-0-0-1", zone="a", instance_type="m7"}': 0.5,
            '{cluster="west", node="ip-10-0-0-1", zone="b", instance_type="m7"}': 0.75,
        },
    )


def test_a_cluster_that_two_installations_record_is_told_once(tmp_path: Path, panels: list[tuple[str, Board]]) -> None:
    """The chart's scrapes name the installation; where nobody does, the variable has no value and fits all the same."""
    given: dict[str, float | str] = {}
    for own in ('installation="a", ', 'installation="b", ', ""):
        given |= {
            f'kubescribe_pods{{{own}namespace="shop", phase="Pending"}}': 3,
            f'kubescribe_node_condition{{{own}node="n1", condition="Ready"}}': 0,
            f'kubescribe_unschedulable_pods{{{own}namespace="shop"}}': 2,
            f'kubescribe_container_restarts_total{{{own}namespace="shop", workload="w"}}': "0+1",
        }
    expected = {"Pods pending": 3, "Nodes not ready": 1, "Unschedulable pods": 2, "Restarts, 15 min": 10}

    for title, value in expected.items():
        query = columns_of(panels, title)[0].replace("[15m]", "[10m]")
        for chosen in ("a", "b", ""):
            assert not answers(tmp_path, query, given, {"{}": value}, installation=chosen), (title, chosen)
        assert answers(tmp_path, query, given, {"{}": value}), "all together are three times as many"


@pytest.mark.parametrize(
    ("title", "given", "expected"),
    [
        ("OOM kills, 15 min", {"kubescribe_journal_writable": 1}, 0),
        ("OOM kills, 15 min", {}, None),
        ("Lost for good, 1 h", {"kubescribe_journal_writable": 0}, 0),
        ("Lost for good, 1 h", {}, None),
        ("Volume full in", {"kubescribe_journal_writable": 1}, math.inf),
        ("Volume full in", {}, None),
    ],
)
def test_what_never_happened_is_zero_and_what_nobody_tells_is_no_number(
    tmp_path: Path, panels: list[tuple[str, Board]], title: str, given: dict[str, float | str], expected: float | None
) -> None:
    query = columns_of(panels, title)[0]

    assert not answers(tmp_path, query, given, {} if expected is None else {"{}": expected})

"""What the benches have beside their measuring: they refuse a figure of something that did not happen."""

import asyncio
import gzip
import json
import sqlite3
from pathlib import Path

import pytest

from benchmarks import gateway, memory_agent
from benchmarks.fleet import requests_of, warnings
from benchmarks.journal_file import living, until_living
from benchmarks.lagging import StreamState, lagging, last_warnings, told
from benchmarks.whole_path import Heard, PathBroken, check
from kubescribe.gateway.messages import Push as PushMessage


def metrics(*, events: int, lists: int) -> str:
    return (
        "# TYPE kubescribe_watch_events counter\n"
        f"kubescribe_watch_events_total {events:.1f}\n"
        f'kubescribe_watch_lists_total{{stream="pods/node=n1"}} {lists - 1:.1f}\n'
        'kubescribe_watch_lists_total{stream="nodes"} 1.0\n'
    )


CONNECTED = '{"event": "link.connected"}\n'


def test_the_memory_of_an_agent_counts_only_if_it_listed_and_connected_twice_under_load() -> None:
    memory_agent.check(metrics(events=600, lists=2), 2 * CONNECTED)


@pytest.mark.parametrize(
    ("told", "log"),
    [
        (metrics(events=10, lists=2), 2 * CONNECTED),
        (metrics(events=600, lists=1), 2 * CONNECTED),
        (metrics(events=600, lists=2), CONNECTED),
        ("", ""),
    ],
)
def test_the_memory_of_an_agent_that_did_less_is_no_figure(told: str, log: str) -> None:
    with pytest.raises(RuntimeError, match="events, lists, connections"):
        memory_agent.check(told, log)


async def test_a_journal_is_waited_for_also_before_it_is_made(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    assert living(journal) == 0

    waiting = asyncio.create_task(until_living(journal, 2, seconds=10.0))
    with sqlite3.connect(journal) as connection:
        connection.execute("CREATE TABLE heads (object INTEGER, gone INTEGER)")
        connection.executemany("INSERT INTO heads VALUES (?, ?)", [(1, 0), (2, 1), (3, 0)])
    connection.close()

    assert await waiting == 2


def test_the_agents_requests_are_told_apart_from_those_of_others() -> None:
    rows = [
        {"verb": "watch", "resource": "pods", "userAgent": "kubescribe/1", "fieldSelector": "a", "count": 2},
        {"verb": "watch", "resource": "pods", "userAgent": "kubescribe/1", "fieldSelector": "b", "count": 1},
        {"verb": "watch", "resource": "pods", "userAgent": "kubelet", "fieldSelector": "", "count": 7},
    ]

    assert requests_of(rows) == {("watch", "pods"): 3}


def test_a_log_is_quiet_only_if_every_line_is_information() -> None:
    log = ['{"event": "x", "level": "info"}', '{"event": "y", "level": "warning"}', "Traceback"]

    assert warnings(log) == log[1:]


@pytest.mark.parametrize(
    ("versions", "said"), [((1, 1), "2 changes were made, 2 came|twice"), ((1,), "2 changes were made, 1 came")]
)
def test_a_change_that_came_twice_or_not_at_all_is_no_figure_also_out_of_order(
    versions: tuple[int, ...], said: str
) -> None:
    heard = Heard()
    changes = ",".join(f'{{"type":"change","seq":{version},"resourceVersion":"{version}"}}' for version in versions)
    heard.messages.append(f'{{"type":"delta","id":"all","prev":0,"seq":2,"changes":[{changes}]}}'.encode())
    heard.at.append(0)
    heard.changes = len(versions)

    with pytest.raises(PathBroken, match=said):
        check(heard, 2, is_ordered=False)


def test_changes_of_many_streams_may_come_in_any_order() -> None:
    heard = Heard()
    changes = '{"type":"change","seq":1,"resourceVersion":"2"},{"type":"change","seq":2,"resourceVersion":"1"}'
    heard.messages.append(f'{{"type":"delta","id":"all","prev":0,"seq":2,"changes":[{changes}]}}'.encode())
    heard.at.append(0)
    heard.changes = 2

    check(heard, 2, is_ordered=False)
    with pytest.raises(PathBroken, match="out of order"):
        check(heard, 2)


def test_a_push_of_the_gateway_has_the_same_lines_in_either_format_and_none_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateway, "_PUSHES", 2)
    requests = gateway.requests()

    lines = [
        [
            (one.time.seconds * 10**9 + one.time.nanos, one.line)
            for stream in PushMessage.FromString(request).streams
            for one in stream.entries
        ]
        for request in requests
    ]
    of_json = json.loads(gzip.decompress(gateway.as_json(requests[0])))["streams"]

    assert [len(each) for each in lines] == [4000, 4000]
    assert not {at for at, _ in lines[0]} & {at for at, _ in lines[1]}
    assert [(int(at), line) for stream in of_json for at, line in stream["values"]] == lines[0]


def test_a_fleet_that_did_not_catch_up_says_which_streams_lag_and_why() -> None:
    rows = [StreamState("pods/node=a", 9, "spool-a", 1), StreamState("pods/node=b", 4, "spool-b", 3)]
    item = {"agent": "node/b", "connected": False, "streams": [{"name": "pods/node=b", "state": "blind"}]}

    late = lagging(rows, ["a", "b", "c"], 5)
    first, of_c, of_b = told(late, [item], at_ns=5, now_ns=2_000_000_004, of=3)

    assert [row.name for row in late] == ["pods/node=c", "pods/node=b"]
    assert "2 of 3 streams" in first
    assert "never complete, held by nobody; its agent: not in /agents" in of_c
    assert "complete 2.0 s ago, held by spool-b since term 3" in of_b
    assert '"connected": false' in of_b
    assert '"state": "blind"' in of_b


def test_of_a_log_s_warnings_the_last_are_told() -> None:
    head, *lines = last_warnings("aggregator", [f"warning {number}" for number in range(20)])

    assert "the last 8 of 20" in head
    assert [line.strip() for line in lines] == [f"warning {number}" for number in range(12, 20)]
    assert last_warnings("leader", []) == ["  leader: no warnings"]

"""Lines of a workload over its nodes: one order, one page after the other, and what is not there is said."""

import json

import pytest

from aggregator.logs.asking import Answer, LogQuery
from aggregator.logs.reading import NodeLines
from tests.aggregator.logs.house import SECOND, START, Fleet, PodJournal


async def ask(lines: NodeLines, **asked: object) -> Answer:
    asked = {"namespace": "shop", "workload": "checkout"} | asked
    answer = await lines.read(LogQuery(**asked))  # type: ignore[arg-type]
    assert answer is not None
    return answer


def texts(answer: Answer) -> list[str]:
    return [line.text for line in answer.lines]


@pytest.fixture
def two_nodes(journal: PodJournal, fleet: Fleet) -> Fleet:
    for at, name in enumerate(("a", "b")):
        journal.pod(f"checkout-5d8f7c9b6-{name * 5}", name)
        node = fleet.node(name)
        for second in range(at, 20, 2):
            node.write(f"checkout-5d8f7c9b6-{name * 5}", second, f"line {second}")
    return fleet


async def test_lines_of_a_workload_are_merged_over_its_nodes(lines: NodeLines, two_nodes: Fleet) -> None:
    answer = await ask(lines)

    assert texts(answer) == [f"line {n}" for n in range(20)]
    assert {line.target.node for line in answer.lines} == {"a", "b"}
    assert {(line.target.workload.kind, line.target.workload.name) for line in answer.lines} == {
        ("Deployment", "checkout")
    }
    assert (answer.older, answer.missing, answer.gaps) == (0, [], [])


async def test_pages_go_back_without_a_hole_or_a_repeat(lines: NodeLines, two_nodes: Fleet) -> None:
    two_nodes.nodes["b"].write("checkout-5d8f7c9b6-bbbbb", 20, "twin")
    two_nodes.nodes["a"].write("checkout-5d8f7c9b6-aaaaa", 20, "twin")
    found: list[str] = []
    until = 0
    while True:
        answer = await ask(lines, limit=3, until=until)
        found = texts(answer) + found
        until = answer.older
        if not until:
            break

    assert found == [*(f"line {n}" for n in range(20)), "twin", "twin"]


async def test_who_is_meant_is_found_by_pod_uid_workload_and_kind(
    lines: NodeLines, two_nodes: Fleet, journal: PodJournal
) -> None:
    journal.pod("checkout-0", "a", kind="StatefulSet")
    two_nodes.nodes["a"].write("checkout-0", 30, "of the StatefulSet")
    journal.pod("checkout-worker-5d8f7c9b6-ccccc", "a", workload="checkout-worker")
    two_nodes.nodes["a"].write("checkout-worker-5d8f7c9b6-ccccc", 31, "of another")

    assert texts(await ask(lines, workload_kind="StatefulSet")) == ["of the StatefulSet"]
    assert texts(await ask(lines, workload="", pod="checkout-0")) == ["of the StatefulSet"]
    assert texts(await ask(lines, workload="", namespace="", uid="uid-checkout-0")) == ["of the StatefulSet"]
    assert texts(await ask(lines, workload="checkout-worker")) == ["of another"]
    assert await lines.read(LogQuery(namespace="shop", workload="check")) is None


async def test_pods_that_are_named_otherwise_than_their_workload_are_found(
    lines: NodeLines, journal: PodJournal, fleet: Fleet
) -> None:
    journal.pod("x-1", "a", workload="kafka", kind="StrimziPodSet")
    fleet.node("a").write("x-1", 1, "hello")

    assert texts(await ask(lines, workload="kafka")) == ["hello"]


async def test_a_node_that_does_not_answer_is_told_and_the_others_answer(lines: NodeLines, two_nodes: Fleet) -> None:
    two_nodes.connected.discard("b")
    without = await ask(lines)
    two_nodes.connected.add("b")
    two_nodes.nodes["b"].away = True
    failing = await ask(lines)

    assert texts(without) == texts(failing) == [f"line {n}" for n in range(0, 20, 2)]
    lost = "lines of checkout-5d8f7c9b6-bbbbb are missing"
    assert without.missing == [f"node b: no agent there answers; {lost}"]
    assert failing.missing == [f"agent node/b did not answer to the end: lines: the agent is gone; {lost}"]


async def test_a_pod_that_is_gone_counts_where_it_may_have_written(
    lines: NodeLines, two_nodes: Fleet, journal: PodJournal
) -> None:
    journal.pod("checkout-5d8f7c9b6-gone1", "a", gone_at=5)

    whole = await ask(lines)
    since = await ask(lines, since=START + 6 * SECOND)
    page = await ask(lines, limit=10)

    assert whole.missing == [
        "pod shop/checkout-5d8f7c9b6-gone1: gone since 2026-01-02T03:04:10.000000000Z, and its files with it"
    ]
    assert since.missing == []
    assert page.missing == []


async def test_a_pod_that_never_ran_has_no_lines_to_miss(
    lines: NodeLines, two_nodes: Fleet, journal: PodJournal
) -> None:
    journal.pod("checkout-5d8f7c9b6-wait1", "a", has_run=False)
    journal.pod("checkout-5d8f7c9b6-gone1", "a", gone_at=5, has_run=False)

    assert (await ask(lines)).missing == []


async def test_a_pod_that_is_gone_and_whose_files_are_there_still_is_read(
    lines: NodeLines, journal: PodJournal, fleet: Fleet
) -> None:
    journal.pod("checkout-5d8f7c9b6-gone1", "a", gone_at=990)
    fleet.node("a").write("checkout-5d8f7c9b6-gone1", 980, "last words")

    answer = await ask(lines)

    assert texts(answer) == ["last words"]
    assert answer.missing == []


async def test_only_gaps_of_these_lines_make_an_answer_incomplete(
    lines: NodeLines, two_nodes: Fleet, journal: PodJournal
) -> None:
    streams = (
        ("logs/shop/checkout-5d8f7c9b6-aaaaa/app", "lost"),
        ("logs/shop/checkout-5d8f7c9b6-aaaaa/proxy", "lost"),
        ("logs/shop/other/app", "lost"),
        ("pods/node=a", "open"),
        ("pods/node=a", "lost"),
        ("deployments", "open"),
    )
    journal.gap_items = [
        {"stream": stream, "outcome": outcome, "id": at} for at, (stream, outcome) in enumerate(streams)
    ]

    def ids(answer: Answer) -> list[int]:
        return [journal.gap_items.index(json.loads(gap)) for gap in answer.gaps]

    assert ids(await ask(lines, container="app")) == [0, 3]
    assert ids(await ask(lines, workload="", pod="checkout-5d8f7c9b6-aaaaa")) == [0, 1]
    assert journal.asked[-1].start is None


@pytest.mark.parametrize(
    ("stream", "touches"),
    [
        ("logs/shop/checkout-5d8f7c9b6-aaaaa/*", True),
        ("logs/shop/*/*", True),
        ("logs/*/*/*", True),
        ("logs/other/*/*", False),
        ("logs/shop/checkout-5d8f7c9b6-zzzzz/*", False),
    ],
)
async def test_a_gap_that_stands_for_many_containers_is_one_of_each(
    lines: NodeLines, two_nodes: Fleet, journal: PodJournal, stream: str, touches: bool
) -> None:
    journal.gap_items = [{"stream": stream, "outcome": "lost"}]

    assert bool((await ask(lines, container="app")).gaps) == touches


async def test_filters_reach_the_node(lines: NodeLines, journal: PodJournal, fleet: Fleet) -> None:
    journal.pod("checkout-5d8f7c9b6-aaaaa", "a")
    node = fleet.node("a")
    for at, text in enumerate(("INFO a", "ERROR b", "FATAL c", "ERROR password=abc")):
        node.write("checkout-5d8f7c9b6-aaaaa", at, text)
    node.write("checkout-5d8f7c9b6-aaaaa", 9, "ERROR of the next instance", restart=1)

    chosen = await ask(lines, level="error", grep="b|c", limit=5, previous=True)

    assert texts(chosen) == ["ERROR b", "FATAL c", "ERROR password=[scrubbed secret]"]
    assert texts(await ask(lines, since=START + 9 * SECOND)) == ["ERROR of the next instance"]


async def test_a_loss_is_found_among_those_of_a_thousand_others(
    lines: NodeLines, journal: PodJournal, fleet: Fleet
) -> None:
    journal.pod("checkout-5d8f7c9b6-a", "a")
    fleet.node("a").write("checkout-5d8f7c9b6-a", 0, "line")
    others = [{"stream": f"logs/shop/other-{n}/app", "outcome": "lost"} for n in range(1_200)]
    journal.gap_items = [*others, {"stream": "logs/shop/checkout-5d8f7c9b6-a/app", "outcome": "lost"}]

    answer = await ask(lines)

    assert [json.loads(gap)["stream"] for gap in answer.gaps] == ["logs/shop/checkout-5d8f7c9b6-a/app"]

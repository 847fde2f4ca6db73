"""Lines as they come: from every node, new pods too, once for everybody who asks for the same."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from agent.lines import answering
from aggregator.logs import following, sinks
from aggregator.logs.asking import LogQuery
from aggregator.logs.following import Tails, TooManyTails
from aggregator.logs.reading import NodeLines
from aggregator.logs.sinks import Notice, Sink
from aggregator.records import Facets, Published
from tests.aggregator.logs.house import START, Fleet, Node, PodJournal

QUERY = LogQuery(namespace="shop", workload="checkout", limit=10, follow=True)
POD = "checkout-5d8f7c9b6-"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(following, "HOLD_SECONDS", 0.05)
    monkeypatch.setattr(following, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(following, "_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(following, "_GATHER_SECONDS", 0.02)


@pytest.fixture
async def tails(lines: NodeLines) -> AsyncIterator[Tails]:
    tails = Tails(lines)
    yield tails
    await tails.close()


async def heard(sink: Sink, enough: Callable[[list[str], list[Notice]], bool]) -> tuple[list[str], list[Notice]]:
    """Return the texts and notices that came until they are *enough*."""
    texts: list[str] = []
    notices: list[Notice] = []
    async with asyncio.timeout(10):
        while not enough(texts, notices):
            await sink.ready.wait()
            _, some, lines = sink.take()
            texts += [json.loads(line)["text"] for line in lines]
            notices += some
    return texts, notices


def has(text: str) -> Callable[[list[str], list[Notice]], bool]:
    return lambda texts, _: text in texts


async def followed(tails: Tails, journal: PodJournal, fleet: Fleet) -> tuple[Node, Sink]:
    """Follow the pod `a`, which has one line; return its node, and who has heard that line."""
    journal.pod(POD + "a", "a")
    node = fleet.node("a")
    node.write(POD + "a", 0, "old")
    sink = tails.hear(QUERY)
    await heard(sink, has("old"))
    return node, sink


async def followed_far_apart(tails: Tails, journal: PodJournal, fleet: Fleet) -> tuple[Node, Sink]:
    """Follow the pod `a` whose container y is far behind its container x."""
    journal.pod(POD + "a", "a")
    node = fleet.node("a")
    node.write(POD + "a", 10, "y 10", container="y")
    node.write(POD + "a", 100, "x 100", container="x")
    sink = tails.hear(QUERY)
    await heard(sink, has("x 100"))
    return node, sink


def told(uid: str) -> list[Published]:
    facets = Facets(namespace="shop", kind="Pod", name=uid, uid=uid)
    return [Published(seq=1, topic="changes", committed_at=1, facets=facets, json=b"{}")]


async def test_what_there_was_and_what_comes_is_in_one_order_over_nodes(
    tails: Tails, journal: PodJournal, fleet: Fleet
) -> None:
    for at, name in enumerate(("a", "b")):
        journal.pod(POD + name, name)
        fleet.node(name).write(POD + name, at, f"old {name}")
    sink = tails.hear(QUERY)
    assert (await heard(sink, has("old b")))[0] == ["old a", "old b"]

    fleet.nodes["b"].write(POD + "b", 12, "third")
    fleet.nodes["a"].write(POD + "a", 10, "first")
    fleet.nodes["b"].write(POD + "b", 13, "fourth")
    fleet.nodes["a"].write(POD + "a", 11, "second")
    texts, _ = await heard(sink, lambda texts, _: len(texts) == 4)

    assert sorted(texts) == ["first", "fourth", "second", "third"]
    assert texts.index("first") < texts.index("second")
    assert texts.index("third") < texts.index("fourth")


async def test_those_who_ask_for_the_same_share_one_request_and_the_last_ends_it(
    tails: Tails, journal: PodJournal, fleet: Fleet
) -> None:
    node, first = await followed(tails, journal, fleet)
    second = tails.hear(QUERY)
    other = tails.hear(replace(QUERY, grep="nothing"))

    assert (await heard(second, has("old")))[0] == ["old"]
    node.write(POD + "a", 1, "new")
    assert (await heard(first, has("new")))[0] == (await heard(second, has("new")))[0] == ["new"]
    assert node.requests == 2

    await tails.leave(QUERY, first)
    assert node.under_way == 2
    await tails.leave(QUERY, second)
    assert node.under_way == 1
    await tails.leave(replace(QUERY, grep="nothing"), other)
    assert (node.under_way, len(tails)) == (0, 0)


async def test_new_pods_join_when_a_commit_tells_of_them(tails: Tails, journal: PodJournal, fleet: Fleet) -> None:
    _, sink = await followed(tails, journal, fleet)
    node = fleet.node("b")

    uid = journal.pod(POD + "b", "b")
    tails.committed(told(uid))
    node.write(POD + "b", 1, "first words")

    assert (await heard(sink, has("first words")))[0] == ["first words"]


async def test_pods_that_wait_for_a_node_are_followed_where_they_are_bound(
    tails: Tails, journal: PodJournal, fleet: Fleet
) -> None:
    _, sink = await followed(tails, journal, fleet)
    fleet.node("b")

    for name in ("c", "d"):
        tails.committed(told(journal.pod(POD + name, "")))
    for name, node in (("c", "a"), ("d", "b")):
        tails.committed(told(journal.pod(POD + name, node)))
        fleet.nodes[node].write(POD + name, 1, f"of {name}")

    assert sorted((await heard(sink, lambda texts, _: len(texts) == 2))[0]) == ["of c", "of d"]


async def test_many_pods_that_join_one_by_one_take_few_places_of_an_agent(
    tails: Tails, journal: PodJournal, fleet: Fleet
) -> None:
    journal.pod(POD + "0", "a")
    node = fleet.node("a")
    node.write(POD + "0", 0, "old")
    sink = tails.hear(QUERY)
    await heard(sink, has("old"))
    expected = []
    for number in range(1, 8):
        uid = journal.pod(f"{POD}{number}", "a")
        tails.committed(told(uid))
        for pod in range(number + 1):
            node.write(f"{POD}{pod}", number * 10 + pod, f"{number}:{pod}")
            expected.append(f"{number}:{pod}")
        texts, _ = await heard(sink, has(f"{number}:{number}"))
        while len(texts) < number + 1:
            texts += (await heard(sink, lambda texts, _: bool(texts)))[0]
        assert sorted(texts) == [f"{number}:{pod}" for pod in range(number + 1)]

    assert node.under_way <= 4


async def test_versions_of_other_pods_cost_one_search_and_not_one_each(
    tails: Tails, journal: PodJournal, fleet: Fleet
) -> None:
    await followed(tails, journal, fleet)
    journal.pod("other-1", "a", workload="other")
    tails.committed(told("uid-other-1"))
    ((tail, _),) = tails._tails.values()
    async with asyncio.timeout(5):
        while tail.dirty.is_set():
            await asyncio.sleep(0.01)

    tails.committed(told("uid-other-1"))

    assert not tail.dirty.is_set()


async def test_an_agent_that_was_away_is_asked_from_the_last_line_on(
    tails: Tails, journal: PodJournal, fleet: Fleet
) -> None:
    node, sink = await followed(tails, journal, fleet)

    node.away = True
    fleet.connected.discard("a")
    node.write(POD + "a", 1, "unseen")
    _, notices = await heard(sink, lambda _, notices: bool(notices))
    assert notices[0].cause == "agentLost"
    node.write(POD + "a", 2, "unseen too")
    node.away = False
    fleet.connected.add("a")

    assert (await heard(sink, has("unseen too")))[0] == ["unseen", "unseen too"]


async def test_a_container_that_is_far_behind_another_of_its_pod_loses_nothing(
    tails: Tails, journal: PodJournal, fleet: Fleet
) -> None:
    node, sink = await followed_far_apart(tails, journal, fleet)

    node.write(POD + "a", 50, "y 50", container="y")

    assert (await heard(sink, has("y 50")))[0] == ["y 50"]


async def test_a_container_that_was_behind_when_its_agent_went_is_asked_from_its_own_last_line_on(
    tails: Tails, journal: PodJournal, fleet: Fleet
) -> None:
    node, sink = await followed_far_apart(tails, journal, fleet)

    await lose(node, fleet, sink)
    node.write(POD + "a", 50, "y 50", container="y")
    node.write(POD + "a", 101, "x 101", container="x")
    find(node, fleet)

    assert (await heard(sink, has("x 101")))[0] == ["y 50", "x 101"]


async def test_one_that_wrote_much_while_its_agent_was_away_does_not_hide_another(
    tails: Tails, journal: PodJournal, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_CATCH_UP_LINES", 10)
    node, sink = await followed_far_apart(tails, journal, fleet)

    await lose(node, fleet, sink)
    node.write(POD + "a", 50, "y 50", container="y")
    missed = [f"x {at}" for at in range(101, 120)]
    for text in missed:
        node.write(POD + "a", float(text[2:]), text, container="x")
    find(node, fleet)
    texts, notices = await heard(sink, lambda texts, _: len(texts) >= 20)
    assert (sorted(texts), notices) == (sorted([*missed, "y 50"]), [])

    await lose(node, fleet, sink)
    for at in range(200, 240):
        node.write(POD + "a", at, f"x {at}", container="x")
    find(node, fleet)
    texts, notices = await heard(sink, lambda texts, notices: "x 239" in texts and bool(notices))
    assert "x 200" not in texts
    assert [(it.cause, "container x" in it.detail) for it in notices] == [("tooFast", True)]


async def test_a_container_that_began_while_its_agent_was_away_is_followed_from_its_first_line(
    tails: Tails, journal: PodJournal, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_CATCH_UP_LINES", 10)
    journal.pod(POD + "a", "a", latest={"x": (0, START), "new": (0, START), "quiet": (0, START)})
    node = fleet.node("a")
    node.write(POD + "a", 1, "long ago", container="x")
    node.write(POD + "a", 100, "x 100", container="x")
    sink = tails.hear(replace(QUERY, limit=1))
    assert (await heard(sink, has("x 100")))[0] == ["x 100"]
    node.write(POD + "a", 200, "x 200", container="x")
    await heard(sink, has("x 200"))

    await lose(node, fleet, sink)
    # It began before the last line that another of the pod had told: its agent looks for such but once a second.
    missed = ["new 150", *(f"x {at}" for at in range(210, 228))]
    for text in missed:
        container, at = text.split()
        node.write(POD + "a", float(at), text, container=container)
    node.write(POD + "a", 230, "new 230", container="new")
    find(node, fleet)
    texts, notices = await heard(sink, lambda texts, _: len(texts) >= 20)

    assert (sorted(texts), notices) == (sorted([*missed, "new 230"]), [])


async def lose(node: Node, fleet: Fleet, sink: Sink) -> None:
    """Let the agent of *node* go, and hear that it went."""
    node.away = True
    fleet.connected.discard(node.name)
    # It goes in the middle of an answer.
    node.write(POD + "a", node.requests, f"the last of {node.requests}", container="z")
    await heard(sink, lambda texts, notices: bool(texts and notices))


def find(node: Node, fleet: Fleet) -> None:
    """Let the agent of *node* come back."""
    node.away = False
    fleet.connected.add(node.name)


async def test_only_so_many_questions_are_followed(lines: NodeLines, journal: PodJournal) -> None:
    tails = Tails(lines, max_tails=1)
    tails.hear(QUERY)

    with pytest.raises(TooManyTails):
        tails.hear(replace(QUERY, grep="other"))
    tails.hear(QUERY)
    await tails.close()


def test_who_is_slow_loses_the_oldest_and_is_told_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "MAX_SINK_LINES", 3)
    sink = Sink()
    sink.put(b"%d" % n for n in range(5))
    sink.put([b"5"], [Notice("tooFast", 7)])

    assert sink.take() == (3, [Notice("tooFast", 7)], [b"3", b"4", b"5"])
    assert sink.take() == (0, [], [])

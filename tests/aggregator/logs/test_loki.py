"""What no file holds any more comes from Loki, once, under the same rules."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from aggregator.logs import loki as loki_module
from aggregator.logs.asking import Answer, LogQuery
from aggregator.logs.loki import LokiLines
from aggregator.logs.reading import NodeLines
from kubescribe.labels.enriching import NodeFacts, enrich
from kubescribe.labels.pods import PodFacts
from kubescribe.lines.scrubbing import Scrubber
from kubescribe.loki.client import LokiClient, open_client
from kubescribe.loki.config import LokiConfig
from kubescribe.loki.encoding import compress, encode_entry, encode_metadata, encode_stream
from kubescribe.wire.times import to_rfc3339
from simulator.loki.app import RunningLoki, running_loki
from tests.aggregator.logs.house import SECOND, Fleet, PodJournal

POD = "checkout-5d8f7c9b6-"
NOW = time.time_ns()
QUERY = LogQuery(namespace="shop", workload="checkout", limit=100)


class Memory:
    """A Loki, and a way to fill it; times are seconds before now."""

    def __init__(self, server: RunningLoki, client: LokiClient) -> None:
        self.server = server
        self.client = client

    async def push(
        self, pod: str, *entries: tuple[float, str], stream: str = "stdout", container: str = "app", restart: int = 2
    ) -> None:
        """Push lines under the names that our own agents give them."""
        facts = PodFacts(
            namespace="shop",
            name=POD + pod,
            uid=f"uid-{POD}{pod}",
            owner_kind="ReplicaSet",
            owner_name="checkout-5d8f7c9b6",
            labels={"pod-template-hash": "5d8f7c9b6"},
        )
        named = enrich(facts, container=container, restart=restart, node=NodeFacts(cluster="test", node="a"))
        metadata = encode_metadata(named.metadata)
        encoded = b"".join(
            encode_entry(NOW - int(ago * SECOND), text.encode(), metadata)
            for ago, text in sorted(entries, reverse=True)
        )
        answer = await self.client.push(compress(encode_stream(named.selector(stream), encoded)))
        assert answer.status == 204, answer


@pytest.fixture
async def memory() -> AsyncIterator[Memory]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_loki())
        client = await stack.enter_async_context(open_client(LokiConfig(url=server.url), version="test"))
        yield Memory(server, client)


@pytest.fixture
def remembering(journal: PodJournal, fleet: Fleet, memory: Memory) -> NodeLines:
    lines = NodeLines(journal, fleet, now_ns=time.time_ns)
    lines.loki = LokiLines(memory.client, Scrubber(), now_ns=time.time_ns)
    return lines


async def ask(lines: NodeLines, **asked: object) -> Answer:
    answer = await lines.read(replace(QUERY, **asked))  # type: ignore[arg-type]
    assert answer is not None
    return answer


def texts(answer: Answer) -> list[str]:
    return [line.text for line in answer.lines]


def write(fleet: Fleet, node: str, pod: str, ago: float, text: str) -> None:
    """Write a line to a pod's file, *ago* seconds before now."""
    fleet.nodes[node].write_at(NOW - int(ago * SECOND), POD + pod, text)


async def test_lines_of_a_pod_that_is_gone_are_remembered(
    remembering: NodeLines, journal: PodJournal, memory: Memory
) -> None:
    journal.pod(POD + "a", "a", gone_at=1)
    await memory.push("a", (30, "INFO hello"), (20, "ERROR password=hunter2"))
    await memory.push("other", (25, "of another"))
    await memory.push("a", (24, "an Event"), stream="event")

    answer = await ask(remembering)

    assert texts(answer) == ["INFO hello", "ERROR password=[scrubbed secret]"]
    assert [(line.source, line.restart, line.container, line.level) for line in answer.lines] == [
        ("loki", 2, "app", "info"),
        ("loki", 2, "app", "error"),
    ]
    assert answer.missing == []


async def test_lines_of_files_and_of_loki_are_one_list_without_doubles(
    remembering: NodeLines, journal: PodJournal, fleet: Fleet, memory: Memory
) -> None:
    journal.pod(POD + "a", "a")
    fleet.node("a")
    await memory.push("a", *((ago, f"line {ago}") for ago in range(10, 40)))
    for ago in range(19, 4, -1):  # the files begin 19 seconds ago, and are ahead of Loki
        write(fleet, "a", "a", ago, f"line {ago}")

    answer = await ask(remembering)
    page = await ask(remembering, limit=5)

    assert texts(answer) == [f"line {ago}" for ago in range(39, 4, -1)]
    assert [line.source for line in answer.lines] == ["loki"] * 20 + ["node"] * 15
    assert texts(page) == [f"line {ago}" for ago in range(9, 4, -1)]
    assert page.older == page.lines[0].at


async def test_pages_go_on_from_files_into_loki(
    remembering: NodeLines, journal: PodJournal, fleet: Fleet, memory: Memory
) -> None:
    journal.pod(POD + "a", "a")
    fleet.node("a")
    await memory.push("a", *((ago, f"line {ago}") for ago in range(10, 40)))
    for ago in range(19, 4, -1):
        write(fleet, "a", "a", ago, f"line {ago}")
    found: list[str] = []
    until = 0
    while True:
        answer = await ask(remembering, limit=7, until=until)
        found = texts(answer) + found
        until = answer.older
        if not until:
            break

    assert found == [f"line {ago}" for ago in range(39, 4, -1)]


async def test_a_node_that_is_away_is_remembered_as_far_as_it_sent_and_told(
    remembering: NodeLines, journal: PodJournal, memory: Memory
) -> None:
    journal.pod(POD + "a", "away")
    await memory.push("a", (10, "sent"))

    answer = await ask(remembering)

    assert texts(answer) == ["sent"]
    assert answer.missing == [f"node away: no agent there answers; lines of {POD}a are missing"]


async def test_filters_are_held_here_and_look_through_more_than_a_page(
    remembering: NodeLines, journal: PodJournal, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loki_module, "_PAGE", 10)
    journal.pod(POD + "a", "a", gone_at=1)
    await memory.push("a", (99, "ERROR needle"), *((ago, f"INFO token=needle{ago}") for ago in range(10, 40)))

    chosen = await ask(remembering, grep="needle")
    level = await ask(remembering, level="error")

    assert texts(chosen) == texts(level) == ["ERROR needle"]


async def test_a_loki_that_does_not_answer_is_told(remembering: NodeLines, journal: PodJournal) -> None:
    journal.pod(POD + "a", "a", gone_at=1)
    async with open_client(LokiConfig(url="http://127.0.0.1:9"), version="test") as client:
        remembering.loki = LokiLines(client, Scrubber(), now_ns=time.time_ns)
        answer = await ask(remembering)

    assert answer.lines == []
    assert answer.missing[0].startswith("Loki did not answer: ")
    assert "its files with it" in answer.missing[1]


async def test_instances_before_the_last_are_remembered_when_their_files_are_gone(
    remembering: NodeLines, journal: PodJournal, fleet: Fleet, memory: Memory
) -> None:
    journal.pod(POD + "a", "a", latest={"app": (2, NOW - 20 * SECOND), "side": (0, NOW - 90 * SECOND)})
    journal.pod(POD + "b", "a", latest={"app": (0, NOW - 90 * SECOND)})
    fleet.node("a")
    write(fleet, "a", "a", 19, "third life")
    fleet.nodes["a"].write_at(NOW - 80 * SECOND, POD + "a", "never ended", container="side")
    write(fleet, "a", "b", 50, "never ended either")
    await memory.push("a", (60, "first life"), restart=0)
    await memory.push("a", (40, "second life"), (19.999, "its last words"), restart=1)
    await memory.push("a", (19, "third life"), restart=2)
    await memory.push("a", (80, "never ended"), container="side", restart=0)
    await memory.push("b", (50, "never ended either"), restart=0)

    before = await ask(remembering, previous=True)
    words = await ask(remembering, previous=True, limit=1, grep="l")

    assert [(line.restart, line.text, line.source) for line in before.lines] == [
        (0, "first life", "loki"),
        (1, "second life", "loki"),
        (1, "its last words", "loki"),
    ]
    assert before.missing == []
    assert texts(words) == ["its last words"]


async def test_the_last_instance_of_a_pod_that_is_gone_is_no_earlier_one(
    remembering: NodeLines, journal: PodJournal, memory: Memory
) -> None:
    journal.pod(POD + "a", "a", gone_at=1, latest={"app": (1, NOW - 20 * SECOND)})
    journal.pod(POD + "b", "a", gone_at=1, has_run=False)
    journal.items[-1]["body"]["status"] = {}
    await memory.push("a", (40, "its first"), restart=0)
    await memory.push("a", (15, "its last"), restart=1)
    await memory.push("b", (40, "nobody told of its restarts"), restart=0)
    await memory.push("b", (15, "but Loki"), restart=1)

    answer = await ask(remembering, previous=True)

    assert sorted(texts(answer)) == ["its first", "nobody told of its restarts"]
    assert answer.missing == []


async def test_an_earlier_instance_is_looked_for_where_another_container_has_all_its_files(
    remembering: NodeLines, journal: PodJournal, fleet: Fleet, memory: Memory
) -> None:
    journal.pod(POD + "a", "a", latest={"app": (3, NOW - 20 * SECOND), "side": (0, NOW - 90 * SECOND)})
    journal.items[-1]["body"]["metadata"]["creationTimestamp"] = to_rfc3339(NOW - 91 * SECOND)
    fleet.node("a")
    write(fleet, "a", "a", 19, "fourth life")
    fleet.nodes["a"].write_at(NOW - 85 * SECOND, POD + "a", "from the beginning", container="side")
    await memory.push("a", (60, "first life"), restart=0)
    await memory.push("a", (19, "fourth life"), restart=3)

    answer = await ask(remembering)

    assert [(line.text, line.source) for line in answer.lines] == [
        ("from the beginning", "node"),
        ("first life", "loki"),
        ("fourth life", "node"),
    ]

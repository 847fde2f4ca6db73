"""What an answer says of its own completeness once retention has deleted something, over every store."""

from contextlib import nullcontext

import pytest
from prometheus_client import CollectorRegistry

from aggregator.metrics import FeedMetrics
from aggregator.outlets.hub import Hub
from aggregator.store.opening import open_journal
from aggregator.web.app import public_app
from aggregator.web.guarding import Guard
from aggregator.web.parts import WebParts
from kubescribe.wire.times import to_rfc3339
from tests.aggregator.store.story import Story, uid_of
from tests.aggregator.web.conftest import Recording, line_parts

OLD, YOUNG, DEAD = uid_of(1), uid_of(2), uid_of(3)
SECOND = 10**9
BEFORE, HORIZON, AFTER = (to_rfc3339(at * SECOND) for at in (2, 5, 7))


@pytest.fixture(params=["memory:", "journal.db"])
async def ask(request, tmp_path, serve, session):
    """Give (ask, forget): what asks the API, and what makes the journal forget its first five seconds."""
    journal = open_journal(request.param if request.param == "memory:" else str(tmp_path / request.param))
    await journal.open()
    story = Story()
    for second in range(1, 10):
        story.committed_at = second * SECOND
        story.pod("old", second, uid=OLD, at=second * SECOND)
        if second in {2, 3}:
            story.pod("dead", 100 + second, uid=DEAD, at=second * SECOND, gone=second == 3)
        if second > 6:
            story.pod("young", 200 + second, uid=YOUNG, at=second * SECOND)
            story.event(f"e{second}", 300 + second)
        await journal.commit(story.take())
    hub = Hub(journal_id="j", last_seq=20, metrics=FeedMetrics(CollectorRegistry()), now_ns=lambda: 10 * SECOND)
    parts = WebParts(
        **line_parts(journal),
        journal=journal,
        hub=hub,
        recorder=Recording(),
        guard=Guard(None),
        version="0",
        now_ns=lambda: 10 * SECOND,
        horizon=lambda: SECOND,
    )
    url, _ = await serve(public_app(parts))

    async def ask(path, status=200):
        async with session.get(f"{url}/api/v1/{path}") as response:
            assert response.status == status, await response.text()
            return await response.json(content_type=None)

    async def forget():
        await journal.prune(before=6 * SECOND, max_bytes=0, step=100, forgetting=lambda _: nullcontext())

    yield ask, forget
    await journal.close()


LISTS = ("changes", "occurrences", "gaps")


async def test_a_list_without_from_is_whole_in_a_journal_that_never_forgot(ask):
    ask, _ = ask

    for path in (*LISTS, "changes?order=asc", f"objects/{OLD}/history", "objects", "status"):
        answer = await ask(path)
        assert (answer["complete"], answer["gaps"]) == (True, []), path


async def test_a_list_that_reaches_below_the_horizon_says_until_when_it_is_not_whole(ask):
    ask, forget = ask
    await forget()

    for path in (
        *LISTS,
        "changes?order=asc",
        "changes?limit=1",
        "changes?after=18",
        "changes?order=asc&after=3",
        f"changes?from={BEFORE}",
        f"changes?to={AFTER}",
        f"gaps?from={BEFORE}&to={BEFORE}",
        f"objects/{OLD}/history",
        f"objects?at={BEFORE}",
        f"objects/{OLD}?at={HORIZON}",
        f"status?from={BEFORE}",
    ):
        answer = await ask(path)
        (gap,) = answer["gaps"]
        assert (answer["complete"], gap["cause"], gap["to"]) == (False, "unrecorded", HORIZON), path


async def test_what_lies_above_the_horizon_is_whole(ask):
    ask, forget = ask
    await forget()

    for path in (
        f"changes?from={AFTER}",
        f"occurrences?from={HORIZON}",
        "changes?order=asc&after=7",
        f"objects/{YOUNG}/history",
        f"objects/{OLD}?at={AFTER}",
        f"objects/{OLD}",
        f"objects?at={AFTER}",
        "objects",
        "agents",
        "status",
    ):
        answer = await ask(path)
        assert (answer.get("complete"), answer.get("gaps")) == (True, []), path


async def test_an_object_that_may_be_forgotten_is_not_said_to_have_never_been(ask):
    ask, forget = ask
    assert (await ask(f"objects/{DEAD}"))["gone"] is True
    await forget()

    dead = await ask(f"objects/{DEAD}", status=404)
    then = await ask(f"objects/{OLD}?at={BEFORE}", status=404)
    history = await ask(f"objects/{DEAD}/history", status=404)

    for problem in (dead, then, history):
        assert "does not reach back before" in problem["detail"]

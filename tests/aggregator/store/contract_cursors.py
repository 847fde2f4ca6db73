"""What outlets are promised, by every store: cursors that survive, and what a change made of its object."""

import json

from tests.aggregator.store.contract_retention import commit, prune
from tests.aggregator.store.story import Story


async def test_a_cursor_is_where_it_was_left_also_after_a_restart(store):
    assert await store.cursor("loki/changes") is None

    await store.move_cursor("loki/changes", 7)
    await store.move_cursor("loki/occurrences", 3)
    await store.move_cursor("loki/changes", 9)
    await store.close()
    await store.open()

    assert await store.cursor("loki/changes") == 9
    assert await store.cursor("loki/occurrences") == 3
    assert await store.cursor("loki") is None


async def test_a_transition_is_what_a_version_made_of_the_one_below_it(store):
    story = Story()
    for rv in (*range(10, 20), 5):
        story.pod("web-1", rv)
    await store.commit(story.take())

    found = await store.transitions([1, 2, 10, 11, 999])

    assert sorted(found) == [1, 2, 10, 11]
    assert found[1].before is None
    assert found[11].before is None, "a late version that none lay below"
    for seq in (2, 10):
        assert json.loads(found[seq].before) == json.loads(story.bodies[seq - 1])
        assert json.loads(found[seq].after) == json.loads(story.bodies[seq])


async def test_a_transition_that_was_not_stored_is_missing(store):
    assert await store.transitions([]) == {}
    assert await store.transitions([4]) == {}


async def test_what_retention_deleted_below_a_version_is_nothing_before_it(store):
    story = Story()
    for rv in range(1, 6):
        story.pod("web-1", rv)
    end = await commit(store, story)
    story.pod("web-1", 6)
    await commit(store, story)
    await prune(store, end)

    found = await store.transitions([4, 5, 6])

    assert sorted(found) == [5, 6]
    assert found[5].before is None
    assert json.loads(found[6].before) == json.loads(found[5].after)

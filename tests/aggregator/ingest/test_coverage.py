"""Who reports each node: decided on times and names alone."""

import pytest

from aggregator.ingest.coverage import SECOND, Coverage


@pytest.fixture
def coverage() -> Coverage:
    it = Coverage(after_seconds=60.0, max_adopted=2)
    for name in ("n1", "n2", "n3"):
        it.node_came(name, 0)
        it.agent_came(f"node/{name}", name, 1 * SECOND)
    return it


def states(coverage: Coverage) -> dict[str, tuple[str, str, int]]:
    return {it.node: (it.state, it.by, it.since // SECOND) for it in coverage.nodes()}


def adopted(coverage: Coverage, at: int, held=()) -> tuple[str, ...]:
    return coverage.to_adopt("cluster/a", held, at * SECOND)


def test_only_a_node_that_comes_or_goes_is_news(coverage):
    came, went = coverage.node_came, coverage.node_went

    assert [came("n1", 5), came("n4", 5), came("n4", 6)] == [False, True, False]
    assert [went("n4", 7), went("n4", 8), came("n4", 9)] == [True, False, True]
    assert [went("never-seen", 9), coverage.gone()] == [True, ("never-seen",)]


def test_a_node_is_reported_by_its_agent(coverage):
    assert states(coverage)["n1"] == ("reporting", "node/n1", 1)
    assert adopted(coverage, 500) == ()


def test_a_node_whose_agent_is_away_for_a_minute_is_adopted_and_not_before(coverage):
    coverage.agent_went("node/n1", "n1", 100 * SECOND)

    assert adopted(coverage, 159) == ()
    assert states(coverage)["n1"] == ("unreported", "", 100)
    assert adopted(coverage, 160) == ("n1",)
    assert states(coverage)["n1"] == ("adopted", "cluster/a", 100)


def test_a_node_that_never_had_an_agent_is_adopted(coverage):
    coverage.node_came("fargate-1", 100 * SECOND)

    assert adopted(coverage, 159) == ()
    assert adopted(coverage, 160) == ("fargate-1",)


def test_a_node_agent_that_returns_wins(coverage):
    coverage.agent_went("node/n1", "n1", 100 * SECOND)
    adopted(coverage, 160)
    coverage.agent_came("node/n1", "n1", 170 * SECOND)

    assert adopted(coverage, 170) == ()
    assert states(coverage)["n1"] == ("reporting", "node/n1", 170)


def test_what_a_deleted_node_left_is_adopted_at_once_unless_its_agent_is_still_there(coverage):
    coverage.node_went("n1", 100 * SECOND)
    assert adopted(coverage, 100) == ()

    coverage.agent_went("node/n1", "n1", 101 * SECOND)
    assert adopted(coverage, 101) == ("n1",)
    assert coverage.gone() == ("n1",)

    coverage.retire("n1")
    assert adopted(coverage, 102) == ()
    assert "n1" not in states(coverage)


def test_an_agent_that_goes_without_its_node_being_known_leaves_a_deleted_node(coverage):
    coverage.agent_came("node/old", "old", 100 * SECOND)
    assert adopted(coverage, 100) == ()
    coverage.agent_went("node/old", "old", 101 * SECOND)

    assert adopted(coverage, 101) == ("old",)
    assert coverage.gone() == ("old",)
    coverage.node_came("old", 102 * SECOND)  # it was the Node that was late
    assert coverage.gone() == ()


def test_what_one_leader_had_adopted_the_next_one_adopts_at_once(coverage):
    coverage.agent_went("node/n1", "n1", 100 * SECOND)
    adopted(coverage, 160)
    coverage.abandon(200 * SECOND)
    assert states(coverage)["n1"][0] == "unreported"
    assert coverage.to_adopt("cluster/b", (), 210 * SECOND) == ("n1",)

    coverage.agent_came("node/n1", "n1", 220 * SECOND)
    coverage.agent_went("node/n1", "n1", 230 * SECOND)
    assert adopted(coverage, 289) == ()  # its own agent was here: it has its minute again


def test_what_the_adopter_holds_stays_with_it_across_a_restart(coverage):
    fresh = Coverage(after_seconds=60.0)
    fresh.node_came("n1", 0, since=-500 * SECOND)
    fresh.node_came("n2", 0)

    assert adopted(fresh, 1, held={"n1"}) == ("n1",)
    assert states(fresh)["n1"] == ("adopted", "cluster/a", -500)
    assert states(fresh)["n2"][0] == "unreported"


def test_beyond_the_limit_those_wait_that_have_been_alone_for_the_shortest_time(coverage):
    for at, name in ((100, "n3"), (101, "n1"), (102, "n2")):
        coverage.agent_went(f"node/{name}", name, at * SECOND)

    assert adopted(coverage, 200) == ("n1", "n3")
    assert coverage.unreported(200 * SECOND) == {"n2": 102 * SECOND}


def test_without_a_cluster_agent_what_was_adopted_is_unreported_from_then(coverage):
    coverage.agent_went("node/n1", "n1", 100 * SECOND)
    adopted(coverage, 160)
    coverage.abandon(300 * SECOND)

    assert states(coverage)["n1"] == ("unreported", "", 100)
    assert coverage.unreported(359 * SECOND) == {}
    assert coverage.unreported(360 * SECOND) == {"n1": 300 * SECOND}
    # The next one takes it after the same patience.
    assert adopted(coverage, 360) == ("n1",)


def test_an_agent_that_watches_everything_leaves_nothing_to_adopt(coverage):
    coverage.agent_went("node/n1", "n1", 100 * SECOND)
    coverage.agent_came("all", "", 101 * SECOND)

    assert adopted(coverage, 500) == ()
    assert states(coverage)["n1"][:2] == ("reporting", "all")
    assert coverage.unreported(500 * SECOND) == {}

    coverage.agent_went("all", "", 501 * SECOND)
    assert adopted(coverage, 502) == ("n1",)


def test_an_agent_may_come_before_its_node_is_known(coverage):
    coverage.agent_came("node/n9", "n9", 5 * SECOND)
    coverage.node_came("n9", 6 * SECOND)

    assert states(coverage)["n9"][:2] == ("reporting", "node/n9")

"""What may be trusted."""

from aggregator.outlets.fleet import NodeStatus
from tests.aggregator.web.conftest import NOW


async def test_status_tells_agents_gaps_horizon_and_our_own_load(site):
    site.bench.publish(2)

    status = await site.json("/api/v1/status?from=2026-01-02T03:04:05Z")

    assert status["state"] == "complete"
    assert status["cluster"] == "test"
    assert status["journal"]["lastSeq"] == 2
    assert status["journal"]["writable"] is True
    assert status["reporting"] == {"connected": 1, "away": 0}
    assert status["lagSeconds"] == 0.5
    assert status["apiServerRequests"] == {"watch": 3}
    assert status["agents"][0]["streams"][0] | {"seenAt": ""} == {
        "name": "pods",
        "state": "live",
        "seenAt": "",
        "resourceVersion": "7",
        "detail": None,
    }


async def test_trouble_and_gaps_change_the_state(site):
    site.bench.journal.gap_items = [b'{"type":"gap"}']
    assert (await site.json("/api/v1/status"))["state"] == "incomplete"

    site.recorder.reason = "the disk is full"
    status = await site.json("/api/v1/status")

    assert (status["state"], status["trouble"]) == ("degraded", "the disk is full")
    assert status["complete"] is False


async def test_status_tells_which_nodes_are_not_reported_and_who_covers_them(site):
    site.recorder.covered = [
        a_node("n1", "reporting", "a1"),
        a_node("n2", "adopted", "cluster/a", is_gone=True),
        a_node("n3", "unreported"),
    ]

    status = await site.json("/api/v1/status")

    since = "2026-01-02T03:04:05.000000006Z"
    assert status["state"] == "incomplete"
    assert status["nodes"] == {
        "total": 3,
        "reporting": 1,
        "adopted": 1,
        "unreported": 1,
        "notReporting": [
            {"node": "n3", "state": "unreported", "since": since, "coveredBy": None, "deleted": False},
            {"node": "n2", "state": "adopted", "since": since, "coveredBy": "cluster/a", "deleted": True},
        ],
    }


async def test_what_is_adopted_is_seen_and_needs_nobody(site):
    site.recorder.covered = [a_node("n1", "reporting", "a1"), a_node("n2", "adopted", "cluster/a")]

    assert (await site.json("/api/v1/status"))["state"] == "complete"


async def test_agents_tell_who_covers_for_them_also_on_nodes_that_never_had_one(site):
    site.recorder.covered = [a_node("n2", "adopted", "cluster/a"), a_node("n3", "unreported")]

    items = (await site.json("/api/v1/agents"))["items"]

    assert [(it["agent"], it["node"], it["connected"], it["coveredBy"]) for it in items] == [
        ("a1", "n1", True, None),
        ("node/n2", "n2", False, "cluster/a"),
        ("node/n3", "n3", False, None),
    ]


def a_node(name, state, by="", *, is_gone=False):
    return NodeStatus(node=name, state=state, by=by, since=NOW, is_gone=is_gone)


async def test_agents_are_a_list_like_any_other(site):
    agents = await site.json("/api/v1/agents")

    assert set(agents) == {"items", "next", "complete", "gaps"}
    assert agents["items"][0]["agent"] == "a1"

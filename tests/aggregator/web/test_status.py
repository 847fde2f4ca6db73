"""What may be trusted."""


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


async def test_agents_are_a_list_like_any_other(site):
    agents = await site.json("/api/v1/agents")

    assert set(agents) == {"items", "next", "complete", "gaps"}
    assert agents["items"][0]["agent"] == "a1"

"""Counters are exact whatever is killed: held against what the pretend cluster's own pods say in the end."""

import json
import urllib.request

import pytest

from tests.chaos.test_kill import kill_again_and_again


def restarts_of_the_cluster(it) -> int:
    """Return how often containers were started again, as the API server's pods say."""
    request = urllib.request.Request(
        it.cluster.url + "/api/v1/pods", headers={"Authorization": f"Bearer {it.cluster.token}"}
    )
    with urllib.request.urlopen(request) as answer:
        pods = json.load(answer)["items"]
    return sum(status["restartCount"] for pod in pods for status in pod["status"].get("containerStatuses", ()))


def counted(it, family: str) -> int:
    ((value,),) = it.ask(f"SELECT coalesce(sum(value), 0) FROM counters WHERE family = '{family}'")
    return value


@pytest.mark.timeout(180)
async def test_restarts_are_counted_exactly_whatever_is_killed(rig):
    async with rig("--quiet", "--pods", "40", "--nodes", "3", "--window-events", "200000") as it:
        await it.control.load(changes=40)
        await it.until_synced()
        was, had = restarts_of_the_cluster(it), counted(it, "container_restarts_total")

        await it.control.load(300)
        await kill_again_and_again(it, seed=5, rounds=2)
        await it.control.load(0)
        await it.until_synced()

        happened = restarts_of_the_cluster(it) - was
        assert happened > 50
        assert counted(it, "container_restarts_total") - had == happened
        assert counted(it, "container_terminations_total") == counted(it, "container_restarts_total")

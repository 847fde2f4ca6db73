"""The scope `all`: every kind that is served, and all pods in one stream."""

from agent.supervision.whole import WholeScope
from tests.agent.supervision.conftest import KINDS, until


async def test_every_kind_is_watched_in_one_stream(house):
    scope = WholeScope(house.tools, house.spool, KINDS)
    assert scope.unready() == "the API server has not told its kinds yet"

    await house.run(scope)

    await until(lambda: all(stream.state == "live" for stream in scope.watchers.health()) and scope.unready() == "")
    assert set(scope.watchers.names()) == {"pods", "nodes", "configmaps"} == house.claims.held


async def test_an_api_server_that_is_away_at_the_start_is_asked_again(house):
    await house.control.fail("pods", code=503, count=10_000)  # so that no stream becomes live, discovery does
    scope = WholeScope(house.tools, house.spool, KINDS)

    await house.run(scope)

    await until(lambda: len(scope.watchers.names()) == len(KINDS))

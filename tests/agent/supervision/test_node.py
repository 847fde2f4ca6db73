"""The scope `node`: one stream, one watch, nothing else asked."""

from agent.supervision.node import NodeScope
from kubescribe.wire.records import Change
from tests.agent.supervision.conftest import until


async def test_only_the_pods_of_the_node_are_watched_and_no_kind_is_asked_for(house):
    await house.add_pod("here", "node-a")
    await house.add_pod("there", "node-b")
    scope = NodeScope(house.tools, house.spool, "node-a")
    assert scope.unready() == "the watch has not begun"

    await house.run(scope)
    await until(lambda: [it.state for it in scope.watchers.health()] == ["live"])

    assert house.claims.held == {"pods/node=node-a"}
    assert [it.name for it in await house.records() if isinstance(it, Change)] == ["here"]
    assert {request.partition(" ")[2] for request in house.session.requests} == {"pods", "version"}
    assert scope.unready() == ""
    assert scope.handlers() == {}


async def test_a_watch_that_tries_again_is_ready_and_one_that_is_refused_is_not(house):
    scope = NodeScope(house.tools, house.spool, "node-a")
    await house.control.fail("pods", code=503, count=10_000)
    await house.run(scope)
    await until(lambda: any("503" in it.detail for it in scope.watchers.health()))
    assert scope.unready() == ""

    await house.control.mend()
    await house.control.forbid("pods")
    await house.control.drop("pods")

    assert await until(lambda: scope.unready() if "403" in scope.unready() else "")


async def test_nothing_is_adopted(house):
    scope = NodeScope(house.tools, house.spool, "node-a")
    await house.run(scope)

    await scope.on_adopt([])

    assert house.claims.once == []

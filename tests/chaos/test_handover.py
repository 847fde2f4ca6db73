"""
Streams change hands: leaders hang, nodes die with their agents, spools vanish, pods move while nobody looks.

One fleet for all tests, in their order; each leaves it whole. Each ends alike: every version that is news is there
once, or lies in a gap that is lost; no pod lives for ever and none was declared dead while it lived; nobody is in
doubt, and every gap is closed.
"""

import random
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.chaos.conftest import eventually
from tests.chaos.fleet import Fleet, running_fleet

pytestmark = [pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

NODES = ("n1", "n2", "n3")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Three nodes with agents, two cluster agents, spools as small as can be; what is away for 10 s is adopted."""
    async with running_fleet(
        tmp_path_factory.mktemp("handover"),
        cluster_options=("--quiet", "--window-events", "100000"),
        nodes=NODES,
        made=NODES,
        aggregator_options=("--adoption-after", "10s"),
        agent_options=("--spool-max-bytes", "256KiB"),
    ) as made:
        yield made


async def add_pod(fleet: Fleet, name: str, node: str = "") -> None:
    spec = {"containers": [{"name": "app", "image": "app:1"}], **({"nodeName": node} if node else {})}
    await fleet.rig.control.create("pods", {"metadata": {"name": name, "namespace": "default"}, "spec": spec})


async def delete_pods(fleet: Fleet, *names: str) -> None:
    for name in names:
        await fleet.rig.control.delete("pods", "default", name)
    await has(fleet)


async def add_config(fleet: Fleet, name: str) -> None:
    """Add 40 KB that compress badly and that no redaction replaces: numbers."""
    draw = random.Random(name)
    data = {f"key-{number}": str(draw.randrange(10**17, 10**18)) for number in range(1500)}
    await fleet.rig.control.create("configmaps", {"metadata": {"name": name, "namespace": "default"}, "data": data})


async def has(fleet: Fleet, seconds: float = 40.0, **pods: str) -> None:
    """Wait until just these pods are alive for the journal, on these nodes."""
    await eventually(lambda: fleet.alive() == pods, seconds, lambda: f"{fleet.alive()}, not {pods}")


async def settled(fleet: Fleet, *, with_gaps: bool = False) -> None:
    finding = await fleet.until_whole(60.0, with_gaps=with_gaps)
    assert finding.problems == []
    await fleet.until_settled()


def nodes_known(fleet: Fleet) -> dict[str, str]:
    """Return how many nodes there are, and who reports those whose own agent is away."""
    status = fleet.rig.fetch("/api/v1/status")
    away = {it["node"]: it["coveredBy"] or "nobody" for it in status["nodes"]["notReporting"]}
    return {"total": status["nodes"]["total"], **away}


async def knows(fleet: Fleet, total: int) -> None:
    await eventually(lambda: nodes_known(fleet) == {"total": total}, 40, lambda: f"{nodes_known(fleet)}")


async def test_a_pod_that_is_bound_while_its_nodes_agent_is_down_is_bound_and_never_dead(fleet: Fleet) -> None:
    await add_pod(fleet, "web")
    await has(fleet, web="")
    await fleet.nodes["n2"].kill()

    await fleet.rig.control.bind("default", "web", "n2")
    await has(fleet, web="n2")  # the cluster agent was asked, since the node's is away
    assert fleet.doubts() == 0

    await fleet.nodes["n2"].start()
    await settled(fleet)
    await has(fleet, web="n2")
    await delete_pods(fleet, "web")


async def test_a_pod_that_is_deleted_before_it_is_bound_is_deleted_once(fleet: Fleet) -> None:
    await add_pod(fleet, "web")
    await has(fleet, web="")

    await fleet.rig.control.delete("pods", "default", "web")

    await has(fleet)
    await settled(fleet)


async def test_a_pod_that_comes_again_under_its_name_on_another_node_is_another_pod(fleet: Fleet) -> None:
    await add_pod(fleet, "db-0", "n1")
    await has(fleet, **{"db-0": "n1"})
    await fleet.nodes["n1"].kill()

    await fleet.rig.control.recreate("default", "db-0", node="n2")
    await eventually(lambda: fleet.alive().get("db-0") == "n2", 30, lambda: f"{fleet.alive()}")

    await fleet.nodes["n1"].start()
    await settled(fleet)
    rows = "SELECT count(*), sum(h.gone) FROM objects o JOIN heads h ON h.object = o.id WHERE name = 'db-0'"
    assert fleet.rig.ask(rows) == [(2, 1)]
    await delete_pods(fleet, "db-0")


async def test_a_node_that_dies_with_its_agent_leaves_no_pod_behind_and_is_let_go(fleet: Fleet) -> None:
    for number in range(3):
        await add_pod(fleet, f"web-{number}", "n3")
    await has(fleet, **{f"web-{number}": "n3" for number in range(3)})

    await fleet.nodes["n3"].kill()
    await fleet.rig.control.vanish("n3", pods_after=2.0)

    await has(fleet)
    await knows(fleet, 2)
    assert "pods/node=n3" not in fleet.rig.resume_points()
    assert not [it for it in fleet.rig.fetch("/api/v1/agents")["items"] if it["node"] == "n3"]
    await settled(fleet)


async def test_a_node_that_joins_misses_nothing_however_late_its_agent_comes(fleet: Fleet) -> None:
    shutil.rmtree(fleet.nodes["n3"].folder / "data")
    await fleet.rig.control.return_node("n3")
    for number in range(20):
        await add_pod(fleet, f"job-{number}", "n3")
        await fleet.rig.control.delete("pods", "default", f"job-{number}")  # gone before anybody could list them
    await fleet.nodes["n3"].start()

    await settled(fleet)
    listed = "SELECT count(*) FROM changes c JOIN objects o ON o.id = c.object WHERE o.name LIKE 'job-%' AND c.listed"
    assert fleet.rig.ask(listed) == [(0,)]
    await knows(fleet, 3)


async def test_a_node_that_returns_under_its_name_is_reported_by_its_agent_again(fleet: Fleet) -> None:
    await add_pod(fleet, "web", "n3")
    await fleet.nodes["n3"].kill()
    await fleet.rig.control.vanish("n3", pods_after=0.0)
    await has(fleet)
    await fleet.rig.control.return_node("n3")
    await add_pod(fleet, "web-again", "n3")

    await fleet.nodes["n3"].start()

    await has(fleet, **{"web-again": "n3"})
    await knows(fleet, 3)
    await settled(fleet)
    await delete_pods(fleet, "web-again")


async def test_an_agent_whose_spool_is_wiped_goes_on_from_what_the_journal_has(fleet: Fleet) -> None:
    victim = fleet.nodes["n2"]
    await add_pod(fleet, "before", "n2")
    await has(fleet, before="n2")
    await victim.kill()
    shutil.rmtree(victim.folder / "data")
    await add_pod(fleet, "while-away", "n2")
    await fleet.rig.control.delete("pods", "default", "before")
    await victim.start()

    await has(fleet, **{"while-away": "n2"})
    await settled(fleet)
    await delete_pods(fleet, "while-away")


async def test_pods_that_move_while_the_aggregator_is_away_are_where_they_are(fleet: Fleet) -> None:
    for name, node in (("bound", ""), ("deleted", ""), ("moved", "n1"), ("stays", "n2"), ("dies", "n3")):
        await add_pod(fleet, name, node)
    await has(fleet, bound="", deleted="", moved="n1", stays="n2", dies="n3")

    await fleet.rig.aggregator.kill()
    control = fleet.rig.control
    await control.bind("default", "bound", "n2")
    await control.delete("pods", "default", "deleted")
    await control.recreate("default", "moved", node="n2")
    await add_pod(fleet, "short", "n1")
    await control.delete("pods", "default", "short")
    await fleet.nodes["n3"].kill()
    await control.vanish("n3", pods_after=0.0)
    await fleet.rig.aggregator.start()

    await has(fleet, bound="n2", moved="n2", stays="n2")
    await knows(fleet, 2)
    await settled(fleet)
    await delete_pods(fleet, "bound", "moved", "stays")


async def test_a_leader_that_hangs_is_replaced_and_its_full_spool_harms_nothing_when_it_wakes(fleet: Fleet) -> None:
    hung = fleet.leader()
    await fleet.rig.aggregator.kill()  # so that what the leader sees stays in its spool, which is too small for it
    for number in range(40):
        await add_config(fleet, f"config-{number}")
    await eventually(lambda: "spool.segment_dropped" in hung.output.read_text(), 30, lambda: "the spool has room")
    hung.suspend()
    for number in range(40, 60):
        await add_config(fleet, f"config-{number}")
    await fleet.rig.aggregator.start()

    await eventually(lambda: fleet.leader() is not hung, 30, lambda: f"{fleet.rig.ask('SELECT * FROM streams')}")
    await add_config(fleet, "after")
    hung.resume()

    await settled(fleet, with_gaps=True)
    kept = "SELECT count(*) FROM heads h JOIN words k ON k.id = h.kind WHERE h.gone = 0 AND k.text = 'ConfigMap'"
    assert fleet.rig.ask(kept)[0][0] >= 61
    assert fleet.leader() is not hung
    causes = {gap["cause"] for gap in fleet.rig.gaps() if gap["outcome"] == "lost"}
    assert causes <= {"spool_full", "expired", "relisted", "interrupted"}

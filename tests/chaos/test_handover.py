"""
Streams change hands: leaders hang, nodes die with their agents, spools vanish, pods move while nobody looks.

Each test ends alike: every version that is news is there once, or lies in a gap that is lost; no pod lives for ever and
none was declared dead while it lived; nobody is in doubt, and every gap is closed.
"""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.chaos.conftest import eventually
from tests.chaos.fleet import Fleet, running_fleet

pytestmark = pytest.mark.timeout(240)

NODES = ("n1", "n2", "n3")
QUIET = ("--quiet", "--window-events", "100000")


def a_fleet(folder: Path, *aggregator_options: str, agent_options: tuple[str, ...] = ()):
    return running_fleet(
        folder,
        cluster_options=QUIET,
        nodes=NODES,
        made=NODES,
        aggregator_options=aggregator_options or ("--adoption-after", "2s"),
        agent_options=agent_options,
    )


async def add_pod(fleet: Fleet, name: str, node: str = "") -> None:
    spec = {"containers": [{"name": "app", "image": "app:1"}], **({"nodeName": node} if node else {})}
    await fleet.rig.control.create("pods", {"metadata": {"name": name, "namespace": "default"}, "spec": spec})


async def has(fleet: Fleet, seconds: float = 40.0, **pods: str) -> None:
    """Wait until just these pods are alive for the journal, on these nodes."""
    await eventually(lambda: fleet.alive() == pods, seconds, lambda: f"{fleet.alive()}, not {pods}")


async def settled(fleet: Fleet, *, with_gaps: bool = False) -> None:
    finding = await fleet.until_whole(60.0, with_gaps=with_gaps)
    assert finding.problems == []
    await fleet.until_settled()


def nodes_known(fleet: Fleet) -> dict[str, str]:
    """Return who reports each node, as the API tells."""
    status = fleet.rig.fetch("/api/v1/status")
    away = {it["node"]: it["coveredBy"] or "nobody" for it in status["nodes"]["notReporting"]}
    return {"total": status["nodes"]["total"], **away}


async def test_a_pod_that_is_bound_while_its_nodes_agent_is_down_is_bound_and_never_dead(tmp_path: Path) -> None:
    async with a_fleet(tmp_path, "--adoption-after", "1h") as fleet:
        await add_pod(fleet, "web")
        await has(fleet, web="")
        await fleet.nodes["n2"].kill()

        await fleet.rig.control.bind("default", "web", "n2")
        await has(fleet, web="n2")  # the cluster agent was asked, since the node's is away
        assert fleet.doubts() == 0

        await fleet.nodes["n2"].start()
        await settled(fleet)
        await has(fleet, web="n2")


async def test_a_pod_that_is_deleted_before_it_is_bound_is_deleted_once(tmp_path: Path) -> None:
    async with a_fleet(tmp_path) as fleet:
        await add_pod(fleet, "web")
        await has(fleet, web="")

        await fleet.rig.control.delete("pods", "default", "web")

        await has(fleet)
        await settled(fleet)


async def test_a_pod_that_comes_again_under_its_name_on_another_node_is_another_pod(tmp_path: Path) -> None:
    async with a_fleet(tmp_path) as fleet:
        await add_pod(fleet, "db-0", "n1")
        await has(fleet, **{"db-0": "n1"})
        await fleet.nodes["n1"].kill()

        await fleet.rig.control.recreate("default", "db-0", node="n2")
        await has(fleet, **{"db-0": "n2"})

        await fleet.nodes["n1"].start()
        await settled(fleet)
        uids = fleet.rig.ask(
            "SELECT count(*), sum(h.gone) FROM objects o JOIN heads h ON h.object = o.id WHERE name = 'db-0'"
        )
        assert uids == [(2, 1)]


async def test_a_node_that_dies_with_its_agent_leaves_no_pod_behind_and_is_let_go(tmp_path: Path) -> None:
    async with a_fleet(tmp_path) as fleet:
        for number in range(3):
            await add_pod(fleet, f"web-{number}", "n3")
        await has(fleet, **{f"web-{number}": "n3" for number in range(3)})

        await fleet.nodes["n3"].kill()
        await fleet.rig.control.vanish("n3", pods_after=2.0)

        await has(fleet)
        await eventually(lambda: nodes_known(fleet) == {"total": 2}, 30, lambda: f"{nodes_known(fleet)}")
        assert "pods/node=n3" not in fleet.rig.resume_points()
        assert not [it for it in fleet.rig.fetch("/api/v1/agents")["items"] if it["node"] == "n3"]
        await settled(fleet)


async def test_a_node_that_returns_under_its_name_is_reported_by_its_agent_again(tmp_path: Path) -> None:
    async with a_fleet(tmp_path) as fleet:
        await add_pod(fleet, "web", "n3")
        await fleet.nodes["n3"].kill()
        await fleet.rig.control.vanish("n3", pods_after=0.0)
        await has(fleet)
        await fleet.rig.control.return_node("n3")
        await add_pod(fleet, "web-again", "n3")

        await fleet.nodes["n3"].start()

        await has(fleet, **{"web-again": "n3"})
        await eventually(lambda: nodes_known(fleet) == {"total": 3}, 30, lambda: f"{nodes_known(fleet)}")
        await settled(fleet)


async def test_a_node_that_joins_misses_nothing_however_late_its_agent_comes(tmp_path: Path) -> None:
    async with a_fleet(tmp_path, "--adoption-after", "1h") as fleet:
        await fleet.nodes["n3"].kill()
        await fleet.rig.control.vanish("n3", pods_after=0.0)
        await eventually(lambda: nodes_known(fleet) == {"total": 2}, 30, lambda: f"{nodes_known(fleet)}")
        shutil.rmtree(fleet.nodes["n3"].folder / "data")

        await fleet.rig.control.return_node("n3")
        for number in range(20):
            await add_pod(fleet, f"job-{number}", "n3")
            await fleet.rig.control.delete("pods", "default", f"job-{number}")  # gone before anybody could list them
        await fleet.nodes["n3"].start()

        finding = await fleet.until_whole(40.0)
        assert finding.problems == []
        listed = fleet.rig.ask(
            "SELECT count(*) FROM changes c JOIN objects o ON o.id = c.object WHERE o.name LIKE 'job-%' AND c.listed"
        )
        assert listed == [(0,)]
        await fleet.until_settled()


async def test_an_agent_whose_spool_is_wiped_goes_on_from_what_the_journal_has(tmp_path: Path) -> None:
    async with a_fleet(tmp_path) as fleet:
        await fleet.rig.control.load(200)
        await asyncio.sleep(1.0)
        victim = fleet.nodes["n2"]
        await victim.kill()
        shutil.rmtree(victim.folder / "data")
        await asyncio.sleep(1.0)
        await victim.start()
        await asyncio.sleep(1.0)
        await fleet.rig.control.load(0)

        await settled(fleet)


async def test_pods_that_move_while_the_aggregator_is_away_are_where_they_are(tmp_path: Path) -> None:
    async with a_fleet(tmp_path) as fleet:
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
        await asyncio.sleep(2.0)
        await fleet.rig.aggregator.start()

        await has(fleet, bound="n2", moved="n2", stays="n2")
        await settled(fleet)


async def test_a_leader_that_hangs_is_replaced_and_its_full_spool_harms_nothing_when_it_wakes(tmp_path: Path) -> None:
    async with a_fleet(tmp_path, agent_options=("--spool-max-bytes", "256KiB")) as fleet:
        hung = fleet.leader()
        await fleet.rig.aggregator.kill()  # so that what the leader sees stays in its spool, which is too small for it
        for number in range(40):
            await add_config(fleet, f"config-{number}")
        await asyncio.sleep(2.0)
        hung.suspend()
        for number in range(40, 60):
            await add_config(fleet, f"config-{number}")
        await fleet.rig.aggregator.start()

        await eventually(lambda: fleet.leader() is not hung, 30, lambda: f"{fleet.rig.ask('SELECT * FROM streams')}")
        await add_config(fleet, "after")
        hung.resume()

        await settled(fleet, with_gaps=True)
        kept = fleet.rig.ask(
            "SELECT count(*) FROM heads h JOIN words k ON k.id = h.kind WHERE h.gone = 0 AND k.text = 'ConfigMap'"
        )
        assert kept[0][0] >= 61
        assert fleet.leader() is not hung
        causes = {gap["cause"] for gap in fleet.rig.gaps() if gap["outcome"] == "lost"}
        assert causes <= {"spool_full", "expired", "relisted", "interrupted"}


async def add_config(fleet: Fleet, name: str) -> None:
    """Add 20 KB that compress badly."""
    import random

    draw = random.Random(name)
    data = {f"key-{number}": draw.randbytes(96).hex() for number in range(100)}
    await fleet.rig.control.create("configmaps", {"metadata": {"name": name, "namespace": "default"}, "data": data})

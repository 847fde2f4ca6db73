"""`GET usage`: what is known is shown, what is not is a gap, and nothing that is asked is a 500."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.census.roll import Roll
from aggregator.outlets.fleet import NodeStatus
from aggregator.outlets.usage.desk import UsageDesk, UsageQuery
from kubescribe.wire.link import Usage
from kubescribe.wire.usage import Compute, ContainerUsage, Network, NodeUsage, PodUsage, Space, VolumeUsage
from tests.aggregator.web.conftest import NOW


def tell(site, node, *names):
    compute = Compute(at=NOW, started_at=NOW - 10**12, cpu_nanoseconds=10**9, cpu_nanocores=5 * 10**8, memory_bytes=77)
    pods = tuple(
        PodUsage(
            namespace="shop",
            name=name,
            uid=f"uid-{name}",
            containers=(ContainerUsage(name="app", compute=compute),),
            volumes=(VolumeUsage(name="d", claim="data", space=Space(capacity_bytes=10, used_bytes=4)),),
            network=Network(received_bytes=5, sent_bytes=6),
        )
        for name in names
    )
    site.usage.take(Usage(source="kubelet", node=node, nodes=(NodeUsage(name=node, compute=compute),), pods=pods))


def known(*nodes):
    return [NodeStatus(node=node, state="reporting", by="a1", since=NOW - 9, is_gone=False) for node in nodes]


async def test_where_nobody_tells_of_usage_the_answer_says_so(site):
    answer = await site.json("/api/v1/usage")

    assert (answer["items"], answer["complete"]) == ([], False)
    assert [gap["cause"] for gap in answer["gaps"]] == ["usage_off"]


async def test_nodes_and_pods_are_shown_with_their_parts(site):
    tell(site, "n1", "web-1")

    node, pod = (await site.json("/api/v1/usage"))["items"]

    assert (node["kind"], node["name"], node["cpu"]["cores"], node["cpu"]["secondsTotal"]) == ("Node", "n1", 0.5, 1.0)
    assert (pod["kind"], pod["namespace"], pod["name"], pod["node"]) == ("Pod", "shop", "web-1", "n1")
    assert pod["cpu"] == {"cores": 0.5, "requestCores": None, "limitCores": None}
    assert pod["memory"]["workingSetBytes"] == 77
    assert pod["containers"][0]["cpu"]["secondsTotal"] == 1.0
    assert pod["volumes"][0]["usedBytes"] == 4
    assert pod["network"] == {"receivedBytes": 5, "sentBytes": 6}
    assert "history" not in pod


async def test_a_node_that_does_not_tell_is_a_gap_and_one_that_is_gone_is_none(site):
    tell(site, "n1", "web-1")
    site.recorder.covered = [
        *known("n1", "n2"),
        NodeStatus(node="n3", state="unreported", by="", since=1, is_gone=True),
    ]

    answer = await site.json("/api/v1/usage")
    of_one = await site.json("/api/v1/usage?node=n1")

    assert answer["complete"] is False
    assert [(gap["stream"], gap["outcome"]) for gap in answer["gaps"]] == [("usage/node=n2", "open")]
    assert (of_one["complete"], len(of_one["items"])) == (True, 2)


async def test_a_list_is_filtered_and_paged(site):
    tell(site, "n1", "web-1", "web-2", "db-1")
    tell(site, "n2", "web-3")

    first = await site.json("/api/v1/usage?kind=Pod&limit=3")
    second = await site.json(first["next"])

    assert [it["name"] for it in (*first["items"], *second["items"])] == ["db-1", "web-1", "web-2", "web-3"]
    assert second["next"] is None
    assert [it["name"] for it in (await site.json("/api/v1/usage?kind=Node"))["items"]] == ["n1", "n2"]
    assert [it["name"] for it in (await site.json("/api/v1/usage?node=n2"))["items"]] == ["n2", "web-3"]
    assert (await site.json("/api/v1/usage?namespace=other"))["items"] == []
    assert (await site.json("/api/v1/usage?workload=web"))["items"] == [], "no pod is known to the journal here"


async def test_the_last_minutes_are_told_where_they_are_asked_for(site):
    tell(site, "n1", "web-1")

    node, pod = (await site.json("/api/v1/usage?history=true"))["items"]

    assert [point["cpuCores"] for point in node["history"]] == [0.5]
    assert [point["workingSetBytes"] for point in pod["history"]] == [77]


@pytest.mark.parametrize(
    "query", ["kind=Secret", "limit=0", "after=", "history=maybe", "at=now", "after=" + "x" * 2000]
)
async def test_a_question_that_cannot_be_is_refused(site, query):
    assert "expected" in await site.json(f"/api/v1/usage?{query}", status=400)


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=40))
def test_whatever_key_comes_first_the_rows_after_it_are_in_order(after):
    desk = UsageDesk(Roll(), now_ns=lambda: NOW)
    pods = tuple(PodUsage(namespace="shop", name=f"web-{n}") for n in range(3))
    desk.take(Usage(source="kubelet", node="n1", pods=pods))

    rows = desk.rows(UsageQuery(after=after))

    assert [item["name"] for item in rows.items] == sorted(item["name"] for item in rows.items)

"""The scope `cluster`: who leads watches, others claim nothing; nodes are adopted as the aggregator names them."""

import pytest

from agent.errors import NotLeading, Undecodable
from agent.supervision.cluster import MAX_ADOPTED
from kubescribe.wire.codec import encode_settle
from kubescribe.wire.link import MAX_DOUBTS, SETTLE, Doubt, Settle, StreamClaim
from kubescribe.wire.records import Change, Gap
from tests.agent.supervision.conftest import WELCOME, until

OWN = {"nodes", "configmaps", "pods/unscheduled"}
A, B = (StreamClaim(name=f"pods/node=node-{letter}", kind="Pod") for letter in "ab")


def live(scope):
    return {stream.name for stream in scope.watchers.health() if stream.state == "live"}


async def leading(house):
    scope, election = await house.cluster()
    await until(lambda: live(scope) == OWN)
    return scope, election


async def adopted(house, *streams):
    scope, _ = await leading(house)
    await scope.on_adopt(streams)
    await until(lambda: live(scope) == OWN | {stream.name for stream in streams})
    return scope


async def test_who_leads_watches_every_kind_and_of_the_pods_those_without_a_node(house):
    scope, _ = await leading(house)

    assert house.claims.held == OWN
    assert scope.unready() == ""
    assert scope.health()[-1].name == "election"


async def test_who_does_not_lead_claims_nothing_and_is_ready(house):
    await house.lease_of("other")
    scope, election = await house.cluster()

    await until(lambda: election.is_known)
    await scope.on_adopt([A])

    assert (scope.unready(), house.claims.held, house.claims.once) == ("", set(), [])
    assert [(stream.name, stream.state, stream.detail) for stream in scope.health()] == [
        ("election", "live", "other leads")
    ]


async def test_without_permission_for_the_lease_it_is_not_ready(house):
    await house.control.forbid("leases")
    scope, _ = await house.cluster()

    assert await until(lambda: scope.unready() if "403" in scope.unready() else "")


async def test_who_ceases_to_lead_ends_its_watches_and_holds_nothing(house):
    scope = await adopted(house, A)
    await house.control.hang("leases", count=1_000)

    await until(lambda: scope.watchers.names() == ())

    assert house.claims.held == set()
    await house.control.mend()
    await until(lambda: live(scope) >= OWN)
    assert house.claims.terms["nodes"] == 2


async def test_who_ceases_to_lead_says_that_nobody_watches(house):
    scope = await adopted(house, A)
    await house.control.hang("leases", count=1_000)
    await until(lambda: scope.watchers.names() == ())
    await house.control.mend()
    await until(lambda: live(scope) >= OWN)

    gaps = [it for it in await house.records() if isinstance(it, Gap) and it.outcome == "open"]

    assert {gap.stream for gap in gaps} == OWN | {A.name}
    assert all(gap.start and gap.detail == "the agent that watched leads no longer" for gap in gaps)


async def test_a_stream_that_waits_for_its_grant_is_not_said_to_have_been_watched(house):
    house.claims.withheld = set(OWN)
    scope, election = await house.cluster()
    await until(lambda: set(scope.watchers.names()) == OWN)

    await house.control.hang("leases", count=1_000)
    await until(lambda: scope.watchers.names() == () and not election.is_leading)

    assert [it for it in await house.records() if isinstance(it, Gap) and "leads" in it.detail] == []


async def test_who_leads_again_goes_on_from_its_marks_without_a_list(house):
    scope, _ = await leading(house)
    await house.spool.flush()
    house.claims.points = {name: house.spool.marks()[name].resource_version for name in OWN}
    assert house.tools.counters.lists.total() == len(OWN)
    await house.control.hang("leases", count=1_000)
    await until(lambda: scope.watchers.names() == ())
    await house.add_pod("meanwhile")

    await house.control.mend()

    await until(lambda: live(scope) == OWN)
    await until(lambda: house.tools.counters.events)
    assert house.tools.counters.lists.total() == 0, "counted anew since it leads again"
    assert "meanwhile" in [record.name for record in await house.records() if isinstance(record, Change)]


async def test_an_adopted_node_is_watched_when_it_is_granted(house):
    await house.add_pod("of-a", "node-a")

    await adopted(house, A)

    assert house.claims.once == [A.name]
    assert A.name not in house.claims.held
    records = await house.records()
    assert [it.node for it in records if isinstance(it, Change) and it.name == "of-a"] == ["node-a"]


async def test_one_that_is_left_out_of_the_answer_is_not_watched_until_it_is_named_again(house):
    scope, _ = await leading(house)
    house.claims.withheld = {A.name}
    await scope.on_adopt([A, B])
    await until(lambda: B.name in live(scope))
    assert A.name not in scope.watchers

    house.claims.withheld = set()
    await scope.on_adopt([A, B])

    await until(lambda: A.name in live(scope))
    assert house.claims.once == [A.name, B.name, A.name]


async def test_one_that_is_not_named_any_more_is_let_go_and_nothing_is_kept_of_it(house):
    scope = await adopted(house, A, B)
    house.tools.counters.blind_seconds[A.name] += 1.0
    house.tools.counters.lists[A.name] += 1

    await scope.on_adopt([B])

    assert A.name not in scope.watchers
    assert B.name in scope.watchers
    assert A.name not in house.tools.counters.blind_seconds
    assert A.name not in house.tools.counters.lists
    await scope.on_adopt([A, B])
    await until(lambda: A.name in live(scope))


async def test_after_a_reconnection_the_adopted_are_watched_on_and_claimed_when_they_are_named(house):
    scope = await adopted(house, A)
    house.claims.points[A.name] = 1
    events = house.tools.counters.events
    await scope.on_welcome(WELCOME)
    assert house.claims.once == [A.name]

    await house.add_pod("later", "node-a")
    await until(lambda: house.tools.counters.events > events)
    (later,) = [it for it in await house.records() if isinstance(it, Change) and it.name == "later"]
    assert later.term == 1

    await scope.on_adopt([A])
    await until(lambda: scope.watchers.find(A.name).term == 2)
    assert house.claims.once == [A.name, A.name]


async def test_what_was_named_before_the_election_was_won_is_claimed_then(house):
    await house.lease_of("other")
    scope, election = await house.cluster()
    await until(lambda: election.is_known)
    await scope.on_adopt([A])

    await house.control.delete("leases", "default", "agents")

    await until(lambda: live(scope) == OWN | {A.name})


async def test_usage_of_the_cluster_is_asked_for_while_a_node_is_adopted(house):
    scope, _ = await leading(house)
    assert not scope.sees_all_pods()

    scope = await adopted(house, A)
    await scope.on_welcome(WELCOME)
    assert scope.sees_all_pods(), "also after a reconnection"

    await scope.on_adopt([])
    assert not scope.sees_all_pods()


async def test_what_is_no_stream_of_a_node_is_not_adopted(house):
    scope, _ = await leading(house)

    await scope.on_adopt([StreamClaim(name=name, kind="Pod") for name in ("pods", "secrets/node=a", "pods/x", "nodes")])

    assert house.claims.once == []
    assert live(scope) == OWN


async def test_no_more_are_adopted_than_there_are_connections(house):
    scope, _ = await leading(house)
    house.claims.withheld = {f"pods/node=n{number}" for number in range(MAX_ADOPTED + 5)}

    await scope.on_adopt([StreamClaim(name=name, kind="Pod") for name in sorted(house.claims.withheld)])

    assert len(house.claims.once) == MAX_ADOPTED


async def settled(scope, *doubts):
    return [part async for part in scope.handlers()[SETTLE](encode_settle(Settle(doubts=doubts)))]


async def test_doubts_are_settled_by_who_leads_and_lie_in_the_spool_when_it_answers(house):
    scope, _ = await leading(house)
    pod = await house.add_pod("bound", "node-a")
    doubt = Doubt(kind="Pod", namespace="shop", name="bound", uid=pod["metadata"]["uid"], resource_version=1)
    gone = Doubt(kind="Pod", namespace="shop", name="never", uid="u", resource_version=9)

    assert await settled(scope, doubt, gone) == []

    last = house.spool.last_n
    told = {it.name: it for it in await house.records() if isinstance(it, Change)}
    assert house.spool.last_n == last
    assert (told["bound"].node, told["bound"].stream) == ("node-a", "pods/unscheduled")
    assert (told["never"].gone, told["never"].resource_version) == (True, 9)


async def test_who_does_not_lead_settles_nothing(house):
    await house.lease_of("other")
    scope, _ = await house.cluster()

    with pytest.raises(NotLeading):
        await settled(scope)


async def test_more_doubts_than_are_taken_are_refused(house):
    scope, _ = await leading(house)
    doubt = Doubt(kind="Pod", name="x", uid="u", resource_version=1)

    with pytest.raises(Undecodable, match="at most 200"):
        await settled(scope, *[doubt] * (MAX_DOUBTS + 1))

"""The indices of pods agree with each other."""

from simulator.world.registry import NodeRecord, PodRecord, Registry


def node(name):
    return NodeRecord(name=name, address="10.0.0.4", number=0, zone="a", slots=110)


def pod(name, uid="u"):
    return PodRecord(namespace="shop", name=name, uid=uid, app="web", owner_kind="ReplicaSet", owner_uid="o")


def test_a_pod_is_found_by_owner_application_and_node_until_it_is_removed():
    registry = Registry()
    registry.nodes["n"] = node("n")
    first, second = pod("a"), pod("b")
    registry.add(first)
    registry.add(second)
    registry.bind(first, "n")

    assert registry.of_owner("o") == registry.of_app("shop", "web") == [first, second]
    assert registry.on_node("n") == [first]

    registry.remove(first)
    registry.remove(first)

    assert registry.of_owner("o") == registry.of_app("shop", "web") == [second]
    assert registry.on_node("n") == []
    registry.remove(second)
    assert not registry.pods
    assert registry.of_owner("o") == []


def test_the_successor_of_the_same_name_is_not_removed_with_its_predecessor():
    registry = Registry()
    old, new = pod("web-0", "u-1"), pod("web-0", "u-2")
    registry.add(old)
    registry.add(new)

    registry.remove(old)

    assert registry.pods["shop", "web-0"] is new
    assert registry.of_owner("o") == [new]


def test_addresses_of_a_node_stay_in_its_range():
    place = node("n")

    addresses = [place.new_pod_address() for _ in range(600)]

    assert addresses[0] == "10.100.0.2"
    assert {int(address.rpartition(".")[2]) for address in addresses} == set(range(2, 251))

"""What a kubelet says is read for what it is, and nonsense for nothing."""

import contextlib
import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import Undecodable
from agent.usage.summaries import MAX_PARTS, read_summary
from kubescribe.wire.codec import decode_from_agent, encode_message
from kubescribe.wire.link import Usage
from simulator.kubelets.documents import summary_of
from simulator.kubelets.nonsense import NONSENSE
from tests.agent.usage.conftest import NODE, NOW, a_pod

SECOND = 10**9


def read(document):
    return read_summary(json.dumps(document).encode(), "n1")


def test_a_summary_says_what_the_node_its_pods_and_their_volumes_use(summary):
    told = read(summary)

    (node,) = told.nodes
    pod = told.pods[0]
    container = pod.containers[0]
    assert (node.name, node.compute.started_at) == ("n1", int(NOW - 9_000) * SECOND)
    assert node.root.capacity_bytes > node.root.used_bytes > 0
    assert node.images.used_bytes > 0
    assert (pod.namespace, pod.name, pod.uid) == ("shop", "web-1", "uid-web-1")
    assert container.compute.cpu_nanoseconds > 0
    assert container.compute.memory_bytes > 2**20
    assert container.compute.at == int(NOW) * SECOND
    assert {volume.name: volume.claim for volume in pod.volumes} == {"data": "data-web-1", "tmp": ""}
    assert pod.network.sent_bytes > 0
    assert told.undecodable == 0


def test_a_pod_that_is_not_what_it_should_be_costs_itself_alone(summary):
    summary["pods"][0]["containers"] = {"not": "a list"}

    told = read(summary)

    assert [pod.name for pod in told.pods] == ["web-2"]
    assert told.undecodable == 1


def test_a_kubelet_that_leaves_out_what_it_may_is_understood(summary):
    bare = {"node": {"nodeName": "n1"}, "pods": [{"podRef": summary["pods"][0]["podRef"]}]}

    told = read(bare)

    assert told.nodes[0].compute.cpu_nanoseconds is None
    assert told.pods[0].containers == ()
    assert told.undecodable == 0


@pytest.mark.parametrize("how", ["negative", "huge", "infinite", "null", "text"])
def test_a_number_that_cannot_be_is_left_out(summary, how):
    told = read_summary(NONSENSE[how](summary), "n1")

    assert {container.compute.cpu_nanoseconds for pod in told.pods for container in pod.containers} <= {None}
    assert {pod.volumes[0].space.used_bytes for pod in told.pods} <= {None}


def test_a_name_with_quotes_and_line_feeds_costs_what_it_names_and_nothing_else(summary):
    whole = read(summary)
    told = read_summary(NONSENSE["names"](summary), "n1")

    assert [pod.name for pod in told.pods] == [pod.name for pod in whole.pods[1:]]
    assert [pod.containers for pod in told.pods] == [pod.containers for pod in whole.pods[1:]]
    assert told.undecodable == 1


def test_bytes_that_are_no_text_cost_the_pods_they_stand_in(summary):
    told = read_summary(NONSENSE["latin"](summary), "n1")

    assert len(told.nodes) == 1
    assert len(told.pods) + told.undecodable == len(summary["pods"])
    assert told.undecodable > 0


@pytest.mark.parametrize("how", ["future", "ancient"])
def test_a_time_that_cannot_be_is_none(summary, how):
    told = read_summary(NONSENSE[how](summary), "n1")

    assert {(it.compute.at, it.compute.started_at) for pod in told.pods for it in pod.containers} == {(0, 0)}
    assert told.pods[0].containers[0].compute.cpu_nanoseconds > 0


def test_a_pod_of_a_thousand_containers_is_cut(summary):
    told = read_summary(NONSENSE["crowd"](summary), "n1")

    assert {len(pod.containers) for pod in told.pods} == {MAX_PARTS}


@pytest.mark.parametrize("how", ["nan", "empty", "truncated", "html"])
def test_what_is_no_summary_says_so(summary, how):
    with pytest.raises(Undecodable):
        read_summary(NONSENSE[how](summary), "n1")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, it in value.items():
            yield from places(it, (*path, key))
    elif isinstance(value, list):
        for index, it in enumerate(value):
            yield from places(it, (*path, index))


def put(at, path, value):
    with contextlib.suppress(KeyError, IndexError, TypeError):  # an earlier change took the place away
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value


WHOLE = summary_of(NODE, [a_pod()], now=NOW, booted_at=NOW - 9, claims={})
PLACES = [path for path in places(WHOLE) if path]


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(PLACES), ANYTHING), max_size=4), st.data())
def test_whatever_stands_anywhere_in_a_summary_can_be_sent_or_is_undecodable(changes, data):
    document = copy.deepcopy(WHOLE)
    for path, value in changes:
        put(document, path, value)
    body = json.dumps(document).encode()[: data.draw(st.just(None) | st.integers(0, 4_000))]

    try:
        told = read_summary(body, "n1")
    except Undecodable:
        return

    message = Usage(source="kubelet", node="n1", nodes=told.nodes, pods=tuple(told.pods))
    assert decode_from_agent(encode_message(message)) == message

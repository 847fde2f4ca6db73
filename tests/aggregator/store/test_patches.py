"""Patches rebuild exactly, and say what changed in the words of the API."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.store import patches

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(alphabet='ab\u00e9"\\', max_size=4),
)
NAMES = st.sampled_from(["name", "containers", "env", "ports", "conditions", "type", "tolerations", "a", "", 'q"\\'])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=5)
KEYED = st.lists(st.builds(dict, name=st.sampled_from("abcde"), value=VALUES), max_size=5)


def as_written(body: bytes) -> object:
    return json.loads(body, parse_int=lambda text: ("int", text), parse_float=lambda text: ("float", text))


def shown(old: object, new: object) -> object:
    patch = patches.diff(json.dumps(old).encode(), json.dumps(new).encode())
    return json.loads(patches.render(patch))


def assert_exact(old: bytes, new: bytes) -> None:
    patch = patches.diff(old, new)

    assert as_written(patches.apply(old, patch)) == as_written(new)


@settings(deadline=None)
@given(OBJECTS, OBJECTS)
def test_applying_the_difference_gives_the_new_object(old, new):
    assert_exact(json.dumps(old).encode(), json.dumps(new).encode())


@settings(deadline=None)
@given(st.sampled_from(["containers", "env", "plain"]), KEYED, KEYED)
def test_lists_of_named_items_keep_their_order_and_their_items(field, old, new):
    assert_exact(json.dumps({field: old}).encode(), json.dumps({field: new}).encode())


@settings(deadline=None)
@given(st.lists(SCALARS, max_size=6), st.lists(SCALARS, max_size=6))
def test_plain_lists_are_rebuilt(old, new):
    assert_exact(json.dumps({"args": old}).encode(), json.dumps({"args": new}).encode())


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_mutated_pod_is_rebuilt(pod_lives, data):
    lives = [life for life in pod_lives.values() if len(life) > 1]
    life = data.draw(st.sampled_from(lives))
    old, new = data.draw(st.sampled_from(life)), json.loads(data.draw(st.sampled_from(life)))
    section = data.draw(st.sampled_from(sorted(new)))
    new[section] = data.draw(VALUES)

    assert_exact(old, json.dumps(new).encode())


def test_every_recorded_version_is_rebuilt_from_the_one_before(pod_lives):
    for life in pod_lives.values():
        for old, new in pairwise(life):
            assert_exact(old, new)
            assert_exact(new, old)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"a":1.0}', b'{"a":1}'),
        (b'{"a":1}', b'{"a":123456789012345678901234567890.50}'),
        (b'{"a":1}', b'{"a":null}'),
        (b'{"a":null}', b"{}"),
        (b"{}", b'{"a":null}'),
        (b'{"a":{}}', b'{"a":[]}'),
        (b'{"a":[null,1]}', b'{"a":[1]}'),
        (b'{"a":[1,1]}', b'{"a":[1,1,1]}'),
        (b'{"a": [1 , 2]}', b'{"a":[1,3]}'),
        (b'{"env":[{"name":"a"},{"name":"a"}]}', b'{"env":[{"name":"a"}]}'),
    ],
)
def test_a_value_is_kept_as_it_was_written(old, new):
    assert_exact(old, new)


def test_the_same_object_written_otherwise_makes_an_empty_patch():
    assert patches.diff(b'{"a":[1,{"b":2}],"c":3}', b'{ "c" : 3, "a": [1, {"b":2} ]}') == b"[]"


def test_the_path_of_a_named_item_holds_its_name():
    old = {"spec": {"containers": [{"name": "app", "image": "a:1"}, {"name": "proxy", "image": "p:1"}]}}
    new = {"spec": {"containers": [{"name": "app", "image": "a:2"}, {"name": "proxy", "image": "p:1"}]}}

    assert shown(old, new) == [{"path": ["spec", "containers", {"name": "app"}, "image"], "old": "a:1", "new": "a:2"}]


def test_ports_are_told_apart_by_number_and_protocol():
    old = {"ports": [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]}
    new = {"ports": [{"containerPort": 53, "protocol": "UDP"}]}

    assert shown(old, new) == [
        {
            "path": ["ports", {"containerPort": 53, "protocol": "TCP"}],
            "old": {"containerPort": 53, "protocol": "TCP"},
            "new": None,
        }
    ]


def test_added_and_removed_are_shown_with_null():
    assert shown({"a": 1}, {"b": 2}) == [
        {"path": ["a"], "old": 1, "new": None},
        {"path": ["b"], "old": None, "new": 2},
    ]


def test_the_place_of_an_inserted_item_is_kept_and_not_shown():
    old, new = {"env": [{"name": "b"}]}, {"env": [{"name": "a"}, {"name": "b"}]}

    assert shown(old, new) == [{"path": ["env", {"name": "a"}], "old": None, "new": {"name": "a"}}]


def test_tolerations_are_shown_as_a_whole():
    old, new = {"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}

    assert shown(old, new) == [{"path": ["tolerations"], "old": [{"key": "a"}], "new": [{"key": "b"}]}]


def test_a_plain_item_is_named_by_its_number():
    assert shown({"args": ["a", "b"]}, {"args": ["a", "c"]}) == [{"path": ["args", 1], "old": "b", "new": "c"}]


def test_a_patch_that_does_not_fit_is_an_error():
    for patch in (
        b'[{"path":["x","y"],"old":1,"new":2}]',
        b'[{"path":["l",7],"old":1,"new":2}]',
        b'[{"path":["n","y"],"old":1,"new":2}]',
    ):
        with pytest.raises(patches.PatchMisfit):
            patches.apply(b'{"l":[1],"n":1}', patch)


def test_a_value_nested_without_end_is_compared_as_a_whole():
    deep = lambda leaf: b'{"a":' * 400 + leaf + b"}" * 400  # noqa: E731

    assert_exact(deep(b"1"), deep(b"2"))

"""Bytes to typed values: the recordings decode, anything else is Undecodable."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ServerSaid, Undecodable
from agent.watch.decoding import (
    OpenObject,
    decode_event,
    decode_list,
    decode_object,
    has_initial_events_end,
    version_of,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "object", "kind", "metadata", "apiVersion", "spec", "status", "code", "items", "uid"]
            ),
            children,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_bytes_raise_nothing_unexpected(data):
    for decode in (decode_event, decode_object, decode_list):
        with suppress(Undecodable, ServerSaid):
            decode(data)


@pytest.mark.parametrize("data", [b"[" * 200_000, b'{"a":' * 100_000, b'{"type":"ADDED","object":' + b"[" * 100_000])
def test_a_nesting_bomb_is_undecodable(data):
    with pytest.raises(Undecodable):
        decode_event(data)


def test_every_recorded_line_decodes(recording):
    for name in ("pods", "nodes", "deployments", "configmaps", "endpointslices", "replicasets", "services", "jobs"):
        for line in recording(f"{name}.watch.ndjson"):
            event = decode_event(line)
            raw = json.loads(line)
            assert event.type == raw["type"]
            assert event.object.kind == raw["object"]["kind"]
            assert version_of(event.object.metadata) == int(raw["object"]["metadata"]["resourceVersion"])
            sections = {name: json.loads(part) for name, part in event.object.sections().items()}
            assert sections == {k: v for k, v in raw["object"].items() if k not in {"kind", "apiVersion", "metadata"}}


def test_an_object_of_another_shape_keeps_its_sections(recording):
    event = decode_event(recording("configmaps.watch.ndjson")[0])

    assert isinstance(event.object, OpenObject)
    assert event.object.sections() == {"data": b'{"timeout":"30"}'}


def test_an_error_in_the_stream_is_what_the_server_said(recording):
    with pytest.raises(ServerSaid) as caught:
        decode_event(recording("410.watch.ndjson")[0])

    assert (caught.value.code, caught.value.is_expired) == (410, True)


def test_a_bare_status_with_http_200_is_what_the_server_said():
    with pytest.raises(ServerSaid) as caught:
        decode_event(b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}')

    assert caught.value.is_expired


def test_a_version_that_is_too_large_is_told_by_its_cause():
    status = {
        "kind": "Status",
        "code": 504,
        "reason": "Timeout",
        "details": {"causes": [{"reason": "ResourceVersionTooLarge"}], "retryAfterSeconds": 1},
    }

    with pytest.raises(ServerSaid) as caught:
        decode_event(json.dumps({"type": "ERROR", "object": status}).encode())

    assert caught.value.is_too_large
    assert caught.value.retry_after_seconds == 1


def test_the_bookmark_that_ends_the_initial_events_is_known(recording):
    events = [decode_event(line) for line in recording("pods.watchlist.ndjson")]

    ends = [has_initial_events_end(event) for event in events if event.type == "BOOKMARK"]
    assert ends[0] is True


def test_a_version_that_is_no_number_is_undecodable():
    event = decode_event(b'{"type":"ADDED","object":{"kind":"Pod","metadata":{"resourceVersion":"abc"}}}')

    with pytest.raises(Undecodable):
        version_of(event.object.metadata)


def test_a_list_tells_its_version_and_its_items(recording):
    page = decode_list(b"".join(recording("pods.list.json")))

    assert int(page.metadata.resource_version) > 0
    assert all(decode_object(item).metadata.uid for item in page.items)

"""What shippers send is read as Loki reads it, and any bytes whatsoever are streams or a clear 400."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubescribe.gateway import lokijson, lokiproto, otlp, otlpjson
from kubescribe.gateway.bodies import unpacked
from kubescribe.gateway.entries import MAX_TIME
from kubescribe.gateway.errors import BadPush, GatewayError
from kubescribe.gateway.finding import NoPods
from kubescribe.gateway.intake import Intake, Received
from kubescribe.gateway.messages import Logs, Push
from kubescribe.gateway.naming import Naming
from kubescribe.loki.encoding import encode_entry, encode_stream, field
from tests.kubescribe.gateway.house import NOW, snappy, stream
from tests.kubescribe.loki.protobuf import decode

FILE_OF_A = {"stringValue": f"/var/log/pods/shop_a_{'0' * 32}/app/0.log"}
NAME_OF_A = {"k8s__namespace__name": {"stringValue": "shop"}, "k8s__pod__name": {"stringValue": "a"}}


def intake():
    return Intake(Naming(NoPods()), lambda *_: False, max_bytes=10**6)


def received(body, content_type="", encoding="", api="loki"):
    return Received(api=api, body=body, content_type=content_type, encoding=encoding, tenant="", at=NOW)


def of_json(body):
    return list(lokijson.streams_of(lokijson.parse(body)))


def of_otlp(body):
    return list(otlp.streams_of(otlp.parse(body), now_ns=NOW))


def lines_of(incoming):
    return decode(encode_stream("{}", incoming.entries))[0][1]


@pytest.mark.parametrize("api", ["loki", "otlp"])
@pytest.mark.parametrize("kind", ["", "application/json", "application/x-protobuf"])
@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
@settings(max_examples=25)
@given(body=st.binary(max_size=120))
def test_any_bytes_are_a_push_or_a_clear_refusal(body, kind, encoding, api):
    try:
        intake().understand(received(body, kind, encoding, api))
    except GatewayError as error:
        assert (error.status in (400, 413), bool(str(error))) == (True, True)  # noqa: PT017 - both ends are fine


@given(st.binary(max_size=120))
def test_any_protobuf_is_a_push_or_a_clear_refusal(body):
    for read in (lokiproto.streams_of, lokiproto.streams_of_large, of_otlp):
        try:
            list(read(body))
        except BadPush as error:
            assert str(error)  # noqa: PT017


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(anything, anything, anything)
def test_any_json_is_a_push_or_a_clear_refusal(labels, values, metadata):
    for body in (
        {"streams": [{"stream": labels, "values": values}]},
        {"streams": [{"stream": {"a": "b"}, "values": [["1", "x", metadata]]}]},
        {"resourceLogs": [{"resource": {"attributes": values}, "scopeLogs": [{"logRecords": [labels, metadata]}]}]},
    ):
        for api in ("loki", "otlp"):
            try:
                intake().understand(received(json.dumps(body).encode(), "application/json", api=api))
            except BadPush as error:
                assert str(error)  # noqa: PT017


def test_a_push_as_lokis_clients_write_it_stays_the_bytes_that_it_was():
    request = unpacked(snappy(stream('{a="b"}', b"one", b"two"), stream('{a="c"}', b"three", at=NOW + 9)), 10**6)

    same, streams = lokiproto.streams_of(request)

    assert same is request
    assert [(each.labels, each.count, each.first_at, each.last_at) for each in streams] == [
        ('{a="b"}', 2, NOW, NOW + 1),
        ('{a="c"}', 1, NOW + 9, NOW + 9),
    ]


def test_a_hash_a_format_and_empty_streams_are_left_out():
    message = Push.FromString(encode_stream('{a="b"}', encode_entry(NOW, b"one")) + encode_stream('{c="d"}', b""))
    message.streams[0].hash = 7
    message.format = "x"

    request, streams = lokiproto.streams_of(message.SerializeToString())

    assert request == encode_stream('{a="b"}', encode_entry(NOW, b"one"))
    assert [each.labels for each in streams] == ['{a="b"}']


def test_labels_behind_the_entries_are_found():
    entry = encode_entry(NOW, b"one")
    odd = field(0x0A, entry + field(0x0A, b'{a="b"}'))

    assert lokiproto.streams_of(odd)[0] == encode_stream('{a="b"}', entry)


@pytest.mark.parametrize("others", [b"", encode_stream('{a="b"}', encode_entry(NOW, b"one"))], ids=["alone", "beside"])
def test_a_stream_without_labels_is_refused_and_not_lost_without_a_word(others):
    with pytest.raises(BadPush, match="no labels"):
        lokiproto.streams_of(others + field(0x0A, encode_entry(NOW, b"two")))


def loki_json(at, line):
    return json.dumps({"streams": [{"stream": {"job": "fluent-bit"}, "values": [[at, line]]}]}).encode()


@pytest.mark.parametrize(
    "at", ["--5", "-", "", "1-", "5.0", "\u0665"], ids=["signs", "sign", "empty", "behind", "dot", "arabic"]
)
def test_what_is_no_time_is_a_bad_push(at):
    with pytest.raises(BadPush, match="no time"):
        of_json(loki_json(at, "x"))


def test_a_line_that_is_nested_a_thousand_deep_is_a_line_like_any_other():
    told = '"kubernetes":{"namespace_name":"shop","pod_name":"a"}'
    (found,) = of_json(loki_json("1", f'{{"x":{"[" * 1200}{"]" * 1200},{told}}}'))
    (within,) = of_json(loki_json("1", f'{{"kubernetes":{{"pod_name":{"[" * 1200}{"]" * 1200}}}}}'))

    assert (found.clue.pod, within.clue, within.count) == ("a", None, 1)


def test_a_line_that_is_no_utf_8_is_repaired():
    request, (found,) = lokiproto.streams_of(encode_stream('{a="b"}', encode_entry(NOW, b"caf\xe9")))

    assert decode(request)[0][1] == [(NOW, "caf\ufffd", {})]
    assert found.count == 1


def test_a_time_of_any_size_is_kept_for_loki_to_judge():
    message = Push()
    message.streams.add(labels='{a="b"}').entries.add(line="x").time.seconds = 2**62

    _, (found,) = lokiproto.streams_of(message.SerializeToString())

    assert (found.first_at, found.last_at) == (MAX_TIME, MAX_TIME)


def test_json_as_loki_reads_it():
    body = {
        "streams": [
            {
                "stream": {"a": "b", "n": 5},
                "values": [["1", "one", {"x": "y", "n": 1, "deep": {"z": "no"}}], ["2", ""]],
            },
            {"stream": {"n": 5, "a": "b"}, "values": [["3", "three", {"structuredMetadata": {"k": "v"}}]]},
        ]
    }

    (found,) = of_json(json.dumps(body).encode())

    assert found.labels == '{a="b", n="5"}'
    assert lines_of(found) == [(1, "one", {"x": "y", "n": "1"}), (2, "", {}), (3, "three", {"k": "v"})]


@pytest.mark.parametrize(
    "body",
    [
        b'{"streams": [{"stream": {"a": "b"}, "values": [[1, "x"]]}]}',
        b'{"streams": [{"stream": {"a": "b"}, "values": [["x", "x"]]}]}',
        b'{"streams": [{"stream": {"a.b": "b"}, "values": []}]}',
        b'{"streams": [{"stream": {"a": "b"}, "values": [["1", "x", ["y"]]]}]}',
        b'{"streams": 5}',
        b"[]",
        b"{",
    ],
)
def test_json_that_loki_refuses_is_refused(body):
    with pytest.raises(BadPush, match=r"."):
        of_json(body)


def test_json_with_broken_text_is_repaired():
    (found,) = of_json(b'{"streams":[{"stream":{"a":"b"},"values":[["1","caf\xe9 \\ud800 x"]]}]}')

    assert lines_of(found) == [(1, "caf\ufffd ? x", {})]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"stringValue": "x"}, "x"),
        ({"boolValue": True}, "true"),
        ({"intValue": "-5"}, "-5"),
        ({"intValue": 5}, "5"),
        ({"doubleValue": 1.5}, "1.5"),
        ({"doubleValue": 3.0}, "3"),
        ({"doubleValue": 1.5e-7}, "1.5e-7"),
        ({"doubleValue": 1.2345678e-5}, "0.000012345678"),
        ({"doubleValue": 1e21}, "1e+21"),
        ({"doubleValue": "NaN"}, "NaN"),
        ({"bytesValue": "AQI="}, "AQI="),
        ({"arrayValue": {"values": [{"intValue": 1}, {"stringValue": "<"}, {}]}}, '[1,"<",null]'),
        ({"kvlistValue": {"values": [{"key": "b", "value": {"doubleValue": 2.0}}, {"key": "a"}]}}, '{"a":null,"b":2}'),
        ({}, ""),
    ],
)
def test_a_body_of_any_kind_is_text_as_pdata_writes_it(value, text):
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": str(NOW), "body": value}]}]}]}

    (found,) = otlp.streams_of(otlpjson.parse(json.dumps(body).encode()), now_ns=1)

    assert found.labels == "{}"
    assert lines_of(found) == [(NOW, text, {})]


def test_otlp_is_the_same_in_json_and_in_protobuf():
    body = {
        "resourceLogs": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}]},
                "scopeLogs": [
                    {
                        "scope": {"name": "n", "version": "1", "droppedAttributesCount": 2},
                        "logRecords": [
                            {
                                "observedTimeUnixNano": "7",
                                "severityNumber": 9,
                                "body": {"stringValue": "x"},
                                "attributes": [
                                    {
                                        "key": "http",
                                        "value": {
                                            "kvlistValue": {"values": [{"key": "a-b", "value": {"intValue": "1"}}]}
                                        },
                                    },
                                    {"key": "1st", "value": {"boolValue": False}},
                                ],
                                "traceId": "5b8efff798038103d269b633813fc60c",
                                "spanId": "eee19b7ec3c1b174",
                                "flags": 1,
                            },
                            {"body": {"stringValue": "without a time"}},
                        ],
                    }
                ],
            }
        ]
    }
    logs = Logs()
    resource = logs.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "s"
    scope = resource.scope_logs.add()
    scope.scope.name, scope.scope.version, scope.scope.dropped_attributes_count = "n", "1", 2
    record = scope.log_records.add(observed_time_unix_nano=7, severity_number=9, flags=1)
    record.body.string_value = "x"
    inner = record.attributes.add(key="http").value.kvlist_value.values.add(key="a-b")
    inner.value.int_value = 1
    record.attributes.add(key="1st").value.bool_value = False
    record.trace_id = bytes.fromhex("5b8efff798038103d269b633813fc60c")
    record.span_id = bytes.fromhex("eee19b7ec3c1b174")
    scope.log_records.add().body.string_value = "without a time"

    (by_json,) = otlp.streams_of(otlpjson.parse(json.dumps(body).encode()), now_ns=NOW)
    (by_protobuf,) = of_otlp(logs.SerializeToString())

    assert by_json == by_protobuf
    shared = {"scope_name": "n", "scope_version": "1", "scope_dropped_attributes_count": "2"}
    ids = {"trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174"}
    assert lines_of(by_json) == [
        (7, "x", {"http_a_b": "1", "key_1st": "false", "severity_number": "9", "flags": "1", **ids, **shared}),
        (NOW, "without a time", shared),
    ]


def test_the_path_of_a_file_in_a_record_tells_the_pod_where_the_resource_does_not():
    logs = Logs()
    scope = logs.resource_logs.add().scope_logs.add()
    for pod in ("a", "b", "a"):
        record = scope.log_records.add(time_unix_nano=NOW)
        record.body.string_value = pod
        path = f"/var/log/pods/shop_{pod}_{'0' * 32}/app/0.log"
        record.attributes.add(key="log.file.path").value.string_value = path

    found = of_otlp(logs.SerializeToString())

    assert [(each.clue.pod, each.count) for each in found] == [("a", 2), ("b", 1)]


@pytest.mark.parametrize("odd", [b"", b"\x18\x05", b"\x22\x01x"])
def test_a_large_push_is_the_same_lines_in_pieces(odd):
    lines = [b"%05d %s" % (number, b"x" * 500) for number in range(3000)]
    entries = b"".join(encode_entry(NOW + number, line) for number, line in enumerate(lines))
    request = (
        encode_stream('{a="b"}', entries + odd) + encode_stream('{c="d"}', encode_entry(NOW, b"one")) + b"\x12\x01f"
    )

    *pieces, last = lokiproto.streams_of_large(request)

    assert [line.encode() for piece in pieces for _, line, _ in lines_of(piece)] == lines
    assert sum(piece.count for piece in pieces) == len(lines)
    assert {piece.labels for piece in pieces} == {'{a="b"}'}
    assert (last.labels, lines_of(last)) == ('{c="d"}', [(NOW, "one", {})])


@pytest.mark.parametrize("cut", [1, 10, 500])
def test_a_large_push_that_is_torn_is_refused(cut):
    request = encode_stream('{a="b"}', encode_entry(NOW, b"x" * 1000))[:-cut]

    with pytest.raises(BadPush, match="protobuf"):
        list(lokiproto.streams_of_large(request))


def test_a_long_stream_of_json_comes_in_pieces_and_in_order():
    values = [[str(NOW + number), f"{number:05d} {'x' * 500}"] for number in range(3000)]
    body = json.dumps({"streams": [{"stream": {"a": "b"}, "values": values}]}).encode()

    pieces = of_json(body)

    assert len(pieces) == 3
    assert [[str(at), line] for piece in pieces for at, line, _ in lines_of(piece)] == values
    assert [piece.first_at for piece in pieces] == sorted(piece.first_at for piece in pieces)


def map_of(pod):
    """Return a map like that of Fluent Bit's filter; any program may write one, too."""
    told = {"namespace_name": "shop", "pod_name": pod, "pod_id": f"uid of {pod}"}
    return {"kvlistValue": {"values": [{"key": key, "value": {"stringValue": told[key]}} for key in told]}}


def told(**named):
    return [{"key": key.replace("__", "."), "value": value} for key, value in named.items()]


@pytest.mark.parametrize(
    ("attributes", "body"),
    [
        ({"log__file__path": FILE_OF_A}, {"kubernetes": "b"}),
        ({"log__file__path": FILE_OF_A, "kubernetes": map_of("b")}, {}),
        ({"log__file__path": FILE_OF_A, "k8s__pod__uid": {"stringValue": "uid of b"}}, {}),
        (NAME_OF_A, {"kubernetes": "b"}),
        ({**NAME_OF_A, "kubernetes": map_of("b")}, {}),
        ({"kubernetes": map_of("a")}, {"kubernetes": "b"}),
    ],
    ids=["file", "file-map", "file-uid", "name", "name-map", "maps"],
)
def test_what_a_program_may_have_written_itself_leads_nowhere_where_a_shipper_tells_the_pod(attributes, body):
    values = told(**{key: map_of(pod) for key, pod in body.items()})
    record = {"attributes": told(**attributes), "body": {"kvlistValue": {"values": values}}}
    request = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()

    (found,) = otlp.streams_of(otlpjson.parse(request), now_ns=NOW)

    assert (found.clue.pod, "b" in found.clue.uid) == ("a", False)


def test_of_several_maps_of_that_name_the_last_alone_counts():
    filters = [part for part in map_of("a")["kvlistValue"]["values"] if part["key"] != "pod_id"]
    attributes = told(kubernetes=map_of("b")) + told(kubernetes={"kvlistValue": {"values": filters}})
    request = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"attributes": attributes}]}]}]}).encode()

    (found,) = otlp.streams_of(otlpjson.parse(request), now_ns=NOW)

    assert (found.clue.pod, found.clue.uid) == ("a", "")

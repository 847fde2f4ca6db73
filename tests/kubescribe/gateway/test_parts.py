"""A body that would decode to more than memory holds is refused before it is decoded; an honest one never is."""

import json
import tracemalloc

import pytest

from kubescribe.gateway.errors import TooLarge
from kubescribe.gateway.intake import Intake, Received
from kubescribe.gateway.naming import Naming
from kubescribe.gateway.parts import MAX_STREAMS, check_loki_json, check_otlp_json, check_push
from kubescribe.loki.encoding import compress, encode_entry, encode_metadata, encode_stream
from tests.kubescribe.gateway.house import NOW, Book, snappy, stream

MIB = 2**20
JSON = "application/json"


def understand(body, content_type="", api="loki"):
    intake = Intake(Naming(Book()), lambda *_: False, max_bytes=64 * MIB)
    received = Received(api=api, body=body, content_type=content_type, encoding="", tenant="", at=NOW)
    return intake.understand(received)


@pytest.mark.parametrize(
    ("body", "content_type", "api"),
    [
        (compress(encode_stream('{a="b"}', b"\x12\x00" * (4 * MIB))), "", "loki"),
        (compress(encode_stream('{a="b"}', b"\x12\x04\x1a\x00\x1a\x00" * (2 * MIB))), "", "loki"),
        (compress(encode_stream('{a="b"}', b"\x92\x00\x00" * (4 * MIB + 1))), "", "loki"),
        (b'{"streams":[{"stream":{"a":"b"},"values":[%s]}]}' % b",".join([b'["1",""]'] * MIB), JSON, "loki"),
        (b"\x0a\x00" * (4 * MIB), "application/x-protobuf", "otlp"),
        (b'{"resourceLogs":[%s]}' % b",".join([b"{}"] * (2 * MIB)), JSON, "otlp"),
    ],
    ids=["entries", "metadata", "long keys", "json", "otlp", "otlp json"],
)
def test_a_small_body_of_millions_of_values_costs_no_more_memory_than_itself(body, content_type, api):
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="are taken at once"):
            understand(body, content_type, api)
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()


def test_a_push_of_more_streams_than_loki_lets_a_tenant_have_is_refused():
    with pytest.raises(TooLarge, match="20001 streams"):
        understand(snappy(*(stream(f'{{a="{n}"}}', b"") for n in range(MAX_STREAMS + 1))))


def test_what_a_shipper_sends_after_an_hour_of_silence_is_no_bomb():
    line = json.dumps({"log": "GET /cart 200\n" * 6, "kubernetes": {"pod_name": "web", "labels": {"a": "b"}}})
    values = [[str(NOW), line]] * (29 * MIB // len(line))
    check_loki_json(json.dumps({"streams": [{"stream": {"a": "b"}, "values": values}]}).encode())

    attribute = {"key": "k8s.pod.name", "value": {"stringValue": "web"}}
    record = {"timeUnixNano": str(NOW), "body": {"stringValue": "GET /cart 200"}, "attributes": [attribute] * 5}
    check_otlp_json(json.dumps([record] * (9 * MIB // 400)).encode())

    entry = encode_entry(
        NOW, b"Traceback:\n  at cart.pay(cart.py)\n" * 15, encode_metadata({"pod": "web", "node": "n1"})
    )
    check_push(encode_stream('{a="b"}', entry * (29 * MIB // len(entry))))

"""The layouts are the official ones: bytes known from elsewhere decode and encode to themselves."""

import cramjam

from kubescribe.loki.encoding import compress, encode_entry, encode_metadata, encode_stream
from simulator.loki.schema import ExportLogsServiceRequest, PushRequest

KNOWN = bytes.fromhex(
    "0a360a187b6170703d2278222c206e616d6573706163653d226e227d121a0a0808b7d99eb6061001120268691a0a0a03706f641203702d30"
)
"""One entry of 1724361911.000000001, `hi`, with the metadata pod=p-0, in the stream {app="x", namespace="n"}."""


def test_the_known_push_is_read_and_written_byte_for_byte():
    request = PushRequest.FromString(KNOWN)

    (stream,) = request.streams
    (entry,) = stream.entries
    assert stream.labels == '{app="x", namespace="n"}'
    assert (entry.timestamp.seconds, entry.timestamp.nanos, entry.line) == (1724361911, 1, "hi")
    assert [(pair.name, pair.value) for pair in entry.structuredMetadata] == [("pod", "p-0")]
    assert request.SerializeToString() == KNOWN
    assert bytes(cramjam.snappy.decompress_raw(bytes.fromhex("38dc") + KNOWN)) == KNOWN


def test_what_the_product_encodes_by_hand_is_what_the_official_layout_encodes():
    metadata = {"pod": "p-0", "team": "Zoë"}
    entry = encode_entry(1_724_361_911_000_000_001, b"hi", encode_metadata(metadata))

    request = PushRequest.FromString(
        bytes(cramjam.snappy.decompress_raw(compress(encode_stream('{app="x"}', entry * 2))))
    )

    assert request.SerializeToString() == encode_stream('{app="x"}', entry * 2)
    assert len(request.streams[0].entries) == 2


def test_the_layout_of_opentelemetry_has_its_field_numbers():
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1)
    record.body.string_value = "hi"

    # resource_logs 1 > scope_logs 2 > log_records 2 > time_unix_nano 1 (fixed64), body 5 > string_value 1
    assert request.SerializeToString().hex() == "0a13" + "1211" + "120f" + "090100000000000000" + "2a04" + "0a026869"

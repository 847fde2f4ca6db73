"""Pushes: what is taken, in which encoding, and what is refused as malformed."""

import gzip
import json
import zlib

import pytest

from kubescribe.loki.encoding import compress


async def test_a_protobuf_push_is_stored(client, now):
    answer = await client.push(('{app="x"}', [(now, "one", {"pod": "p-0"}), (now + 1, "two")]))

    assert answer == (204, "")
    first, second = client.loki.entries('{app="x"}')
    assert first == (now, "one", (("pod", "p-0"),))
    assert second == (now + 1, "two", ())
    (seen,) = client.loki.requests
    assert (seen.status, seen.entries, seen.path) == (204, 2, "/loki/api/v1/push")


@pytest.mark.parametrize("zipped", [False, True])
async def test_a_json_push_is_stored(client, now, zipped):
    values = [[str(now), "one", {"pod": "p-0", "n": 3}], [str(now + 1), "two"]]

    assert await client.push_json({"streams": [{"stream": {"app": "x"}, "values": values}]}, zipped=zipped) == (204, "")

    assert [(entry.line, entry.metadata) for entry in client.loki.entries()] == [
        ("one", (("n", "3"), ("pod", "p-0"))),
        ("two", ()),
    ]


async def test_bodies_are_compressed_as_go_does_it(client, now, encoded):
    body = compress(encoded(('{app="x"}', [(now, "one")])))
    deflate = zlib.compressobj(wbits=-15)
    kind = {"Content_Type": "application/x-protobuf"}

    assert (await client.post(gzip.compress(body), Content_Encoding="gzip", **kind))[0] == 204
    assert (await client.post(deflate.compress(body) + deflate.flush(), Content_Encoding="deflate", **kind))[0] == 204
    assert (await client.post(body, Content_Encoding="snappy", **kind))[0] == 204
    assert len(client.loki.arrived()) == 3
    assert len(client.loki.entries()) == 1
    # A body with zlib's header is no deflate to Go.
    assert (await client.post(zlib.compress(body), Content_Encoding="deflate", **kind))[0] == 400
    assert await client.post(body, Content_Encoding="br", **kind) == (400, 'Content-Encoding "br" not supported\n')
    assert await client.post(body, Content_Encoding="gzip", **kind) == (400, "gzip: invalid header\n")


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ('{app.name="x"}', "1:5: parse error: unexpected character inside braces: '.'"),
        ('{app="x"', '1:9: parse error: unexpected end of input in label set, expected "," or "}"'),
        ("{app=x}", '1:6: parse error: unexpected identifier "x" in label set, expected string'),
        ('{app="x" b="y"}', '1:10: parse error: unexpected identifier "b" in label set, expected "," or "}"'),
        ('{7="x"}', "1:2: parse error: unexpected character inside braces: '7'"),
    ],
)
async def test_labels_that_do_not_parse_refuse_the_whole_request(client, now, labels, text):
    answer = await client.push(('{app="good"}', [(now, "one")]), (labels, [(now, "two")]))

    assert answer == (400, f"couldn't parse labels: {text}\n")
    assert client.loki.entries() == []


async def test_labels_are_read_as_prometheus_writes_them(client, now):
    text = '{b="q\\"\\n\\\\\\u00e9", a=`raw\\n`, empty="",}'

    assert (await client.push((text, [(now, "one")])))[0] == 204

    (stream,) = client.loki.streams()
    assert dict(stream.labels) == {"a": "raw\\n", "b": 'q"\n\\é', "service_name": "unknown_service"}
    assert stream.text == '{a="raw\\\\n", b="q\\"\\n\\\\é", service_name="unknown_service"}'


async def test_the_service_name_is_found_as_loki_finds_it(client, now):
    await client.push(('{job="j", container="c"}', [(now, "one")]), ('{service_name="s", app="a"}', [(now, "one")]))

    assert [dict(stream.labels)["service_name"] for stream in client.loki.streams()] == ["c", "s"]


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"streams": [{"stream": {"app": 1}, "values": []}]},
        {"streams": [{"stream": {"app": "x"}, "values": [[1724361911000000001, "a number"]]}]},
        {"streams": [{"stream": {"app": "x"}, "values": [["1", "line", "no object"]]}]},
        {"streams": [{"stream": {"app": "x"}, "values": [["soon", "line"]]}]},
        {"streams": [{"stream": {"app.name": "x"}, "values": [["1", "line"]]}]},
    ],
)
async def test_json_of_another_shape_is_refused(client, value):
    assert (await client.push_json(value))[0] == 400


async def test_what_is_no_push_at_all_is_refused(client, now, encoded):
    kind = {"Content_Type": "application/x-protobuf"}

    assert (await client.post(b"not snappy", **kind))[0] == 400
    assert (await client.post(encoded(('{app="x"}', [(now, "one")])), **kind))[0] == 400  # not compressed
    assert (await client.post(compress(b"\x0a\xff"), **kind))[0] == 400
    assert (await client.post(b"{", Content_Type="application/json"))[0] == 400
    assert await client.push() == (422, "error at least one valid stream is required for ingestion\n")


async def test_a_body_above_the_limit_is_413(start, now):
    client = await start(max_body_bytes=20)

    status, text = await client.push(('{app="x"}', [(now, "one")]))

    assert status == 413
    assert text.startswith("request body too large: message size too large than max (")


async def test_tenants_are_apart_and_asked_for(start, now):
    client = await start(auth_enabled=True)
    stream = ('{app="x"}', [(now, "one")])

    assert await client.push(stream) == (401, "no org id\n")
    assert await client.push(stream, X_Scope_OrgID="a|b") == (400, "multiple org IDs present\n")
    assert (await client.push(stream, X_Scope_OrgID="a/b"))[0] == 400
    assert (await client.push(stream, X_Scope_OrgID="a"))[0] == 204
    assert len(client.loki.entries(tenant="a")) == 1
    assert client.loki.entries(tenant="b") == []


async def test_a_credential_may_be_asked_for(start, now):
    client = await start(authorization="Bearer t")
    stream = ('{app="x"}', [(now, "one")])

    assert (await client.push(stream))[0] == 401
    assert (await client.push(stream, Authorization="Bearer t"))[0] == 204


async def test_an_export_of_opentelemetry_is_stored(client, now):
    from simulator.loki.schema import ExportLogsServiceRequest

    export = ExportLogsServiceRequest()
    resource = export.resource_logs.add()
    for key, value in {"k8s.namespace.name": "shop", "service.name": "web", "os.type": "linux"}.items():
        resource.resource.attributes.add(key=key).value.string_value = value
    record = resource.scope_logs.add().log_records.add(time_unix_nano=now, severity_text="ERROR", trace_id=b"\x01" * 16)
    record.body.string_value = "boom"
    record.attributes.add(key="log.iostream").value.string_value = "stderr"
    body = gzip.compress(export.SerializeToString())
    kind = {"Content_Type": "application/x-protobuf", "Content_Encoding": "gzip"}

    assert (await client.post(body, path="/otlp/v1/logs", **kind))[0] == 204

    (stream,) = client.loki.streams()
    assert stream.text == '{k8s_namespace_name="shop", service_name="web"}'
    (entry,) = client.loki.entries()
    assert entry.line == "boom"
    assert dict(entry.metadata) == {
        "log_iostream": "stderr",
        "os_type": "linux",
        "severity_text": "ERROR",
        "trace_id": "01" * 16,
    }
    client.loki.faults.answer(500)
    assert (await client.post(body, path="/otlp/v1/logs", **kind))[0] == 503
    assert json.dumps([seen.status for seen in client.loki.requests]) == "[204, 500]"

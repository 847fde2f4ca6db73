"""What real shippers sent, kept as it was on the wire: every line arrives once, as it came, under its pod's names."""

import pytest

from kubescribe.labels.selectors import parse_selector
from tests.kubescribe.gateway.captures import Node, pushed_in, replay
from tests.kubescribe.gateway.house import pushing

NAMES = {
    "coredns-ddfd4df5b-kbcxt": {
        "namespace": "kube-system",
        "workload_kind": "Deployment",
        "workload": "coredns",
        "application": "coredns",
        "service_name": "coredns",
        "pod_uid": "304b0ba8-b533-4444-b64d-514d3239204b",
        "revision": "ddfd4df5b",
    },
    "postgres-0": {
        "namespace": "data",
        "workload_kind": "StatefulSet",
        "workload": "postgres",
        "application": "postgres",
        "service_name": "postgres",
        "pod_uid": "8ae7d091-e9da-4f42-aa99-eac3666d4807",
    },
    # A static pod: its files lie under another uid than its object has.
    "node-agent-ip-10-0-0-4.ap-northeast-2.compute.internal": {
        "namespace": "kube-system",
        "workload_kind": "Pod",
        "workload": "node-agent",
        "application": "node-agent",
        "service_name": "node-agent",
        "pod_uid": "a936e145-d887-428c-b994-7a80caf81534",
    },
}


def names_of(pod):
    return {**NAMES[pod], "pod": pod, "container": "app", "cluster": "prod"}


async def taken(to, capture, count):
    """Return what Loki has of *capture*: (labels, ns, line, metadata)."""
    assert set(await replay(to.url, capture)) == {204}
    stored = await to.stored(count)
    return sorted(
        ((parse_selector(text), *entry) for text, entries in stored.items() for entry in entries),
        key=lambda each: each[1:3],
    )


@pytest.mark.parametrize(
    "capture",
    [
        "fluent-bit-loki",
        "fluent-bit-loki-gzip",
        "fluent-bit-loki-key-value",
        "fluentd",
        "fluentd-gzip",
        "pino-loki",
        "python-logging-loki",
        "winston-loki-json",
    ],
)
async def test_what_was_pushed_keeps_its_labels_and_gets_the_names_of_its_pods(tmp_path, capture):
    sent = sorted(pushed_in(capture), key=lambda each: each[1:])
    async with pushing(tmp_path, Node()) as to:
        found = await taken(to, capture, len(sent))

    assert [each[1:3] for each in found] == [each[1:] for each in sent]
    for (theirs, _, line), (labels, _, _, metadata) in zip(sent, found, strict=True):
        (pod,) = (name for name in NAMES if name in theirs.values() or f'"{name}"' in line)
        assert theirs.items() <= labels.items()
        assert {**names_of(pod), **theirs}.items() <= {**metadata, **labels}.items()


async def test_a_map_that_a_program_wrote_into_its_own_json_leads_to_no_other_pod(tmp_path):
    # `event.kubernetes`, `kubernetes` and a text of these programs name coredns; the filter's map comes last.
    async with pushing(tmp_path, Node()) as to:
        found = await taken(to, "fluent-bit-loki-nested", 3)

    for labels, _, _, metadata in found:
        assert names_of("postgres-0").items() <= {**metadata, **labels}.items()


async def test_winstons_protobuf_is_the_same_lines(tmp_path):
    async with pushing(tmp_path, Node()) as to:
        found = await taken(to, "winston-loki-proto", 2)

    for number, (labels, _, line, metadata) in enumerate(found):
        assert f"winston proto line {number} käse" in line
        assert {**names_of("postgres-0"), "service_name": "postgres"}.items() <= {**metadata, **labels}.items()
        assert (labels["app"], labels["part"]) == ("frontend", "a")


@pytest.mark.parametrize(
    ("capture", "service", "lines"),
    [
        (
            "opentelemetry-js-json",
            "checkout-js",
            ['{"list":[1,"x"],"message":"structured","n":0,"ok":true}', "otel-js json line 1"],
        ),
        (
            "opentelemetry-js-proto",
            "checkout-js",
            ['{"list":[1,"x"],"message":"structured","n":0,"ok":true}', "otel-js proto line 1"],
        ),
        ("opentelemetry-python", "checkout-py", ["otel-py line 0", "failed"]),
    ],
)
async def test_an_sdk_that_names_its_pod_is_found_and_keeps_its_service(tmp_path, capture, service, lines):
    async with pushing(tmp_path, Node()) as to:
        found = await taken(to, capture, len(lines))

    assert sorted(line for _, _, line, _ in found) == sorted(lines)
    for labels, _, _, metadata in found:
        assert {**names_of("postgres-0"), "service_name": service}.items() <= {**metadata, **labels}.items()
        assert labels["k8s_pod_name"] == "postgres-0"


async def test_fluent_bits_otlp_tells_the_pod_in_the_attributes_of_a_record(tmp_path):
    async with pushing(tmp_path, Node()) as to:
        found = await taken(to, "fluent-bit-otlp-attributes", 7)

    assert to.gateway.numbers.lines == {"enriched": 7}
    for labels, _, line, metadata in found:
        pod = metadata.get("kubernetes_pod_name", "postgres-0")
        assert names_of(pod).items() <= {**metadata, **labels}.items()
        # A record whose JSON was merged has no `log`: it is the body as a whole, the map in it.
        assert ("kubernetes_pod_name" in metadata) is (not line.startswith("{"))


async def test_fluent_bits_otlp_with_its_defaults_tells_nothing_but_the_line(tmp_path):
    async with pushing(tmp_path, Node()) as to:
        found = await taken(to, "fluent-bit-otlp", 7)

    assert to.gateway.numbers.lines == {"enriched": 1, "unknown": 6}
    assert [line for labels, _, line, _ in found if labels.get("workload") != "postgres"] == [
        '[INFO] 10.0.1.7:51122 - 4711 "A IN cart.shop.svc.cluster.local. udp 49" NOERROR 0.000212s',
        "[ERROR] plugin/errors: 2 registry. A: read udp: i/o timeout",
        "a line that the runtime wrote in two",
        'größer, \tein Tab, "Klammern }" und \\ ein Strich 😀',
        "",
        "a pod that no API server made",
    ]

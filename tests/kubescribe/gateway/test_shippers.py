"""
One test for each shipper that was not run to see it: what it sends by default, made by hand, and what Loki gets.

Headers and bodies are those of the named sources; labels are those of the shippers' own charts and documentation. What
was really sent by others is in test_captured.
"""

import gzip
import json

from kubescribe.gateway.messages import Logs
from kubescribe.labels.selectors import parse_selector
from tests.kubescribe.gateway.house import ID, METADATA, NOW, OURS, UID, WEB, pushing, snappy, stream


def one(stored):
    ((labels, lines),) = stored.items()
    return parse_selector(labels), lines


async def test_promtail(tmp_path):
    # clients/pkg/promtail/client (client.go, batch.go), labels: production/helm/promtail, job kubernetes-pods.
    theirs = {
        "app": "web",
        "container": "app",
        "filename": f"/var/log/pods/shop_{WEB.name}_{UID}/app/3.log",
        "job": "shop/web",
        "namespace": "shop",
        "node_name": "n1",
        "pod": WEB.name,
        "stream": "stderr",
    }
    text = "{" + ", ".join(f'{name}="{value}"' for name, value in theirs.items()) + "}"
    headers = {"Content-Type": "application/x-protobuf", "User-Agent": "promtail/3.5.1", "X-Scope-OrgID": "team-a"}
    async with pushing(tmp_path) as to:
        assert await to.post(snappy(stream(text, b"one", b"two")), headers) == (204, "")

        labels, lines = one(await to.stored(2))

    assert labels == {**OURS, **theirs}
    # The pod's name is a label of theirs already; the path told how often the container was restarted.
    metadata = {**METADATA, "restart": "3"}
    del metadata["pod"]
    assert lines == [(NOW, "one", metadata), (NOW + 1, "two", metadata)]
    assert to.loki.requests[0].headers["X-Scope-OrgID"] == "team-a"


async def test_alloy(tmp_path):
    # alloy internal/component/common/loki/client (queue_client.go); labels and metadata: k8s-monitoring's podLogs.
    theirs = {
        "cluster": "their-name",
        "container": "app",
        "job": "shop/app",
        "namespace": "shop",
        "pod": WEB.name,
        "service_name": "storefront-web",
        "service_namespace": "shop",
    }
    text = "{" + ", ".join(f'{name}="{value}"' for name, value in theirs.items()) + "}"
    told = {"k8s_pod_name": WEB.name, "node": "their-word-for-it"}
    headers = {"Content-Type": "application/x-protobuf", "User-Agent": "Alloy/v1.19.2 (linux; helm)"}
    async with pushing(tmp_path) as to:
        body = snappy(stream(text, b"one", metadata=told), stream(text, b"two", at=NOW + 1))
        assert await to.post(body, headers) == (204, "")

        labels, lines = one(await to.stored(2))

    assert labels == {**OURS, **theirs}
    metadata = {name: value for name, value in METADATA.items() if name != "pod"}
    # Of a clash in the metadata theirs stays too, entry by entry.
    assert lines == [(NOW, "one", {**metadata, **told}), (NOW + 1, "two", metadata)]


async def test_fluent_bits_lines_of_a_stranger_go_on_as_they_came_beside_others_of_their_stream(tmp_path):
    # fluent-bit plugins/out_loki/loki.c: one stream, job=fluent-bit, the record with filter_kubernetes' map as line.
    def record(log, pod, **more):
        kubernetes = {
            "pod_name": pod,
            "namespace_name": "shop",
            "labels": {"app": "web", "note": 'a "}" in a text'},
            "host": "n1",
            "container_name": "app",
            **more,
        }
        return json.dumps({"stream": "stdout", "_p": "F", "log": log, "kubernetes": kubernetes}, separators=(",", ":"))

    known, other = record("a", WEB.name, pod_id=UID, docker_id=ID), record("b", "stranger-1")
    body = {
        "streams": [
            {
                "stream": {"job": "fluent-bit"},
                "values": [[str(NOW), known], [str(NOW + 1), other], [str(NOW + 2), known], [str(NOW + 3), "plain"]],
            }
        ]
    }
    headers = {"Content-Type": "application/json", "User-Agent": "Fluent-Bit"}
    async with pushing(tmp_path) as to:
        assert await to.post(json.dumps(body).encode(), headers) == (204, "")

        stored = {tuple(sorted(parse_selector(text).items())): lines for text, lines in (await to.stored(4)).items()}

    ours = tuple(sorted({**OURS, "job": "fluent-bit"}.items()))
    assert stored[ours] == [(NOW, known, METADATA), (NOW + 2, known, METADATA)]
    assert sorted(stored[(("job", "fluent-bit"),)]) == [(NOW + 1, other, {}), (NOW + 3, "plain", {})]


async def test_the_opentelemetry_collector(tmp_path):
    # opentelemetry-collector exporter/otlphttpexporter: protobuf, gzip; attributes: filelog's container operator.
    logs = Logs()
    resource = logs.resource_logs.add()
    for key, value in {
        "k8s.namespace.name": "shop",
        "k8s.pod.name": WEB.name,
        "k8s.pod.uid": UID,
        "k8s.container.name": "app",
        "k8s.container.restart_count": "2",
        "service.name": "their-name",
        "host.name": "n1",
    }.items():
        resource.resource.attributes.add(key=key).value.string_value = value
    scope = resource.scope_logs.add()
    scope.scope.name = "filelog"
    record = scope.log_records.add(time_unix_nano=NOW, observed_time_unix_nano=NOW + 5, severity_text="WARN")
    record.severity_number, record.trace_id = 13, bytes(range(16))
    record.body.string_value = "one"
    record.attributes.add(key="log.iostream").value.string_value = "stderr"
    record.attributes.add(key="retries").value.int_value = 3
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "gzip",
        "User-Agent": "OpenTelemetry Collector Contrib/0.158.0 (linux/amd64)",
    }
    async with pushing(tmp_path) as to:
        assert await to.post(gzip.compress(logs.SerializeToString()), headers, "/otlp/v1/logs") == (204, "")

        found, lines = one(await to.stored(1))

    # As Loki's own /otlp/v1/logs: pkg/loghttp/push/otlplabels, and ours beside it.
    assert found == {
        **OURS,
        "k8s_namespace_name": "shop",
        "k8s_pod_name": WEB.name,
        "k8s_container_name": "app",
        "service_name": "their-name",
    }
    theirs = {
        "log_iostream": "stderr",
        "retries": "3",
        "observed_timestamp": str(NOW + 5),
        "severity_number": "13",
        "severity_text": "WARN",
        "trace_id": bytes(range(16)).hex(),
        "k8s_pod_uid": UID,
        "k8s_container_restart_count": "2",
        "host_name": "n1",
        "scope_name": "filelog",
    }
    assert lines == [(NOW, "one", {**theirs, **METADATA, "restart": "2"})]


async def test_vector(tmp_path):
    # vector src/sinks/loki: snappy protobuf; labels as its documentation's example has them.
    labels = {"forwarder": "vector", "namespace": "shop", "pod": WEB.name, "container": "app"}
    text = "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "User-Agent": "Vector/0.58.0"}
    async with pushing(tmp_path) as to:
        assert await to.post(snappy(stream(text, b"one")), headers) == (204, "")

        found, _ = one(await to.stored(1))

    assert found == {**OURS, **labels}

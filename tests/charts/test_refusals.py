"""What the chart refuses, and that it says what to do instead. One test for each guard, and for the schema."""

import json
from typing import Any

import pytest
import yaml
from helm_python.errors import HelmValuesError

from scripts.rendering import CHART, rendered
from tests.charts.conftest import refusal, render, values_at

TOKEN = {"auth": {"tokenSecret": "people"}}
LOKIS = "loki.url loki.tenant loki.username loki.passwordFile loki.bearerTokenFile loki.caFile gateway.tenants"
AGENTS = (
    "data metrics scope node profile tokenFile kubeconfig cluster election.leaseName election.leaseNamespace"
    f" logs.folder logs.podLabels gateway.listen gateway.tokenFile {LOKIS}"
)
RESERVED = {
    "nodeAgent": AGENTS,
    "clusterAgent": f"{AGENTS} watch.kinds",
    "aggregator": f"data metrics tokenFile http.listen http.basePath ingest.listen ingest.audience {LOKIS}",
}
LOKI = {"url": "http://loki:3100"}


def ingress(**values: Any) -> dict[str, Any]:
    return {**TOKEN, "ingress": {"enabled": True, **values}}


def test_not_in_kube_system() -> None:
    assert "--namespace kubescribe --create-namespace" in refusal({}, namespace="kube-system")


def test_one_writer() -> None:
    assert "one writer" in refusal(values_at("aggregator.replicas", 2))
    assert render(values_at("aggregator.replicas", 0)).one("StatefulSet", "aggregator")["spec"]["replicas"] == 0


def test_no_journal_that_forgets_unless_it_is_meant() -> None:
    persistence: dict[str, Any] = {"enabled": False}

    assert "acknowledgeEphemeral=true" in refusal(values_at("aggregator.persistence", persistence))
    assert render(values_at("aggregator.persistence", {**persistence, "acknowledgeEphemeral": True}))


def test_no_existing_claim_of_unknown_size() -> None:
    assert "three quarters" in refusal(values_at("aggregator.persistence.existingClaim", "old"))


def test_no_class_for_a_claim_that_has_one() -> None:
    persistence = {"existingClaim": "old", "storageClass": {"create": True}}
    aggregator = {"persistence": persistence, "settings": {"store": {"retentionBytes": "1GiB"}}}

    assert "has its class already" in refusal({"aggregator": aggregator})


@pytest.mark.parametrize("size", ["19GiB", "18.1GiB", "20GB", 20_000_000_000, "0B", "0"])
def test_no_retention_that_fills_the_volume(size: str | int) -> None:
    assert "nine tenths" in refusal(values_at("aggregator.settings.store.retentionBytes", size))


@pytest.mark.parametrize("size", ["18GiB", "17Gi", "19GB", "512MiB"])
def test_a_retention_that_fits_is_taken(size: str) -> None:
    made = render(values_at("aggregator.settings.store.retentionBytes", size))

    assert made.settings("aggregator")["store"]["retentionBytes"] == size


@pytest.mark.parametrize("size", ["much", "15 Gb", "1e9", "-1GiB", "5XiB"])
def test_no_retention_that_is_no_size(size: str) -> None:
    assert "is no size; write 15GiB" in refusal(values_at("aggregator.settings.store.retentionBytes", size))


@pytest.mark.parametrize("path", ["", "cluster-info", "/cluster-info/", "//", "/a b", "/a//b"])
def test_no_base_path_that_leads_nowhere(path: str) -> None:
    assert "for example /cluster-info" in refusal(values_at("aggregator.basePath", path))


@pytest.mark.parametrize("path", ["/", "/cluster-info", "/ops/cluster-info"])
def test_a_base_path_is_taken(path: str) -> None:
    assert render(values_at("aggregator.basePath", path)).settings("aggregator")["http"]["basePath"] == path


def test_no_load_balancer_that_nobody_asked_for() -> None:
    assert "set ingress.enabled=true" in refusal({**TOKEN, "ingress": {"alb": {"enabled": True}}})


def test_no_ingress_to_a_listener_on_loopback() -> None:
    assert "auth.tokenSecret" in refusal({"ingress": {"enabled": True, "host": "a.example"}})


def test_no_tokens_in_clear_unless_tls_ends_before() -> None:
    assert "acknowledgePlaintext=true" in refusal(ingress(host="a.example"))
    assert render(ingress(host="a.example", acknowledgePlaintext=True)).one("Ingress", "aggregator")


def test_no_load_balancer_without_a_certificate() -> None:
    assert "certificateArn" in refusal(ingress(alb={"enabled": True}))
    assert render(ingress(alb={"enabled": True, "certificateArn": "arn:aws:acm:x"}))


def test_no_idle_timeout_that_cuts_a_quiet_feed() -> None:
    alb = {"enabled": True, "idleTimeoutSeconds": 40}

    assert "heartbeat" in refusal(ingress(host="a.example", alb=alb))
    assert render(ingress(host="a.example", alb={**alb, "idleTimeoutSeconds": 41}))


@pytest.mark.parametrize(
    ("loki", "told"),
    [
        ({"tenant": "a"}, "Set loki.url"),
        ({"caSecret": "ca"}, "Set loki.url"),
        ({**LOKI, "username": "me"}, "needs both"),
        ({**LOKI, "passwordSecret": "secret"}, "needs both"),
        ({**LOKI, "username": "me", "passwordSecret": "a", "bearerTokenSecret": "b"}, "one of them"),
    ],
)
def test_no_half_a_way_to_loki(loki: dict[str, str], told: str) -> None:
    assert told in refusal({"loki": loki})


def test_no_stand_alone_agents_that_send_nothing() -> None:
    assert "set profile=beside" in refusal({"profile": "standalone"})
    assert render({"profile": "standalone", "loki": LOKI})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"gateway": {"enabled": True, "tokenSecret": "t"}}, "loki.url does not say where"),
        ({"loki": LOKI, "gateway": {"enabled": True}}, "name it in gateway.tokenSecret"),
        (
            {"loki": LOKI, "gateway": {"enabled": True, "tokenSecret": "t"}, "nodeAgent": {"enabled": False}},
            "the aggregator's 8081",
        ),
        ({"gateway": {"tokenSecret": "t"}}, "set gateway.enabled=true too"),
    ],
)
def test_no_gateway_that_takes_lines_from_anybody_or_leads_nowhere(values: dict[str, Any], told: str) -> None:
    assert told in refusal(values)


@pytest.mark.parametrize(
    "kind", [{"kind": "Secret", "resource": "secrets"}, {"kind": "Harmless", "resource": "secrets"}]
)
def test_no_secrets(kind: dict[str, str]) -> None:
    assert "Secrets are never watched" in refusal(values_at("clusterAgent.extraKinds", [{"version": "v1", **kind}]))


@pytest.mark.parametrize(
    ("component", "key"), [(component, key) for component, keys in RESERVED.items() for key in keys.split()]
)
def test_no_setting_that_the_chart_itself_decides(component: str, key: str) -> None:
    assert f"{component}.settings.{key}: leave it to the chart" in refusal(
        values_at(f"{component}.settings.{key}", "x")
    )


def test_a_reserved_setting_is_found_in_its_dotted_form_too() -> None:
    assert "http.listen" in refusal({"aggregator": {"settings": {"http.listen": ":80"}}})


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"nothing": 1}, "nothing"),
        (values_at("aggregator.replica", 1), "replica"),
        (values_at("aggregator.persistence.sice", "1Gi"), "sice"),
        (values_at("aggregator.persistence.size", "20G"), "/aggregator/persistence/size"),
        (values_at("aggregator.persistence.accessMode", "ReadWriteMany"), "/aggregator/persistence/accessMode"),
        (values_at("profile", "both"), "/profile"),
        (values_at("image.tag", 1.10), "/image/tag"),
        (values_at("image.digest", "sha256:1"), "/image/digest"),
        (values_at("nodeAgent.spool.hostPath", "/"), "/nodeAgent/spool/hostPath"),
        (values_at("nodeAgent.dockerFolder", "/"), "/nodeAgent/dockerFolder"),
        (values_at("loki.url", "loki:3100"), "/loki/url"),
        (values_at("loki.url", "http://me:secret@loki"), "/loki/url"),
        (values_at("loki.tenant", "a|b"), "/loki/tenant"),
        (values_at("networkPolicy.lokiPorts", [0]), "/networkPolicy/lokiPorts/0"),
        (values_at("nodeAgent.maxUnavailable", "some"), "/nodeAgent/maxUnavailable"),
        (values_at("nodeAgent.maxUnavailable", "0%"), "/nodeAgent/maxUnavailable"),
        (values_at("clusterAgent.replicas", 0), "/clusterAgent/replicas"),
        (values_at("clusterAgent.extraKinds", [{"kind": "Workflow"}]), "/clusterAgent/extraKinds/0"),
        (
            values_at("clusterAgent.extraKinds", [{"version": "v1", "kind": "Pod", "resource": "*"}]),
            "/clusterAgent/extraKinds/0/resource",
        ),
        (
            values_at("clusterAgent.extraKinds", [{"version": "v1", "kind": "Pod", "resource": "pods/exec"}]),
            "/clusterAgent/extraKinds/0/resource",
        ),
        (values_at("nodeAgent.podLabels", {"app.kubernetes.io/name": "x"}), "app.kubernetes.io/name"),
        (values_at("ingress.alb.idleTimeoutSeconds", 4001), "/ingress/alb/idleTimeoutSeconds"),
    ],
)
def test_the_schema_names_what_is_wrong(values: dict[str, Any], place: str) -> None:
    with pytest.raises(HelmValuesError) as caught:
        rendered(values)

    assert place in str(caught.value)


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def compare(part: dict[str, Any], value: Any, path: str) -> None:
        part = schema["definitions"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        if part.get("additionalProperties") is not False:
            return
        assert set(part["properties"]) - {"global"} == set(value), path
        for key, below in value.items():
            if isinstance(below, dict):
                compare(part["properties"][key], below, f"{path}.{key}")

    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    compare(schema, values, "values")

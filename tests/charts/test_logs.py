"""Where lines go: the settings and Secrets of the way to Loki, the gateways and who reaches them."""

from typing import Any

import pytest

from tests.charts.conftest import LOKI, Rendering, example, render

SENDERS = ["aggregator", "node-agent"]


def volume(made: Rendering, component: str, name: str) -> dict[str, Any]:
    (found,) = [volume for volume in made.pod(component)["volumes"] if volume["name"] == name]
    return found


def policy(made: Rendering, component: str) -> list[tuple[int, Any]]:
    rules = made.one("NetworkPolicy", component)["spec"]["ingress"]
    return [(port["port"], rule.get("from")) for rule in rules for port in rule["ports"]]


def lokis_ports(made: Rendering) -> set[int]:
    rules = made.one("NetworkPolicy", "aggregator")["spec"]["egress"]
    return {port["port"] for rule in rules for port in rule["ports"]} - {53, 443, 6443}


def test_nothing_is_sent_anywhere_unasked(plain: Rendering) -> None:
    for component in plain.components:
        assert "loki" not in plain.settings(component)
        assert "loki" not in str(plain.container(component)).lower()
    assert plain.find("Service", "node-agent") is None
    assert plain.find("NetworkPolicy", "node-agent") is None
    assert lokis_ports(plain) == set()


@pytest.mark.parametrize("component", SENDERS)
def test_whoever_sends_to_loki_knows_where_it_is_and_as_whom(component: str) -> None:
    made = render(example("standalone"))

    assert made.settings(component)["loki"] == {
        "url": "https://loki.example.org",
        "tenant": "edge",
        "username": "kubescribe",
    }
    assert {option for option in made.container(component)["args"] if "loki" in option} == {
        "--loki-password-file=/etc/kubescribe-loki/password",
        "--loki-ca-file=/etc/kubescribe-loki/ca.crt",
    }
    assert volume(made, component, "loki")["projected"]["sources"] == [
        {"secret": {"name": "loki-password", "items": [{"key": "password", "path": "password"}]}},
        {"secret": {"name": "loki-authority", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]


def test_the_cluster_agent_has_no_business_with_loki() -> None:
    made = render(example("shippers"))

    assert "loki" not in made.settings("cluster-agent")
    assert "loki" not in str(made.container("cluster-agent"))


def test_a_bearer_token_is_a_file_that_both_read() -> None:
    made = render(example("shippers"))

    for component in SENDERS:
        assert "--loki-bearer-token-file=/etc/kubescribe-loki/bearer-token" in made.container(component)["args"]
        (source,) = volume(made, component, "loki")["projected"]["sources"]
        assert source["secret"] == {"name": "loki-token", "items": [{"key": "token", "path": "bearer-token"}]}


def test_labels_of_pods_reach_the_node_agents() -> None:
    assert render(example("standalone")).settings("node-agent")["logs"] == {"podLabels": ["team"]}


@pytest.mark.parametrize(
    ("url", "ports"),
    [
        ("http://loki:3100", {3100, 8080}),
        ("http://loki-gateway.monitoring.svc", {80, 3100, 8080}),
        ("https://loki.example.org/prefix", {3100, 8080}),
        ("https://loki.example.org:8443", {8443, 3100, 8080}),
    ],
)
def test_the_network_lets_the_aggregator_reach_loki(url: str, ports: set[int]) -> None:
    assert lokis_ports(render({"loki": {"url": url}})) == ports


def test_a_shipper_reaches_the_gateway_of_its_own_node() -> None:
    made = render(example("shippers"))
    service = made.one("Service", "node-agent")
    agent = made.one("DaemonSet", "node-agent")["spec"]["template"]["metadata"]["labels"]

    assert service["metadata"]["name"] == "kubescribe-gateway"
    assert service["spec"]["internalTrafficPolicy"] == "Local"
    assert service["spec"]["selector"].items() <= agent.items()
    (port,) = service["spec"]["ports"]
    assert port == {"name": "gateway", "port": 8081, "targetPort": "gateway"}
    assert {"name": "gateway", "containerPort": 8081} in made.container("node-agent")["ports"]
    assert made.settings("node-agent")["gateway"] == {"listen": ":8081"}
    assert "http://kubescribe-gateway.kubescribe.svc:8081/loki/api/v1/push" in made.notes
    assert "http://kubescribe-gateway.kubescribe.svc:8081/otlp/v1/logs" in made.notes


@pytest.mark.parametrize("component", SENDERS)
def test_every_gateway_knows_which_tenants_shippers_may_name(component: str) -> None:
    made = render({**LOKI, "gateway": {"enabled": True, "tokenSecret": "t", "tenants": ["edge", "shop"]}})

    assert made.settings(component)["gateway"]["tenants"] == ["edge", "shop"]


def test_a_shipper_shows_a_token_of_the_secret() -> None:
    made = render(example("shippers"))
    (mount,) = [each for each in made.container("node-agent")["volumeMounts"] if each["name"] == "gateway"]

    assert volume(made, "node-agent", "gateway")["secret"] == {
        "secretName": "kubescribe-shippers",
        "defaultMode": 0o440,
        "items": [{"key": "token", "path": "token"}],
    }
    assert f"--gateway-token-file={mount['mountPath']}/token" in made.container("node-agent")["args"]


def test_an_operator_says_from_where_shippers_come() -> None:
    monitoring = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    made = render(example("shippers"))
    anyone = render({**LOKI, "gateway": {"enabled": True, "tokenSecret": "t"}})

    assert policy(made, "node-agent") == [(8081, monitoring), (9091, None)]
    assert (8081, monitoring) in policy(made, "aggregator")
    assert policy(anyone, "node-agent") == [(8081, None), (9091, None)]
    assert (8081, None) not in policy(anyone, "aggregator"), "without tokens only our own agents are let in"


def test_the_notes_say_what_goes_to_loki() -> None:
    assert "every container's lines" in render(example("standalone")).notes
    assert "every container's lines" not in render(LOKI).notes
    assert "go events, terminations and changes" in render(LOKI).notes
    assert "go events" not in render().notes


def test_a_node_agent_with_a_gateway_has_the_memory_that_a_backlog_takes(plain: Rendering) -> None:
    assert plain.container("node-agent")["resources"]["limits"] == {"memory": "160Mi"}

    made = render(example("shippers") | {"nodeAgent": {"resources": {"limits": {"cpu": "1"}}}})

    assert made.container("node-agent")["resources"]["limits"] == {"cpu": "1", "memory": "384Mi"}

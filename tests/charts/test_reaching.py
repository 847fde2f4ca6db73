"""Who reaches the aggregator, and how: loopback, Service, Ingress, NetworkPolicy, seats at the API server, NOTES."""

from typing import Any

import pytest

from tests.charts.conftest import Rendering, example, render, values_at

TOKEN = {"auth": {"tokenSecret": "people"}}
ALB = "alb.ingress.kubernetes.io/"


def ports(made: Rendering) -> set[tuple[str, int]]:
    return {(port["name"], port["port"]) for port in made.one("Service", "aggregator")["spec"]["ports"]}


def alb_values(**values: Any) -> dict[str, Any]:
    return {**TOKEN, "ingress": {"enabled": True, "host": "a.example", "alb": {"enabled": True, **values}}}


def annotations(made: Rendering) -> dict[str, str]:
    return made.one("Ingress", "aggregator")["metadata"]["annotations"]


def policy(made: Rendering) -> dict[int, list[Any] | None]:
    """Whom a port takes connections from; None: from anyone."""
    rules = made.one("NetworkPolicy", "aggregator")["spec"]["ingress"]
    return {port["port"]: rule.get("from") for rule in rules for port in rule["ports"]}


def test_without_a_credential_people_come_through_a_port_forward_only(plain: Rendering) -> None:
    assert plain.settings("aggregator")["http"]["listen"] == "127.0.0.1:8080"
    assert ports(plain) == {("ingest", 8081), ("metrics", 9090)}
    assert "--token-file" not in str(plain.container("aggregator")["args"])
    assert "port-forward statefulset/kubescribe-aggregator 8080:8080" in plain.notes
    assert "http://localhost:8080/cluster-info/" in plain.notes
    assert "create secret generic" in plain.notes


def test_with_a_credential_people_come_from_elsewhere() -> None:
    made = render(TOKEN)
    pod, container = made.pod("aggregator"), made.container("aggregator")
    (auth,) = [volume["secret"] for volume in pod["volumes"] if volume["name"] == "auth"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "auth"]

    assert made.settings("aggregator")["http"]["listen"] == ":8080"
    assert ports(made) == {("http", 8080), ("ingest", 8081), ("metrics", 9090)}
    assert auth == {"secretName": "people", "defaultMode": 0o440, "items": [{"key": "token", "path": "token"}]}
    assert f"--token-file={mount['mountPath']}/token" in container["args"]
    assert "create secret" not in made.notes


def test_every_port_of_the_service_is_one_of_the_container(each: Rendering) -> None:
    declared = {port["name"]: port["containerPort"] for port in each.container("aggregator")["ports"]}

    for port in each.one("Service", "aggregator")["spec"]["ports"]:
        assert declared[port["targetPort"]] == port["port"]


def test_a_plain_ingress_leads_to_the_base_path() -> None:
    made = render(example("standalone"))
    spec = made.one("Ingress", "aggregator")["spec"]

    assert spec["ingressClassName"] == "nginx"
    assert spec["tls"] == [{"secretName": "kubescribe-tls", "hosts": ["kubescribe.example.org"]}]
    (rule,) = spec["rules"]
    (path,) = rule["http"]["paths"]
    assert (rule["host"], path["path"], path["pathType"]) == ("kubescribe.example.org", "/", "Prefix")
    assert path["backend"]["service"] == {"name": "kubescribe-aggregator", "port": {"name": "http"}}
    assert not [key for key in annotations(made) if key.startswith(ALB)]
    assert "https://kubescribe.example.org/\n" in made.notes


def test_a_load_balancer_of_aws_keeps_quiet_feeds_and_knows_only_https() -> None:
    made = render(example("eks-alb"))
    spec = made.one("Ingress", "aggregator")["spec"]

    assert spec["ingressClassName"] == "alb"
    assert spec["rules"][0]["http"]["paths"][0]["path"] == "/cluster-info"
    assert annotations(made) == {
        f"{ALB}target-type": "ip",
        f"{ALB}listen-ports": '[{"HTTP":80},{"HTTPS":443}]',
        f"{ALB}target-group-attributes": "deregistration_delay.timeout_seconds=30",
        f"{ALB}group.name": "observability",
        f"{ALB}group.order": "10",
        f"{ALB}scheme": "internet-facing",
        f"{ALB}ssl-redirect": "443",
        f"{ALB}ssl-policy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
        f"{ALB}load-balancer-attributes": (
            "idle_timeout.timeout_seconds=3600,routing.http.drop_invalid_header_fields.enabled=true"
        ),
    }
    assert made.one("Service", "aggregator")["metadata"]["annotations"] == {
        f"{ALB}healthcheck-path": "/healthz",
        f"{ALB}success-codes": "200",
    }
    assert "https://www.example.org/cluster-info/" in made.notes


def test_every_annotation_is_a_string() -> None:
    made = render(alb_values(groupOrder=10))

    assert annotations(made)[f"{ALB}group.order"] == "10"
    assert all(isinstance(value, str) for value in annotations(made).values())


def test_an_ingress_that_does_not_own_its_group_says_nothing_of_the_load_balancer() -> None:
    made = render(alb_values(owner=False, groupName="observability"))

    assert annotations(made).keys() == {
        f"{ALB}{name}" for name in ("target-type", "listen-ports", "target-group-attributes", "group.name")
    }


def test_an_annotation_of_the_operators_wins() -> None:
    values = alb_values()
    values["ingress"]["annotations"] = {f"{ALB}ssl-policy": "own"}

    assert annotations(render(values))[f"{ALB}ssl-policy"] == "own"


def test_records_come_from_our_agents_only(plain: Rendering) -> None:
    (peer,) = policy(plain)[8081] or []

    labels = peer["podSelector"]
    (component,) = labels["matchExpressions"]
    assert "namespaceSelector" not in peer
    assert component["values"] == ["cluster-agent", "node-agent"]
    for agent, kind in (("cluster-agent", "Deployment"), ("node-agent", "DaemonSet")):
        pod = plain.one(kind, agent)["spec"]["template"]["metadata"]["labels"]
        assert labels["matchLabels"].items() <= pod.items()


def test_the_network_lets_people_in_only_where_a_credential_is_asked_for() -> None:
    assert policy(render()).keys() == {8081, 9090}
    assert policy(render(TOKEN))[8080] is None


def test_an_operator_says_from_where_people_and_prometheus_come() -> None:
    made = policy(render(example("eks-alb")))

    assert made[8080] == [{"ipBlock": {"cidr": "10.0.0.0/16"}}]
    assert made[9090] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


def test_the_aggregator_reaches_names_and_the_api_server(plain: Rendering) -> None:
    spec = plain.one("NetworkPolicy", "aggregator")["spec"]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {53, 443, 6443}


def test_the_network_policy_can_be_left_out() -> None:
    assert render(values_at("networkPolicy.enabled", False)).find("NetworkPolicy", "aggregator") is None


def test_seats_of_their_own_are_an_option(plain: Rendering) -> None:
    made = render(values_at("apiPriority.enabled", True))

    assert plain.find("FlowSchema", "api-priority") is None
    assert plain.find("PriorityLevelConfiguration", "api-priority") is None
    flow = made.one("FlowSchema", "api-priority")["spec"]
    level = made.one("PriorityLevelConfiguration", "api-priority")
    assert flow["priorityLevelConfiguration"]["name"] == level["metadata"]["name"]
    assert flow["matchingPrecedence"] < 9000, "there the API server's own schema for ServiceAccounts begins"
    subjects = {each["serviceAccount"]["name"] for rule in flow["rules"] for each in rule["subjects"]}
    assert subjects == {made.pod(agent)["serviceAccountName"] for agent in ("cluster-agent", "node-agent")}


@pytest.mark.parametrize("agents", [True, False])
def test_the_notes_say_what_pod_security_must_allow(agents: bool) -> None:
    notes = render(values_at("nodeAgent.enabled", agents)).notes

    assert ("pod-security.kubernetes.io/enforce=privileged" in notes) is agents


def test_the_notes_are_of_this_release_and_of_its_namespace() -> None:
    notes = render(name="recorder", namespace="ops").notes

    assert "--namespace ops port-forward statefulset/recorder-kubescribe-aggregator" in notes
    assert "--selector app.kubernetes.io/instance=recorder" in notes

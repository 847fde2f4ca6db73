"""What the chart lets our pods do in a cluster: exactly what they need, and nothing of a Secret, ever."""

from typing import Any

import pytest

from agent.watch.kinds import DEFAULT_KINDS, PODS
from tests.charts.conftest import LOKI, Rendering, example, render

READ = {"get", "list", "watch"}

Rule = tuple[str, str, tuple[str, ...], frozenset[str]]


def rules(role: dict[str, Any]) -> set[Rule]:
    """(group, resource, names, verbs), one resource each."""
    return {
        (group, resource, tuple(rule.get("resourceNames", ())), frozenset(rule["verbs"]))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def watched(*kinds: tuple[str, str]) -> set[Rule]:
    return {(group, resource, (), frozenset(READ)) for group, resource in kinds}


TABLE = watched(*((kind.group, kind.resource) for kind in DEFAULT_KINDS))


def test_the_cluster_agent_reads_the_kinds_of_the_table_and_no_other(plain: Rendering) -> None:
    assert rules(plain.one("ClusterRole", "cluster-agent")) == TABLE


def test_the_cluster_agent_keeps_its_own_lease_and_no_other(plain: Rendering) -> None:
    role = plain.one("Role", "cluster-agent")

    assert role["metadata"]["namespace"] == "kubescribe"
    assert rules(role) == {
        ("coordination.k8s.io", "leases", (), frozenset({"create"})),
        ("coordination.k8s.io", "leases", ("kubescribe-cluster-agent",), frozenset({"get", "update"})),
    }
    assert plain.settings("cluster-agent")["election"]["leaseName"] == "kubescribe-cluster-agent"


def test_the_node_agent_reads_pods_and_the_uid_of_the_cluster(plain: Rendering) -> None:
    assert rules(plain.one("ClusterRole", "node-agent")) == {
        *watched((PODS.group, PODS.resource)),
        ("", "namespaces", ("kube-system",), frozenset({"get"})),
    }


STATS = ("", "nodes/stats", (), frozenset({"get"}))
METRICS = {("metrics.k8s.io", resource, (), frozenset({"list"})) for resource in ("nodes", "pods")}


def test_usage_is_granted_in_the_profile_standalone_to_who_reads_it_and_never_as_nodes_proxy() -> None:
    plain, standalone = render(), render({"profile": "standalone", **LOKI})

    assert rules(standalone.one("ClusterRole", "node-agent")) - rules(plain.one("ClusterRole", "node-agent")) == {STATS}
    assert rules(standalone.one("ClusterRole", "cluster-agent")) - rules(plain.one("ClusterRole", "cluster-agent")) == (
        METRICS
    )


@pytest.mark.parametrize(("profile", "read"), [("standalone", "never"), ("beside", "always")])
def test_usage_is_granted_as_the_setting_says_where_it_says_so(profile: str, read: str) -> None:
    own = {"settings": {"usage": {"read": read}}}
    made = render({"profile": profile, **LOKI, "nodeAgent": own, "clusterAgent": own})

    assert (STATS in rules(made.one("ClusterRole", "node-agent"))) is (read == "always")
    assert bool(METRICS & rules(made.one("ClusterRole", "cluster-agent"))) is (read == "always")


def test_the_aggregator_may_ask_whose_a_token_is_and_nothing_else(plain: Rendering) -> None:
    assert rules(plain.one("ClusterRole", "aggregator")) == {
        ("authentication.k8s.io", "tokenreviews", (), frozenset({"create"}))
    }


def test_extra_kinds_are_granted_to_the_cluster_agent_alone() -> None:
    made = render(example("eks-alb"))

    assert rules(made.one("ClusterRole", "cluster-agent")) - TABLE == watched(
        ("argoproj.io", "workflows"), ("elbv2.k8s.aws", "targetgroupbindings")
    )
    assert rules(made.one("ClusterRole", "node-agent")) == rules(render().one("ClusterRole", "node-agent"))


def test_extra_kinds_are_watched_too() -> None:
    made = render(example("eks-alb"))

    assert made.settings("cluster-agent")["watch"]["kinds"] == [
        "argoproj.io/v1alpha1/Workflow",
        "elbv2.k8s.aws/v1beta1/TargetGroupBinding",
    ]


def test_no_secret_and_no_wildcard_is_ever_granted(each: Rendering) -> None:
    for role in (made for made in each.objects if made["kind"] in ("ClusterRole", "Role")):
        for group, resource, _, verbs in rules(role):
            assert "*" not in (group, resource, *verbs)
            assert resource != "secrets"
            assert "/" not in resource or resource == "nodes/stats", "no other subresource: neither logs nor exec"
        assert not any("nonResourceURLs" in rule for rule in role["rules"])


def test_nothing_is_written_but_the_lease_and_reviews(each: Rendering) -> None:
    written = {
        (group, resource, verbs - READ)
        for role in each.objects
        if role["kind"] in ("ClusterRole", "Role")
        for group, resource, _, verbs in rules(role)
        if verbs - READ
    }

    assert written == {
        ("coordination.k8s.io", "leases", frozenset({"create"})),
        ("coordination.k8s.io", "leases", frozenset({"update"})),
        ("authentication.k8s.io", "tokenreviews", frozenset({"create"})),
    }


def test_a_role_is_bound_to_the_account_of_its_component(each: Rendering) -> None:
    for kind in ("ClusterRole", "Role"):
        for role in (made for made in each.objects if made["kind"] == kind):
            component = role["metadata"]["labels"]["app.kubernetes.io/component"]
            binding = each.one(f"{kind}Binding", component)

            assert binding["roleRef"]["name"] == role["metadata"]["name"]
            assert binding["subjects"] == [
                {"kind": "ServiceAccount", "name": each.pod(component)["serviceAccountName"], "namespace": "kubescribe"}
            ]


@pytest.mark.parametrize("component", ["aggregator", "cluster-agent", "node-agent"])
def test_a_token_for_the_api_server_is_mounted_only_by_the_pod_that_asks_for_it(
    plain: Rendering, component: str
) -> None:
    assert plain.one("ServiceAccount", component)["automountServiceAccountToken"] is False
    assert plain.pod(component)["automountServiceAccountToken"] is True


def test_the_aggregator_takes_the_tokens_of_our_agents_only(each: Rendering) -> None:
    ingest = each.settings("aggregator")["ingest"]
    named = {"cluster-agent": "clusterAccounts", "node-agent": "nodeAccounts"}

    assert ingest["audience"] == "kubescribe"
    assert {name: ingest[name] for name in named.values() if name in ingest} == {
        named[agent]: [f"kubescribe/{each.pod(agent)['serviceAccountName']}"]
        for agent in each.components
        if agent != "aggregator"
    }

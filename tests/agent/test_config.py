"""The settings of an agent that depend on each other, and its name on the link."""

import pytest

from agent.config import AgentConfig
from kubescribe.runtime.errors import ConfigError
from kubescribe.runtime.sources import load


def loaded(**options: str) -> AgentConfig:
    pairs = [(f"--{name.replace('_', '-')}", text) for name, text in options.items()]
    return load(AgentConfig, file=None, environ={}, options=pairs).settings


def problems(**options: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        loaded(**options)
    return tuple(caught.value.problems)


def test_the_name_on_the_link_says_the_scope_and_who() -> None:
    assert loaded().agent == "all"
    assert loaded(scope="node", node="ip-10-0-1-7.ec2.internal").agent == "node/ip-10-0-1-7.ec2.internal"
    assert loaded(scope="cluster", election_identity="agent-5f7d").agent == "cluster/agent-5f7d"


def test_a_node_is_named_for_the_scope_node() -> None:
    assert problems(scope="node") == (
        "--scope node: --node is missing; give the name of the node whose pods are watched",
    )


@pytest.mark.parametrize("scope", ["cluster", "all"])
def test_a_node_is_named_for_no_other_scope(scope: str) -> None:
    assert problems(scope=scope, node="node-1") == (
        f"--node node-1: the scope {scope} watches no single node; give --scope node, or leave --node out",
    )


@pytest.mark.parametrize("node", ["Node-1", "a/b", "-a", "a" * 254, "pods node"])
def test_a_node_has_a_name_of_kubernetes(node: str) -> None:
    assert len(problems(scope="node", node=node)) == 1


@pytest.mark.parametrize(
    "times",
    [{"election_lease": "5s"}, {"election_renew": "8s"}, {"election_renew": "7s"}, {"election_deadline": "10s"}],
)
def test_a_leader_renews_before_its_deadline_and_ends_before_its_lease(times: dict[str, str]) -> None:
    (problem,) = problems(**times)

    assert problem.startswith("--election-renew, --election-deadline, --election-lease: each must be shorter than")


def test_all_that_is_wrong_is_told_together() -> None:
    assert len(problems(scope="node", election_renew="9s", election_lease_name="No", aggregator="nowhere")) == 4


def test_usage_is_read_in_the_profile_standalone_unless_it_is_said_otherwise() -> None:
    assert not loaded().usage.is_on("beside")
    assert loaded().usage.is_on("standalone")
    assert loaded(usage_read="always").usage.is_on("beside")
    assert not loaded(usage_read="never").usage.is_on("standalone")


def test_the_address_of_a_node_becomes_a_url_also_where_it_is_ipv6() -> None:
    assert loaded(usage_kubelet="https://10.0.1.2:10250").usage.kubelet == "https://10.0.1.2:10250"
    assert loaded(usage_kubelet="https://2001:db8::a1:10250").usage.kubelet == "https://[2001:db8::a1]:10250"
    assert loaded(usage_kubelet="https://[2001:db8::a1]:10250/").usage.kubelet == "https://[2001:db8::a1]:10250"
    assert problems(usage_kubelet="10.0.1.2:10250")

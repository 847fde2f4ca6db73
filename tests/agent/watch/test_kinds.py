"""The table of kinds, and what is never watched."""

import pytest

from agent.errors import KindRefused
from agent.watch.kinds import DEFAULT_KINDS, parse_kind, wanted_kinds


@pytest.mark.parametrize("text", ["v1/Secret", "core/v1/Secret", "/v1/Secret"])
def test_secrets_are_never_watched_even_when_asked_for(text):
    with pytest.raises(KindRefused, match="never"):
        wanted_kinds([text])


def test_secrets_are_not_in_the_table():
    assert not any(kind.resource == "secrets" for kind in DEFAULT_KINDS)


def test_events_are_not_watched_twice():
    with pytest.raises(KindRefused, match="same objects"):
        parse_kind("events.k8s.io/v1/Event")


@pytest.mark.parametrize("text", ["", "Pod", "apps/v1", "apps/v1/deployments", "a/b/c/D"])
def test_a_malformed_kind_says_what_is_expected(text):
    with pytest.raises(KindRefused, match="group/version/Kind"):
        parse_kind(text)


def test_a_kind_outside_the_built_in_groups_carries_its_group():
    names = {kind.name for kind in DEFAULT_KINDS}

    assert {"Service", "Service.serving.knative.dev", "HTTPRoute.gateway.networking.k8s.io", "Ingress"} <= names


def test_an_extra_kind_is_redacted_everywhere():
    kind = parse_kind("example.org/v1/Widget")

    assert (kind.name, kind.redaction, kind.is_optional) == ("Widget.example.org", "everything", True)


def test_no_kind_is_there_twice():
    assert len(wanted_kinds(["apps/v1/Deployment"])) == len(DEFAULT_KINDS) == len({k.name for k in DEFAULT_KINDS})


def test_replica_sets_are_watched_by_their_metadata_only():
    assert [kind.kind for kind in DEFAULT_KINDS if kind.metadata_only] == ["ReplicaSet"]

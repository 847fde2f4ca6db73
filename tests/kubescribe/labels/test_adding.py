"""A shipper's labels stay as they are; ours come beside them, within Loki's limits."""

from hypothesis import given
from hypothesis import strategies as st

from kubescribe.labels.adding import add_labels, foreign_selector_text
from kubescribe.labels.enriching import NodeFacts, enrich
from kubescribe.labels.names import MAX_LABELS
from kubescribe.labels.pods import PodFacts
from kubescribe.labels.selectors import parse_selector

OURS = enrich(
    PodFacts(namespace="shop", name="web-0", uid="u-1", owner_kind="StatefulSet", owner_name="web", node="n1"),
    container="web",
    restart=2,
    node=NodeFacts(cluster="prod"),
)


def test_a_clash_is_won_by_the_shipper() -> None:
    added = add_labels({"namespace": "mine", "pod": "web-0", "job": "shop/web"}, OURS)

    assert added.labels["namespace"] == "mine"
    assert added.labels["workload"] == "web"
    assert "pod" not in added.metadata
    assert added.metadata["pod_uid"] == "u-1"


def test_what_has_no_room_as_a_label_becomes_metadata() -> None:
    theirs = {f"label_{n}": "x" for n in range(14)}

    added = add_labels(theirs, OURS)

    assert added.labels == {**theirs, "cluster": "prod", "service_name": "web"}
    assert added.metadata["namespace"] == "shop"
    assert added.metadata["workload"] == "web"


@given(
    st.dictionaries(
        st.sampled_from([*OURS.labels, *OURS.metadata, *(f"l{n}" for n in range(20))]), st.sampled_from("xyz")
    )
)
def test_nothing_of_theirs_is_lost_and_nothing_of_ours(theirs: dict[str, str]) -> None:
    labels, metadata = add_labels(theirs, OURS)

    assert {name: labels[name] for name in theirs} == theirs
    assert len(labels.keys() - {"service_name"}) <= max(MAX_LABELS, len(theirs.keys() - {"service_name"}))
    assert not labels.keys() & metadata.keys()
    assert labels.keys() | metadata.keys() == theirs.keys() | OURS.labels.keys() | OURS.metadata.keys()


def test_a_name_that_is_no_identifier_goes_on_as_it_came() -> None:
    text = foreign_selector_text({"a.b": "x", "c": 'say "hi"'})

    assert text == '{"a.b"="x", c="say \\"hi\\""}'
    assert parse_selector(text) == {"a.b": "x", "c": 'say "hi"'}

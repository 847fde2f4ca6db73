"""Each warning, and that an ordinary cluster has none."""

from dataclasses import replace

import pytest

from kubescribe.cli.preview.counting import PodLabelCost, Preview, StreamSet
from kubescribe.cli.preview.warning import MAX_STREAMS, room_for_shippers, warnings_of

COST = PodLabelCost(label="team", name="team", pods=3, values=2, bytes_per_line=8.0, streams_as_label=4)
ORDINARY = Preview(
    cluster="eu",
    pods=3,
    containers=3,
    sets=(StreamSet(labels={"namespace": "shop"}, pods=3, is_new=False),),
    values={},
    by_pod=6,
    new_pods=0,
    new_by_pod=0,
    metadata_bytes_per_line=217.0,
    pod_labels=(COST,),
)


def test_an_ordinary_cluster_has_no_warning() -> None:
    assert warnings_of(ORDINARY) == []


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (replace(ORDINARY, sets=ORDINARY.sets * (MAX_STREAMS // 2 + 1)), "5002 streams are more than Loki's default"),
        (
            replace(ORDINARY, sets=(StreamSet(labels={f"l{n}": "x" for n in range(15)}, pods=1, is_new=False),)),
            "16 labels are more than the 15",
        ),
        (replace(ORDINARY, cut=("a", "b", "c", "d", "e")), "are cut: a, b, c and 2 more"),
        (replace(ORDINARY, cluster=""), "give --cluster"),
        (replace(ORDINARY, pod_labels=(replace(COST, name=""),)), "team of pods is left out"),
        (replace(ORDINARY, pod_labels=(replace(COST, pods=0),)), "no pod has it"),
        (replace(ORDINARY, pod_labels=(replace(COST, bytes_per_line=300.0),)), "300 bytes longer"),
        (replace(ORDINARY, metadata_bytes_per_line=500.0), "500 bytes of structured metadata"),
    ],
)
def test_what_is_worth_a_look_is_one_line(seen: Preview, said: str) -> None:
    (line,) = warnings_of(seen)

    assert said in line
    assert "\n" not in line


def test_a_shipper_has_room_for_seven_labels_beside_ours() -> None:
    assert room_for_shippers() == 7

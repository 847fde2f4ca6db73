"""What was missed becomes few enough Gaps, and nothing is left out of them."""

from hypothesis import given
from hypothesis import strategies as st

from agent.tail.losing import Lost
from agent.tail.missing import Folding, Missed
from agent.tail.paths import Instance


def losses(count: int, namespace: str = "batch") -> list[tuple[Instance, Lost]]:
    return [
        (
            Instance(namespace, f"job-{number}", f"u-{number}", "app", 0),
            Lost(cause="logDeleted", start=number, end=number + 10, at="unopened"),
        )
        for number in range(1, count + 1)
    ]


def test_what_nobody_knows_of_a_loss_stands_as_any() -> None:
    missed = Missed("batch", "job-1", "u-1", since=5)

    (gap,) = Folding(monotonic=lambda: 0.0).gaps_of([(missed.instance, missed.lost(9))])

    assert (gap.stream, gap.cause, gap.start, gap.to) == ("logs/batch/job-1/*", "logDeleted", 5, 9)
    assert (gap.outcome, gap.bytes) == ("lost", None)


def test_the_same_loss_has_the_same_id() -> None:
    first, second = (Folding(monotonic=lambda: 0.0).gaps_of(losses(1)) for _ in range(2))

    assert first[0].id == second[0].id


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 200), st.floats(0.0, 20.0)), max_size=8),
)
def test_thousands_of_losses_are_few_gaps_that_cover_them_all(rounds: list[tuple[int, int, float]]) -> None:
    now = 0.0
    folding = Folding(monotonic=lambda: now, burst=20, per_second=2.0)
    alone = 0
    for number, (count, namespace, seconds) in enumerate(rounds):
        now += seconds
        lost = losses(count, f"n-{namespace}-{number}")
        gaps = folding.gaps_of(lost)
        alone += sum(not gap.stream.endswith("/*/*") for gap in gaps)
        for instance, each in lost:
            streams = {f"logs/{instance.namespace}/{instance.pod}/app", f"logs/{instance.namespace}/*/*"}
            assert any(
                gap.stream in streams and gap.start <= each.start and gap.to is not None and each.end <= gap.to
                for gap in gaps
            )
    assert alone <= 20 + 2 * now + 1


def test_a_loss_whose_bytes_are_known_always_has_a_gap_of_its_own() -> None:
    lost = [(instance, Lost(cause="logRotated", start=1, end=2, at="1", size=7)) for instance, _ in losses(50)]

    gaps = Folding(monotonic=lambda: 0.0, burst=1).gaps_of(lost)

    assert [gap.bytes for gap in gaps] == [7] * 50


def test_a_thousand_namespaces_are_no_thousand_gaps() -> None:
    lost = [each for number in range(1_000) for each in losses(1, f"n-{number}")]

    gaps = Folding(monotonic=lambda: 0.0, burst=5).gaps_of(lost)

    assert len(gaps) == 5 + 100 + 1
    assert {gap.detail for gap in gaps if gap.stream == "logs/*/*/*"} == {"895 containers"}

"""Counters of workloads that are no more make room for what is new, and nothing else is ever forgotten."""

from aggregator.census.nodes import NodeState
from aggregator.census.pods import PodState
from aggregator.census.roll import Roll
from aggregator.ingest.departed import AFTER_SECONDS, Departed, Sweeping
from aggregator.ingest.enrolling import Enrolling
from aggregator.records import CounterKey, ObjectKey
from aggregator.store.opening import open_journal
from tests.aggregator.ingest.house import a_pod_of_shop

SECOND = 10**9
HOUR = AFTER_SECONDS * SECOND
RESTARTS = "container_restarts_total"


WEB = PodState(
    namespace="shop",
    name="web-1",
    node="n1",
    workload_kind="Pod",
    workload="web",
    phase="Running",
    is_unschedulable=False,
    names=("app",),
    resources=(),
    instances=(),
)


def a_complete_roll(*pods: PodState) -> Roll:
    roll = Roll()
    roll.take({ObjectKey("Pod", pod.name): pod for pod in pods})
    roll.complete()
    return roll


def known(scribe) -> set[str]:
    return restarts_of(CounterKey(RESTARTS, labels) for labels in scribe.pipeline.ledger.series.known[RESTARTS])


def restarts_of(counters) -> set[str]:
    return {labels[2] for family, labels in counters if family == RESTARTS}


async def test_what_is_gone_for_an_hour_makes_room_in_a_full_family_and_what_lives_stays(tmp_path, reopen):
    url = str(tmp_path / "journal.db")
    async with reopen(url) as scribe:
        await Enrolling(scribe.pipeline, scribe.pipeline._journal).enroll()
        pods = [
            a_pod_of_shop(10 + number, name) for number, name in enumerate(("lives", "went", "stays", "other-went"))
        ]
        await scribe.send(*pods)
        await scribe.send(
            *[a_pod_of_shop(100 + number, name, gone=True) for number, name in enumerate(("went", "other-went"))]
        )
        now = [0]
        sweeping = Sweeping(scribe.pipeline, Departed(limit_of=lambda _: 4), now_ns=lambda: now[0])

        await sweeping.forget()
        now[0] += HOUR - 1
        await sweeping.forget()
        assert known(scribe) == {"lives", "went", "stays", "other-went"}
        now[0] += 1
        await sweeping.forget()

        assert known(scribe) == {"lives", "stays"}
        await scribe.send(a_pod_of_shop(200, "went", uid="another"))

    journal = open_journal(url)
    state = await journal.open()
    await journal.close()
    assert restarts_of(state.counters) == {"lives", "stays", "went"}


def test_nothing_is_forgotten_while_there_is_room_or_before_it_is_known_what_lives():
    series = {RESTARTS: {("shop", "Deployment", "web", "app")}}
    roomy, early = Departed(limit_of=lambda _: 100), Departed(limit_of=lambda _: 1)

    for now in (0, 10 * HOUR):
        assert roomy.due(series, a_complete_roll(), now) == []
        assert early.due(series, Roll(), now) == []


def test_who_comes_back_within_the_hour_is_not_forgotten():
    series = {RESTARTS: {("shop", "Pod", "web", "app")}}
    departed, roll = Departed(limit_of=lambda _: 1), a_complete_roll()

    assert departed.due(series, roll, 0) == []
    assert departed.due(series, a_complete_roll(WEB), HOUR // 2) == []
    assert departed.due(series, roll, HOUR) == []
    assert departed.due(series, roll, 2 * HOUR) == [CounterKey(RESTARTS, ("shop", "Pod", "web", "app"))]


def test_each_family_is_judged_by_what_its_labels_name():
    roll, departed = a_complete_roll(WEB), Departed(limit_of=lambda _: 1)
    roll.take({ObjectKey("Node", "u"): NodeState(name="n1", conditions=())})
    stays = {
        "container_terminations_total": {("shop", "Pod", "web", "old-container", "Error"), ("other",) * 5},
        "log_lines_total": {("shop", "web", "info"), ("other", "other", "info")},
        "occurrences_total": {("shop", "BackOff", "Warning"), ("default", "NodeNotReady", "Normal"), ("", "X", "Y")},
        "changes_total": {("Pod", "added"), ("Node", "added")},
        "watch_blind_milliseconds": {("pods/node=n1",), ("agent/cluster/web-1",), ("nodes",), ("other",)},
    }
    goes = {
        "container_terminations_total": ("shop", "Job", "web", "app", "Error"),
        "log_lines_total": ("shop", "went", "info"),
        "occurrences_total": ("pull-request-7", "BackOff", "Warning"),
        "watch_blind_milliseconds": ("agent/node/n7",),
    }
    series = {family: labels | ({goes[family]} if family in goes else set()) for family, labels in stays.items()}

    departed.due(series, roll, 0)

    assert set(departed.due(series, roll, HOUR)) == {CounterKey(family, labels) for family, labels in goes.items()}

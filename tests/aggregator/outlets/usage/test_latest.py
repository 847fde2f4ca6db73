"""What is taken of what agents tell, and what never makes a series, or a rate, that is wrong."""

from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from aggregator.census.roll import Roll
from aggregator.outlets.usage.desk import UsageDesk, UsageQuery
from aggregator.outlets.usage.families import UsageCollector
from aggregator.outlets.usage.latest import Latest
from aggregator.outlets.usage.whose import Register
from kubescribe.runtime.exposition import TableFamily, table_text
from kubescribe.wire.link import Usage
from kubescribe.wire.usage import MAX_PODS, Compute, ContainerUsage, PodUsage
from tests.aggregator.outlets.usage.conftest import SECOND, START, Desk, a_pod, a_state

ROUND = 15 * SECOND


def rounds(desk, *values, started=START - 10_000 * SECOND):
    shown = []
    for value in values:
        desk.tell(a_pod(value, started=started))
        shown.append(desk.cpu())
        desk.now += ROUND
    return shown


def test_a_counter_that_grows_is_shown_as_it_is(desk):
    assert rounds(desk, 5, 6, 6, 9) == [5, 6, 6, 9]


def test_a_counter_that_falls_by_itself_is_not_shown_until_it_is_past_where_it_was(desk):
    assert rounds(desk, 100, 50, 60, 99, 101, 102) == [100, None, None, None, 101, 102]


def test_a_counter_that_leaps_beyond_what_a_machine_can_is_not_shown(desk):
    assert rounds(desk, 100, 9_000_000_000, 101) == [100, None, 101]


def test_the_counter_of_a_container_that_started_anew_begins_anew(desk):
    rounds(desk, 100, 101)

    assert rounds(desk, 2, 3, started=desk.now - 5 * SECOND) == [2, 3]


def test_a_start_in_the_future_hides_no_later_one(desk):
    rounds(desk, 100, started=START + 10**6 * SECOND)
    rounds(desk, 101)

    assert rounds(desk, 2, started=desk.now - 5 * SECOND) == [2]


def test_a_first_value_that_the_container_cannot_have_used_is_not_shown(desk):
    assert rounds(desk, 9_000_000_000, 7) == [None, 7]


def test_a_counter_that_stays_out_of_order_is_believed_when_no_rate_looks_back_that_far(desk):
    shown = rounds(desk, 100, *range(1, 60))

    heals_at = next(index for index, value in enumerate(shown) if index and value is not None)
    assert (heals_at - 1) * 15 >= 585
    assert shown[heals_at:] == list(range(heals_at, 60))


def test_a_pod_that_is_gone_is_not_shown_whatever_its_kubelet_tells(desk):
    desk.live()
    desk.tell(a_pod())
    assert desk.cpu() == 5.0

    desk.live(state=False)
    assert desk.cpu() is None
    desk.now += ROUND
    desk.tell(a_pod(6.0))

    assert desk.cpu() is None
    assert desk.samples("usage_refused_total")[("gone",)] == 1


def test_the_former_pod_of_a_name_is_gone_when_the_name_is_taken_anew(desk):
    desk.live("new")

    desk.tell(a_pod(uid="old"))

    assert desk.cpu() is None


def test_a_static_pod_goes_by_the_uid_of_its_files(desk):
    desk.live("of-the-mirror", a_state("proxy-n1", kind="Pod"))

    desk.tell(a_pod(name="proxy-n1", uid="of-the-file"))

    assert set(desk.samples("container_memory_working_set_bytes")) == {("shop", "proxy-n1", "app", "n1")}


def test_while_the_journal_is_read_what_a_kubelet_tells_is_shown(desk):
    desk.tell(a_pod())

    assert desk.cpu() == 5.0


def test_a_node_tells_nothing_of_a_pod_that_is_on_another(desk):
    desk.live()

    desk.tell(a_pod(), node="n2")
    desk.tell(a_pod(), node="n1")

    assert set(desk.samples("container_memory_working_set_bytes")) == {("shop", "web-1", "app", "n1")}


def test_the_predecessor_of_a_pod_of_the_same_name_does_not_take_its_place(desk):
    new = a_pod(1.0, uid="new", started=START - 100 * SECOND)

    desk.tell(new, a_pod(50.0, uid="old"))

    assert desk.cpu() == 1.0


def test_metrics_fill_in_where_no_kubelet_is_asked_and_give_way_where_one_is(desk):
    rate = PodUsage(
        namespace="shop",
        name="web-1",
        containers=(ContainerUsage(name="app", compute=Compute(cpu_nanocores=1, memory_bytes=77)),),
    )
    desk.tell(rate, node="", source="metrics")
    assert desk.samples("container_memory_working_set_bytes") == {}, "of which node is not known yet"

    desk.live()
    desk.tell(rate, node="", source="metrics")
    assert desk.samples("container_memory_working_set_bytes") == {("shop", "web-1", "app", "n1"): 77}
    assert desk.cpu() is None, "a rate is no counter"

    desk.tell(a_pod())
    desk.tell(rate, node="", source="metrics")
    assert desk.samples("container_memory_working_set_bytes") == {("shop", "web-1", "app", "n1"): 2**20}


def test_the_kubelets_word_of_the_same_moment_stands_against_that_of_metrics(desk):
    desk.live()
    for source, memory in (("metrics", 77), ("kubelet", 88), ("metrics", 77)):
        compute = Compute(at=START, cpu_nanocores=1, memory_bytes=memory)
        pod = PodUsage(namespace="shop", name="web-1", containers=(ContainerUsage(name="app", compute=compute),))
        desk.tell(pod, node="n1" if source == "kubelet" else "", source=source)

    assert desk.samples("container_memory_working_set_bytes") == {("shop", "web-1", "app", "n1"): 88}


def test_a_name_that_cannot_be_or_comes_twice_is_not_taken(desk):
    good = a_pod()
    app = good.containers[0]

    for pod in (
        msgspec.structs.replace(good, name="two words"),
        msgspec.structs.replace(good, namespace=""),
        msgspec.structs.replace(good, containers=(app, app)),
        msgspec.structs.replace(good, containers=(msgspec.structs.replace(app, name='x"} 1\n'),)),
    ):
        desk.tell(pod)

    assert desk.samples("container_memory_working_set_bytes") == {}
    assert desk.samples("usage_refused_total")[("name",)] == 4


def test_what_was_not_told_of_for_long_takes_no_memory(desk):
    desk.tell(a_pod())
    desk.tell_node()
    desk.now += 901 * SECOND

    desk.latest.expire(desk.now)

    assert list(desk.latest.pods(0)) == list(desk.latest.nodes(0)) == []
    assert desk.latest.last_seen("n1") == 0


VALUE = st.integers(0, 2**62 - 1) | st.integers(0, 10**13)
CONTAINER = st.builds(
    ContainerUsage,
    name=st.sampled_from(["app", "proxy"]) | st.text(max_size=5),
    compute=st.builds(
        Compute,
        at=st.integers(-(2**62), 2**62 - 1) | st.just(0),
        started_at=st.sampled_from([0, START - 100 * SECOND, START - 50 * SECOND]) | st.integers(-9, 2**62 - 1),
        cpu_nanoseconds=VALUE | st.none(),
        cpu_nanocores=VALUE | st.none(),
        memory_bytes=VALUE | st.none(),
    ),
)
POD = st.builds(
    PodUsage,
    namespace=st.just("shop"),
    name=st.sampled_from(["web-1", "web-2"]) | st.text(max_size=5),
    uid=st.sampled_from(["", "u1", "u2"]),
    containers=st.lists(CONTAINER, max_size=3).map(tuple),
)


@settings(max_examples=60)
@given(st.lists(st.lists(POD, max_size=4), max_size=6))
def test_whatever_is_told_every_series_is_there_once_and_no_rate_is_beyond_a_machine(told):
    latest = Latest(Register(Roll()))
    desk = Desk(Roll(), latest, UsageCollector(latest, now_ns=lambda: desk.now))
    api = UsageDesk(Roll(), now_ns=lambda: desk.now)
    seen = {}
    for pods in told:
        usage = Usage(source="kubelet", node="n1", pods=tuple(pods[:MAX_PODS]))
        latest.take(usage, desk.now)
        api.take(usage)
        msgspec.json.encode(api.rows(UsageQuery(history=True)).items)
        for family in desk.collector.collect():
            labels = [(sample.name, *sample.labels.values()) for sample in family.samples]
            assert len(set(labels)) == len(labels)
            if isinstance(family, TableFamily):
                text = b"".join(table_text(family, is_openmetrics=False)).decode()
                (read,) = text_string_to_metric_families(text)
                assert [(it.labels, it.value) for it in read.samples] == [
                    (it.labels, float(it.value)) for it in family.samples
                ]
        for key, value in desk.samples("container_cpu_usage_seconds_total").items():
            seen.setdefault(key, []).append((desk.now, value))
        desk.now += ROUND
    for points in seen.values():
        for (before, low), (after, high) in pairwise(points):
            assert high < low or (high - low) <= 1_024 * ((after - before) / SECOND + 60)

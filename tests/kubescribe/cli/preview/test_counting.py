"""What a preview counts: streams, what a pod label costs, what folds, what a day adds."""

from kubescribe.cli.preview.counting import Census, Preview, SeenPod
from kubescribe.labels.pods import TRACKING_ID, PodFacts

DAY = 86_400.0


def pod(name: str, *, owner: str = "", kind: str = "", age: float = 10 * DAY, **more: object) -> SeenPod:
    given: dict[str, object] = {"namespace": "shop", "images": {"app": "cart:1"}, "labels": {}, **more}
    facts = PodFacts(name=name, uid=f"uid-{name}", owner_kind=kind, owner_name=owner, **given)  # type: ignore[arg-type]
    return SeenPod(facts=facts, age_seconds=age)


def counted(*pods: SeenPod, cluster: str = "eu", pod_labels: tuple[str, ...] = ()) -> Preview:
    census = Census(cluster, pod_labels)
    census.add(pods)
    return census.preview()


def replicas(count: int, **more: object) -> list[SeenPod]:
    return [
        pod(f"cart-7d4b9c6f5-{each}", kind="ReplicaSet", owner="cart-7d4b9c6f5", **more)  # type: ignore[arg-type]
        for each in ("bcdfg", "hjklm", "npqrs", "tvwxz", "24567")[:count]
    ]


def test_the_pods_of_a_workload_share_their_streams_and_a_label_by_pod_does_not() -> None:
    made = counted(*replicas(5, labels={"pod-template-hash": "7d4b9c6f5"}))

    assert (made.pods, made.containers, made.streams, made.by_pod) == (5, 5, 2, 10)
    assert made.sets[0].labels["workload"] == "cart"
    assert made.sets[0].pods == 5
    assert made.values == {
        "cluster": 1,
        "namespace": 1,
        "service_name": 1,
        "application": 1,
        "workload_kind": 1,
        "workload": 1,
        "container": 1,
        "stream": 2,
    }


def test_each_container_has_streams_of_its_own() -> None:
    made = counted(pod("web-0", kind="StatefulSet", owner="web", images={"app": "a:1", "proxy": "b:1", "init": "c:1"}))

    assert (made.streams, made.by_pod, made.values["container"]) == (6, 6, 3)


def test_what_a_day_added_are_sets_of_labels_without_an_older_pod() -> None:
    old = pod("web-0", kind="StatefulSet", owner="web")
    young = pod("web-1", kind="StatefulSet", owner="web", age=60.0)
    new = pod("queue-0", kind="StatefulSet", owner="queue", age=60.0)

    made = counted(old, young, new)

    assert (made.streams, made.new_streams) == (4, 2)
    assert (made.new_pods, made.new_by_pod) == (2, 4)


def test_generated_owners_fold_and_are_counted() -> None:
    runs = [pod(f"report-{minute}-bcdfg", kind="Job", owner=f"report-{minute}") for minute in (29_000_001, 29_000_002)]

    made = counted(*runs)

    assert made.streams == 2
    assert [(fold.kind, fold.name, fold.owners) for fold in made.folds] == [("CronJob", "report", 2)]


def test_a_label_of_pods_costs_bytes_and_would_cost_streams() -> None:
    pods = [
        pod(f"web-{each}", kind="StatefulSet", owner="web", labels={"app.kubernetes.io/version": f"1.{each}"})
        for each in range(4)
    ]

    (cost,) = counted(*pods, pod_labels=("app.kubernetes.io/version",)).pod_labels

    assert (cost.name, cost.pods, cost.values, cost.streams_as_label) == ("app_kubernetes_io_version", 4, 4, 8)
    assert cost.bytes_per_line == len("app_kubernetes_io_version") + len("1.0")


def test_a_label_whose_name_is_taken_costs_nothing_and_has_no_name() -> None:
    costs = counted(
        pod("web-0", kind="StatefulSet", owner="web", labels={"node": "x", "---": "y", "stream": "z", "zone": "q"}),
        pod_labels=("node", "---", "stream", "zone", "cluster"),
    ).pod_labels

    assert [(cost.label, cost.name, cost.bytes_per_line) for cost in costs] == [
        ("node", "", 0.0),
        ("---", "", 0.0),
        ("stream", "", 0.0),
        ("zone", "", 0.0),
        ("cluster", "", 0.0),
    ]


def test_a_value_that_loki_would_refuse_is_cut_and_named() -> None:
    long = pod("web-0", kind="StatefulSet", owner="web", annotations={TRACKING_ID: "a" * 3000})

    made = counted(long)

    assert made.cut == ("shop/web: application",)
    assert len(made.sets[0].labels["application"]) == 2048


def test_without_pods_there_is_nothing_to_count() -> None:
    made = counted()

    assert (made.pods, made.streams, made.by_pod, made.metadata_bytes_per_line) == (0, 0, 0, 0.0)
    assert set(made.values.values()) == {0}

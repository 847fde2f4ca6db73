"""How Prometheus and Grafana find us: monitors, annotations, dashboards, each behind a value; and what NOTES tells."""

import base64
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python.errors import HelmValuesError

from scripts.rendering import CHART, NOTES
from tests.charts.conftest import COMPONENTS, LOADER, Rendering, example, refusal, render, values_at

API = "monitoring.coreos.com/v1"
KINDS = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "GrafanaDashboard"}
MONITORS = {"aggregator": "ServiceMonitor", "cluster-agent": "PodMonitor", "node-agent": "PodMonitor"}
KEYS = {"aggregator": "aggregator", "cluster-agent": "clusterAgent", "node-agent": "nodeAgent"}
BOARD = '{\n  "uid": "kubescribe-%s",\n  "title": "{{namespace}} %s"\n}\n'


def monitoring(**values: Any) -> dict[str, Any]:
    return {"monitoring": {"enabled": True, "operator": "always", **values}}


def monitors(made: Rendering) -> set[tuple[str, str]]:
    return {
        (each["kind"], each["metadata"]["labels"]["app.kubernetes.io/component"])
        for kind in ("ServiceMonitor", "PodMonitor")
        for each in made.kind(kind)
    }


def endpoint(made: Rendering, component: str) -> dict[str, Any]:
    spec = made.one(MONITORS[component], component)["spec"]
    (found,) = spec.get("endpoints") or spec["podMetricsEndpoints"]
    return found


def labelled(endpoint: dict[str, Any]) -> dict[str, str]:
    """The label that each relabeling sets: to a word, or from a label of the target."""
    return {
        each["targetLabel"]: each.get("replacement") or f"<{each['sourceLabels'][0]}>"
        for each in endpoint["relabelings"]
        if each["action"] == "replace"
    }


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart with two small dashboards instead of its own."""
    chart = tmp_path_factory.mktemp("charts") / "kubescribe"
    shutil.copytree(CHART, chart, ignore=shutil.ignore_patterns("dashboards"))
    folder = chart / "files/dashboards"
    folder.mkdir(parents=True)
    for name in ("incident", "storage"):
        (folder / f"kubescribe-{name}.json").write_text(BOARD % (name, name), encoding="utf-8")
    return chart


def test_nothing_is_made_unasked(plain: Rendering) -> None:
    made = render(apis=[API])

    assert made.files == plain.files
    assert not [each for each in made.objects if each["kind"] in KINDS]
    assert "prometheus" not in str(made.objects).lower()
    assert "onitor" not in made.notes


@pytest.mark.parametrize("apis", [[], [API]])
def test_the_operator_is_given_its_objects_where_it_is(apis: list[str]) -> None:
    made = render({"monitoring": {"enabled": True}}, apis=apis)

    assert monitors(made) == ({(kind, component) for component, kind in MONITORS.items()} if apis else set())
    assert ("THERE IS NO PROMETHEUS OPERATOR" in made.notes) is not apis


def test_without_a_cluster_to_ask_the_objects_can_be_had_all_the_same() -> None:
    made = render(monitoring())

    assert monitors(made) == {(kind, component) for component, kind in MONITORS.items()}
    assert "NO PROMETHEUS OPERATOR" not in made.notes


@pytest.mark.parametrize("component", MONITORS)
def test_each_component_s_scrape_can_be_switched_off(component: str) -> None:
    made = render(monitoring(scrape={KEYS[component]: {"enabled": False}}))

    assert monitors(made) == {(kind, other) for other, kind in MONITORS.items() if other != component}


def test_what_does_not_run_is_not_scraped() -> None:
    made = render({**monitoring(), "nodeAgent": {"enabled": False}})

    assert monitors(made) == {("ServiceMonitor", "aggregator"), ("PodMonitor", "cluster-agent")}


@pytest.mark.parametrize("component", MONITORS)
def test_our_own_labels_are_honoured_and_jobs_are_called_the_same_in_every_release(component: str) -> None:
    found = endpoint(render(monitoring(), name="recorder"), component)
    role = "aggregator" if component == "aggregator" else "agent"

    assert found["honorLabels"] is True
    assert found["path"] == "/metrics"
    assert labelled(found)["job"] == f"kubescribe-{role}"


@pytest.mark.parametrize("component", MONITORS)
def test_two_releases_of_one_name_never_write_one_series(component: str) -> None:
    """Families about the cluster have a namespace of their own, which is none of who tells them."""
    assert labelled(endpoint(render(monitoring()), component))["installation"] == "<__meta_kubernetes_namespace>"


def test_series_of_the_aggregator_go_on_when_it_starts_again_elsewhere() -> None:
    assert labelled(endpoint(render(monitoring()), "aggregator"))["instance"] == "<__meta_kubernetes_pod_name>"


def test_a_node_agent_s_series_name_its_node_and_no_other_s_do() -> None:
    made = render(monitoring())

    assert labelled(endpoint(made, "node-agent"))["node"] == "<__meta_kubernetes_pod_node_name>"
    assert "node" not in labelled(endpoint(made, "cluster-agent")), "or it would stand in for that node's own agent"


@pytest.mark.parametrize("component", MONITORS)
def test_a_monitor_finds_its_component_by_the_name_of_its_port(component: str) -> None:
    made = render(monitoring())
    selector = made.one(MONITORS[component], component)["spec"]["selector"]["matchLabels"]
    port = endpoint(made, component)["port"]

    if component == "aggregator":
        services = [each for each in made.kind("Service") if selector.items() <= each["metadata"]["labels"].items()]
        (service,) = services
        assert port in {each["name"] for each in service["spec"]["ports"]}
        selector = service["spec"]["selector"]
    pods = {
        name
        for name in MONITORS
        for kind in ("StatefulSet", "Deployment", "DaemonSet")
        if (each := made.find(kind, name))
        and selector.items() <= each["spec"]["template"]["metadata"]["labels"].items()
    }
    assert pods == {component}
    assert port in {each["name"] for each in made.container(component)["ports"]}


@pytest.mark.parametrize(
    "values", [{}, {"loki": {"url": "http://loki"}, "gateway": {"enabled": True, "tokenSecret": "t"}}]
)
def test_the_network_lets_prometheus_reach_whatever_it_is_told_to_scrape(values: dict[str, Any]) -> None:
    prometheus = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    made = render({**monitoring(), **values, "networkPolicy": {"metricsFrom": prometheus}})

    for component in MONITORS:
        (port,) = [each for each in made.container(component)["ports"] if each["name"] == "metrics"]
        if policy := made.find("NetworkPolicy", component):
            rules = {
                each["port"]: rule["from"]
                for rule in policy["spec"]["ingress"]
                for each in rule["ports"]
                if "from" in rule
            }
            assert rules[port["containerPort"]] == prometheus


@pytest.mark.parametrize("component", MONITORS)
def test_what_an_operator_says_of_a_scrape_arrives_there(component: str) -> None:
    rule = {"sourceLabels": ["__name__"], "regex": "kubescribe_watch_.+", "action": "drop"}
    zone = {"targetLabel": "zone", "replacement": "a", "action": "replace"}
    scrape = {
        "interval": "30s",
        "scrapeTimeout": "10s",
        "labels": {"own": "1"},
        "annotations": {"note": "own"},
        "relabelings": [zone],
        "metricRelabelings": [rule],
    }
    made = render(monitoring(labels={"release": "kps"}, annotations={"for": "all"}, scrape={KEYS[component]: scrape}))
    found, metadata = endpoint(made, component), made.one(MONITORS[component], component)["metadata"]

    assert (found["interval"], found["scrapeTimeout"]) == ("30s", "10s")
    assert found["relabelings"][-1] == zone, "behind ours, so that it wins"
    assert found["metricRelabelings"] == [rule]
    assert metadata["labels"].items() >= {"release": "kps", "own": "1"}.items()
    assert metadata["annotations"] == {"for": "all", "note": "own"}


def test_what_the_api_server_would_fill_in_is_said_or_argo_cd_syncs_for_ever() -> None:
    """As in cilium/cilium, issue 38051."""
    own = {"relabelings": [{"targetLabel": "zone"}], "metricRelabelings": [{"regex": "x", "action": "labeldrop"}]}
    made = render(monitoring(scrape=dict.fromkeys(KEYS.values(), own)))

    for component in MONITORS:
        found = endpoint(made, component)
        assert {each["action"] for each in found["relabelings"]} == {"replace"}
        assert [each["action"] for each in found["metricRelabelings"]] == ["labeldrop"]


def test_a_scrape_that_says_nothing_is_prometheus_own() -> None:
    for component in MONITORS:
        assert not {"interval", "scrapeTimeout", "metricRelabelings"} & endpoint(render(monitoring()), component).keys()


def test_a_prometheus_without_an_operator_finds_pods_by_annotations(plain: Rendering) -> None:
    made = render({"monitoring": {"enabled": True, "podAnnotations": True}})

    for component, kind in (
        ("aggregator", "StatefulSet"),
        ("cluster-agent", "Deployment"),
        ("node-agent", "DaemonSet"),
    ):
        (port,) = [each for each in made.container(component)["ports"] if each["name"] == "metrics"]
        found = made.one(kind, component)["spec"]["template"]["metadata"]["annotations"]
        assert {key: value for key, value in found.items() if key.startswith("prometheus.io/")} == {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(port["containerPort"]),
            "prometheus.io/path": "/metrics",
        }

    assert "NO PROMETHEUS OPERATOR" not in made.notes
    assert "have it load charts/kubescribe/files/rules" in made.notes


def test_what_is_scraped_by_monitors_is_not_scraped_by_annotations_too() -> None:
    told = refusal(monitoring(podAnnotations=True))
    made = render(monitoring(podAnnotations=True, scrape={key: {"enabled": False} for key in KEYS.values()}))

    assert "counted twice" in told
    assert "monitoring.scrape.nodeAgent.enabled=false" in told
    assert monitors(made) == set()


class Once(LOADER):  # type: ignore[misc, valid-type]
    """Takes no key twice, as Flux, kustomize and a strict API server do not."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"twice: {keys}"
        return super().construct_mapping(node, deep=deep)


def test_what_is_said_in_two_places_is_there_once() -> None:
    twice = {"release": "kps", "team": "sre"}
    pods = {"podLabels": twice, "podAnnotations": {"prometheus.io/scrape": "false"}}
    said = {"commonLabels": twice, **dict.fromkeys(KEYS.values(), pods)}
    scrape = {key: {"labels": twice} for key in KEYS.values()}
    operator = monitoring(labels=twice, alerts={"labels": twice}, dashboards={"labels": twice}, scrape=scrape)
    for values in (operator, {"monitoring": {"enabled": True, "podAnnotations": True}}):
        made = render({**values, **said})

        for path, text in made.files.items():
            if path != NOTES:
                list(yaml.load_all(text, Once))
        for component, kind in COMPONENTS.items():
            metadata = made.one(kind, component)["spec"]["template"]["metadata"]
            assert metadata["labels"].items() >= twice.items()
            assert metadata["annotations"]["prometheus.io/scrape"] == "false", "the operator's word is the last"


def test_links_that_lead_nowhere_yet_are_told() -> None:
    everywhere = {
        "alerts": {"runbookUrl": "https://git.example.org/main", "dashboardUrl": "https://grafana.example.org"},
        "dashboards": {"pageUrl": "https://www.example.org/seen"},
    }
    nowhere, somewhere = render(monitoring()).notes, render(monitoring(**everywhere)).notes

    for key in ("dashboards.pageUrl", "alerts.runbookUrl", "alerts.dashboardUrl"):
        assert f"monitoring.{key}" in nowhere
        assert key not in somewhere


def test_an_address_that_would_break_a_dashboard_is_refused() -> None:
    for wrong in ('https://www.example.org/"', "https://www.example.org/?a=b", "www.example.org"):
        with pytest.raises(HelmValuesError, match="/monitoring/dashboards/pageUrl"):
            render(values_at("monitoring.dashboards.pageUrl", wrong))


def test_values_of_an_older_chart_are_told_by_the_name_of_what_they_lack() -> None:
    """As `helm upgrade --reuse-values` has them; --reset-then-reuse-values is what works."""
    with pytest.raises(HelmValuesError, match="missing property 'monitoring'"):
        render({"monitoring": None})


def test_both_ways_into_kube_prometheus_stack_are_told() -> None:
    made = render(monitoring())
    labelled = render(monitoring(labels={"release": "kps"}))

    for kind in ("serviceMonitor", "podMonitor", "rule"):
        assert f"{kind}SelectorNilUsesHelmValues: false" in made.notes
    assert "--set monitoring.labels.release=" in made.notes
    assert "release=kps" in labelled.notes
    assert "--set monitoring.labels" not in labelled.notes


def test_a_dashboard_is_a_config_map_as_it_was_rendered(boards: Path) -> None:
    made = render({"monitoring": {"enabled": True}}, chart=boards, name="recorder")

    found = {each["metadata"]["name"]: each for each in made.objects if "dashboard" in each["metadata"]["name"]}
    assert found.keys() == {"recorder-kubescribe-dashboard-incident", "recorder-kubescribe-dashboard-storage"}
    for name in ("incident", "storage"):
        (text,) = found[f"recorder-kubescribe-dashboard-{name}"]["data"].values()
        assert text == (BOARD % (name, name)).strip(), "braces are Grafana's, not Helm's"
        metadata = found[f"recorder-kubescribe-dashboard-{name}"]["metadata"]
        assert metadata["labels"]["grafana_dashboard"] == "1"
        assert metadata["annotations"] == {
            "grafana_folder": "kubescribe",
            "argocd.argoproj.io/sync-options": "ServerSideApply=true",
        }


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "https://kubescribe.example.com/cluster-info"),
        ({"monitoring": {"dashboards": {"pageUrl": "https://www.example.org/seen/"}}}, "https://www.example.org/seen"),
        (
            {
                "ingress": {"enabled": True, "host": "www.example.org", "alb": {"enabled": True}},
                "auth": {"tokenSecret": "people"},
            },
            "https://www.example.org/cluster-info",
        ),
    ],
    ids=["nowhere", "told", "ingress"],
)
def test_the_dashboards_lead_to_where_the_page_is(values: dict[str, Any], expected: str) -> None:
    own = values.get("monitoring", {})
    made = render({**values, "monitoring": {"enabled": True, **own}})

    for each in (each for each in made.kind("ConfigMap") if "dashboard" in each["metadata"]["name"]):
        (text,) = each["data"].values()
        variables = {it["name"]: it for it in json.loads(text)["templating"]["list"]}
        assert variables["kubescribe_url"]["query"] == expected


def test_labels_folder_and_place_of_dashboards_are_the_operator_s_choice(boards: Path) -> None:
    own = {"labels": {"grafana_dashboard": "yes"}, "annotations": {"k8s-sidecar": "own"}, "namespace": "grafana"}
    made = render({"monitoring": {"enabled": True, "dashboards": {**own, "folder": ""}}}, chart=boards)

    for each in (each for each in made.kind("ConfigMap") if "dashboard" in each["metadata"]["name"]):
        assert each["metadata"]["namespace"] == "grafana"
        assert each["metadata"]["labels"]["grafana_dashboard"] == "yes"
        assert each["metadata"]["annotations"].keys() == {"argocd.argoproj.io/sync-options", "k8s-sidecar"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"incident", "storage"}),
        ({"disabled": {"kubescribe-storage": True}}, {"incident"}),
        ({"disabled": {"kubescribe-storage": False}}, {"incident", "storage"}),
        ({"enabled": False}, set()),
    ],
)
def test_each_dashboard_can_be_switched_off(boards: Path, values: dict[str, Any], expected: set[str]) -> None:
    both = {**values, "grafanaOperator": {"enabled": True}}
    made = render({"monitoring": {"enabled": True, "dashboards": both}}, chart=boards)

    for kind in ("ConfigMap", "GrafanaDashboard"):
        names = {each["metadata"]["name"] for each in made.kind(kind)}
        assert {name.rpartition("-")[2] for name in names if "dashboard" in name} == expected


def test_a_dashboard_that_is_not_there_cannot_be_switched_off(boards: Path) -> None:
    told = refusal(values_at("monitoring.dashboards.disabled", {"kubescribe-storrage": True}), chart=boards)

    assert "monitoring.dashboards.disabled.kubescribe-storrage: there is no dashboard of that uid" in told
    assert "kubescribe-incident, kubescribe-storage" in told


def test_grafana_s_operator_reads_the_same_config_map(boards: Path) -> None:
    operator = {"enabled": True, "instanceSelector": {"matchLabels": {"team": "sre"}}}
    made = render({"monitoring": {"enabled": True, "dashboards": {"grafanaOperator": operator}}}, chart=boards)

    maps = {(each["metadata"]["name"], *each.get("data", ())) for each in made.kind("ConfigMap")}
    assert len(made.kind("GrafanaDashboard")) == 2
    for each in made.kind("GrafanaDashboard"):
        spec = each["spec"]
        assert (spec["configMapRef"]["name"], spec["configMapRef"]["key"]) in maps
        assert spec["folder"] == "kubescribe"
        assert spec["instanceSelector"]["matchLabels"]["team"] == "sre"


def test_each_dashboard_of_the_chart_fits_into_a_config_map() -> None:
    maps = [each for each in render(example("monitoring")).kind("ConfigMap") if "dashboard" in each["metadata"]["name"]]

    assert len(maps) == len(list((CHART / "files/dashboards").glob("*.json"))) > 0
    for each in maps:
        ((name, text),) = each["data"].items()
        assert json.loads(text)["uid"] == name.removesuffix(".json")
        assert len(text) < 900_000, "a ConfigMap takes a mebibyte"


def test_an_installation_with_everything_fits_into_helm_s_own_secret() -> None:
    """Helm keeps chart and manifest, compressed and twice in base64, in a Secret, which takes a mebibyte."""
    files = [path.read_bytes() for path in CHART.rglob("*") if path.is_file()]
    made = "".join(render(example("monitoring")).files.values()).encode()

    # The files of a chart lie in base64 in the JSON that is compressed.
    assert len(gzip.compress(base64.b64encode(b"".join(files)) + made)) * 4 / 3 < 700_000

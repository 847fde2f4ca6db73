"""The pods: what they may do on their node, what they mount, where they run, how they come and go."""

from typing import Any

import pytest

from kubescribe.cli.running import LAST_RESORT_SECONDS
from tests.charts.conftest import LOKI, Rendering, example, render, values_at

AGENTS = ["cluster-agent", "node-agent"]
RESTRICTED_VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


def volumes(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {volume["name"]: volume for volume in pod["volumes"]}


def mounts(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["name"]: mount for mount in container["volumeMounts"]}


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {
        each["name"]: each.get("value", each.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath"))
        for each in container.get("env", ())
    }


def seconds(probe: dict[str, Any]) -> int:
    return probe["periodSeconds"] * probe["failureThreshold"]


def test_every_container_is_without_capabilities_and_without_a_writable_root(each: Rendering) -> None:
    for component in each.components:
        assert each.container(component)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert each.pod(component)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize("component", ["aggregator", "cluster-agent"])
def test_what_is_no_node_agent_passes_pod_security_restricted(each: Rendering, component: str) -> None:
    pod = each.pod(component)

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {key for volume in pod["volumes"] for key in volume if key != "name"} <= RESTRICTED_VOLUMES


def test_the_node_agent_is_root_and_mounts_two_folders_of_the_node(plain: Rendering) -> None:
    pod = plain.pod("node-agent")

    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == (0, 0)
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {name: volume["hostPath"] for name, volume in volumes(pod).items() if "hostPath" in volume} == {
        "spool": {"path": "/var/lib/kubescribe-agent", "type": "DirectoryOrCreate"},
        "logs": {"path": "/var/log/pods", "type": "Directory"},
    }
    assert mounts(plain.container("node-agent"))["logs"] == {
        "name": "logs",
        "mountPath": "/var/log/pods",
        "readOnly": True,
    }
    assert "readOnly" not in mounts(plain.container("node-agent"))["spool"]


def test_docker_s_own_folder_is_mounted_only_where_it_is_named(plain: Rendering) -> None:
    folder = "/var/lib/docker/containers"
    made = render(values_at("nodeAgent.dockerFolder", folder))

    assert "docker" not in volumes(plain.pod("node-agent"))
    assert volumes(made.pod("node-agent"))["docker"]["hostPath"] == {"path": folder, "type": "Directory"}
    assert mounts(made.container("node-agent"))["docker"] == {"name": "docker", "mountPath": folder, "readOnly": True}


def test_every_volume_is_mounted_and_every_mount_has_a_volume(each: Rendering) -> None:
    for component in each.components:
        assert mounts(each.container(component)).keys() == volumes(each.pod(component)).keys()


@pytest.mark.parametrize("component", AGENTS)
def test_an_agent_proves_itself_with_a_token_for_the_aggregator_alone(plain: Rendering, component: str) -> None:
    (source,) = volumes(plain.pod(component))["link-token"]["projected"]["sources"]
    place = mounts(plain.container(component))["link-token"]["mountPath"]

    assert source["serviceAccountToken"]["audience"] == plain.settings("aggregator")["ingest"]["audience"]
    assert f"--token-file={place}/{source['serviceAccountToken']['path']}" in plain.container(component)["args"]


@pytest.mark.parametrize("component", AGENTS)
def test_an_agent_finds_the_aggregator_through_its_service(plain: Rendering, component: str) -> None:
    service = plain.one("Service", "aggregator")

    assert plain.settings(component)["aggregator"] == (
        f"http://{service['metadata']['name']}.{service['metadata']['namespace']}.svc:8081"
    )
    assert 8081 in {port["port"] for port in service["spec"]["ports"]}


@pytest.mark.parametrize("profile", ["beside", "standalone"])
def test_the_agents_are_told_the_profile(profile: str) -> None:
    made = render({"profile": profile, **LOKI})

    for component in AGENTS:
        assert environment(made.container(component))["KUBESCRIBE_PROFILE"] == profile


def test_the_profiles_differ_in_what_agents_may_read_of_usage_and_in_nothing_else() -> None:
    beside, standalone = (render({"profile": profile, **LOKI}).files for profile in ("beside", "standalone"))

    assert beside.pop("NOTES.txt") != standalone.pop("NOTES.txt")
    differing = {path for path, text in beside.items() if text.replace("beside", "standalone") != standalone[path]}
    assert beside.keys() == standalone.keys()
    assert {path.removeprefix("kubescribe/templates/") for path in differing} == {
        "cluster-agent/clusterrole.yaml",
        "node-agent/clusterrole.yaml",
        "node-agent/daemonset.yaml",
    }


def test_a_pod_knows_its_node_and_its_namespace_from_the_downward_api(plain: Rendering) -> None:
    assert environment(plain.container("node-agent"))["KUBESCRIBE_NODE"] == "spec.nodeName"
    lease = environment(plain.container("cluster-agent"))["KUBESCRIBE_ELECTION_LEASE_NAMESPACE"]
    assert lease == "metadata.namespace"


def test_the_node_agent_runs_on_every_node_that_takes_a_daemon_set(plain: Rendering) -> None:
    pod = plain.pod("node-agent")
    (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]

    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert {(each["key"], each["operator"], *each["values"]) for each in term["matchExpressions"]} == {
        ("eks.amazonaws.com/compute-type", "NotIn", "fargate"),
        ("type", "NotIn", "virtual-kubelet"),
    }


def test_a_roll_out_takes_a_tenth_of_the_nodes_at_a_time_and_spreads_their_lists(plain: Rendering) -> None:
    strategy = plain.one("DaemonSet", "node-agent")["spec"]["updateStrategy"]

    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}}
    assert plain.settings("node-agent")["watch"]["startJitter"] == "15s"


def test_the_node_agents_memory_fits_its_budget_with_room(plain: Rendering) -> None:
    resources = plain.container("node-agent")["resources"]

    assert resources["requests"]["memory"] == "80Mi"
    assert resources["limits"] == {"memory": "160Mi"}, "a limit of CPU would be a throttle, not a budget"


def test_the_cluster_agents_are_two_apart_and_one_may_go(plain: Rendering) -> None:
    deployment = plain.one("Deployment", "cluster-agent")["spec"]

    assert deployment["replicas"] == 2
    assert [each["topologyKey"] for each in plain.pod("cluster-agent")["topologySpreadConstraints"]] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]
    budget = plain.one("PodDisruptionBudget", "cluster-agent")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == deployment["selector"]


def test_the_aggregator_has_no_budget_that_would_block_every_drain(plain: Rendering) -> None:
    assert plain.find("PodDisruptionBudget", "aggregator") is None


@pytest.mark.parametrize(("component", "port"), [("aggregator", 9090), ("cluster-agent", 9091), ("node-agent", 9091)])
def test_the_kubelet_asks_whether_a_pod_lives_and_whether_it_works(plain: Rendering, component: str, port: int) -> None:
    container = plain.container(component)
    asked = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}

    assert {each["port"] for each in asked.values()} == {"metrics"}
    assert {"name": "metrics", "containerPort": port} in container["ports"]
    assert asked["startupProbe"]["path"] == asked["livenessProbe"]["path"] == "/livez"
    assert asked["readinessProbe"]["path"] == "/readyz"
    assert seconds(container["startupProbe"]) >= 300, "a journal that is migrated takes its time"


def test_a_pod_has_the_time_to_end_in_order(plain: Rendering) -> None:
    sleep = plain.container("aggregator")["lifecycle"]["preStop"]["exec"]["command"]

    for component in plain.components:
        pause = int(sleep[1]) if component == "aggregator" else 0
        assert plain.pod(component)["terminationGracePeriodSeconds"] > pause + LAST_RESORT_SECONDS
    assert plain.pod("aggregator")["terminationGracePeriodSeconds"] > 30, "the load balancer drains for so long"


def test_services_leave_no_variables_in_our_pods(each: Rendering) -> None:
    assert all(each.pod(component)["enableServiceLinks"] is False for component in each.components)


def test_a_changed_setting_makes_new_pods_of_its_component_only() -> None:
    before, after = render(), render(values_at("nodeAgent.settings.watch.redaction", "strict"))

    def checksum(made: Rendering, kind: str, component: str) -> str:
        return made.one(kind, component)["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert checksum(before, "DaemonSet", "node-agent") != checksum(after, "DaemonSet", "node-agent")
    assert checksum(before, "Deployment", "cluster-agent") == checksum(after, "Deployment", "cluster-agent")


def test_a_pod_of_another_component_is_never_selected(each: Rendering) -> None:
    for component, kind in (
        ("aggregator", "StatefulSet"),
        ("cluster-agent", "Deployment"),
        ("node-agent", "DaemonSet"),
    ):
        if component in each.components:
            spec = each.one(kind, component)["spec"]
            selector = spec["selector"]["matchLabels"]

            assert selector["app.kubernetes.io/component"] == component
            assert selector.items() <= spec["template"]["metadata"]["labels"].items()


def test_the_image_is_named_by_registry_repository_and_tag_or_digest() -> None:
    parts = {"registry": "registry.example.org/", "repository": "team/kubescribe", "tag": "1.2"}
    digest = "sha256:" + "0" * 64

    assert render().container("aggregator")["image"] == "kubescribe:0.1.0"
    assert render({"image": parts}).container("aggregator")["image"] == "registry.example.org/team/kubescribe:1.2"
    pinned = render({"image": {**parts, "digest": digest}})
    assert {pinned.container(component)["image"] for component in pinned.components} == {
        f"registry.example.org/team/kubescribe@{digest}"
    }


@pytest.mark.parametrize(
    ("key", "component"), [("aggregator", "aggregator"), ("clusterAgent", "cluster-agent"), ("nodeAgent", "node-agent")]
)
def test_what_an_operator_adds_to_a_component_arrives_there(key: str, component: str) -> None:
    added = {
        "resources": {"requests": {"memory": "99Mi"}, "limits": {"memory": "98Gi"}},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/x"}},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "podAnnotations": {"team": "sre"},
        "podLabels": {"cost-centre": "42"},
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "important",
    }
    made = render({key: added, "imagePullSecrets": [{"name": "pull"}], "commonLabels": {"owner": "platform"}})
    pod, template = (
        made.pod(component),
        made.one(
            {"aggregator": "StatefulSet", "cluster-agent": "Deployment", "node-agent": "DaemonSet"}[component],
            component,
        )["spec"]["template"],
    )

    assert made.container(component)["resources"]["limits"]["memory"] == "98Gi"
    assert made.one("ServiceAccount", component)["metadata"]["annotations"] == added["serviceAccount"]["annotations"]
    assert environment(made.container(component))["HTTPS_PROXY"] == "http://proxy:3128"
    assert template["metadata"]["annotations"]["team"] == "sre"
    assert template["metadata"]["labels"].items() >= {"cost-centre": "42", "owner": "platform"}.items()
    assert pod["nodeSelector"]["pool"] == "system"
    assert pod["tolerations"] == added["tolerations"]
    assert "podAntiAffinity" in pod["affinity"]
    assert pod["priorityClassName"] == "important"
    assert pod["imagePullSecrets"] == [{"name": "pull"}]


def test_without_node_agents_nothing_of_the_node_is_asked_for() -> None:
    made = render(example("no-nodes"))

    assert made.components == ["aggregator", "cluster-agent"]
    assert not [each for each in made.objects if "node-agent" in each["metadata"]["name"]]
    assert "hostPath" not in str(made.objects)
    assert "privileged" not in made.notes

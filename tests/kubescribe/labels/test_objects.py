"""A Deployment, what it made and what scales it are found under the names of the lines of its pods."""

import json

import pytest

from kubescribe.labels.enriching import Names
from kubescribe.labels.objects import has_controller, names_of_object

CARRIED = {"app.kubernetes.io/name": "web", "app.kubernetes.io/part-of": "storefront"}
OF_PODS = Names(
    workload_kind="Deployment", workload="web-2", service_name="web", application="storefront", revision="", owner=""
)


def body(*, labels=None, owner=None, **spec):
    meta = {"name": "x", "labels": labels or {}}
    if owner:
        meta["ownerReferences"] = [{"kind": owner[0], "name": owner[1], "controller": True}]
    return json.dumps({"metadata": meta, "spec": spec}).encode()


def test_a_deployment_is_named_from_its_template_and_its_own_name_stays_whole():
    made = body(labels={"app": "other"}, template={"metadata": {"labels": CARRIED}})

    assert names_of_object("Deployment", "web-2", made) == OF_PODS


@pytest.mark.parametrize(
    ("kind", "name", "made", "expected"),
    [
        (
            "ReplicaSet",
            "web-6d4cf56db6",
            body(labels={"pod-template-hash": "6d4cf56db6"}, owner=("Deployment", "web")),
            ("Deployment", "web", "6d4cf56db6", ""),
        ),
        ("ReplicaSet", "web-x", body(), ("ReplicaSet", "web-x", "", "")),
        ("Job", "report-28741920", body(owner=("CronJob", "report")), ("CronJob", "report", "", "report-28741920")),
        ("Job", "report-28741920", body(), ("CronJob", "report", "", "report-28741920")),
        ("ConfigMap", "app-7f9c8d6b5k", body(), ("ConfigMap", "app", "", "app-7f9c8d6b5k")),
        ("Rollout.argoproj.io", "api-1", body(), ("Rollout", "api-1", "", "")),
        (
            "HorizontalPodAutoscaler",
            "hpa",
            body(scaleTargetRef={"kind": "StatefulSet", "name": "db"}),
            ("StatefulSet", "db", "", ""),
        ),
        ("ScaledObject.keda.sh", "so", body(scaleTargetRef={"name": "web"}), ("Deployment", "web", "", "")),
        ("StatefulSet", "db", None, ("StatefulSet", "db", "", "")),
        ("Certificate.cert-manager.io", "tls", body(template="text"), ("Certificate", "tls", "", "")),
    ],
)
def test_an_object_belongs_to_the_workload_that_it_is_part_of(kind, name, made, expected):
    names = names_of_object(kind, name, made)

    assert (names.workload_kind, names.workload, names.revision, names.owner) == expected
    assert names.service_name == names.application == names.workload


def test_what_has_no_namespace_is_named_for_its_kind():
    names = names_of_object("Node", "ip-10-0-0-7", body(), is_namespaced=False)

    assert names == Names(workload_kind="Node", workload="", service_name="node", application="", revision="", owner="")


def test_what_is_another_ones_doing_is_told():
    assert has_controller(body(owner=("CronJob", "report")))
    assert not has_controller(body())

"""What somebody decided is an entry, in a few words; what follows from it is none."""

import json

import pytest

from aggregator.outlets.loki.changes import change_entry, is_news, read_change
from aggregator.outlets.loki.subjects import Subject

SUBJECT = Subject(labels={"namespace": "shop"}, metadata={})


def change(diff=None, *, kind="Deployment", verb="modified", listed=False, actor=None):
    item = {
        "type": "change",
        "seq": 7,
        "kind": kind,
        "namespace": "shop",
        "name": "web",
        "uid": "d-1",
        "resourceVersion": "9",
        "generation": 3,
        "verb": verb,
        "actor": actor or {"manager": "kubectl-edit"},
        "observedAt": "2026-11-25T10:00:00.000000001Z",
        "committedAt": "2026-11-25T10:00:01.000000000Z",
        "late": False,
        "listed": listed,
        "diff": diff,
    }
    return read_change(json.dumps(item).encode())


def step(*path, old=None, new=None):
    return {"path": list(path), "old": old, "new": new}


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([step("spec", "replicas", old=2, new=3)], "spec.replicas 2 → 3"),
        (
            [step("spec", "template", "spec", "containers", {"name": "app"}, "image", old="web:1", new="web:2")],
            "app.image web:1 → web:2",
        ),
        (
            [step("spec", "image", old=f"{'r' * 60}/shop/web:1", new=f"{'r' * 60}/shop/web:2")],
            "spec.image web:1 → web:2",
        ),
        ([step("spec", "paused", new=True)], "spec.paused set to true"),
        ([step("data", "app.yaml", old="a\nb", new="a\nc")], "data.app.yaml changed"),
        ([step("data", "key", old="kubescribe:redacted:ab:1", new="kubescribe:redacted:cd:1")], "data.key changed"),
        ([step("spec", "template", "metadata", "labels", "x", old="1")], "metadata.labels.x removed"),
        (
            [step("spec", f"f{n}", old=1, new=2) for n in range(10)],
            "; ".join(f"spec.f{n} 1 → 2" for n in range(8)) + "; and 2 more",
        ),
    ],
)
def test_what_changed_is_said_in_a_few_words(steps, words):
    entry = change_entry(change(steps), SUBJECT)

    assert words in entry.line.replace("\\u2192", "→")
    assert entry.line.startswith("level=info verb=modified kind=Deployment name=web manager=kubectl-edit generation=3")
    assert entry.at == 1_795_600_800_000_000_001


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (change([step("spec", "replicas", old=1, new=2)]), True),
        (change([step("status", "replicas", old=1, new=2)]), False),
        (change([step("metadata", "annotations", "a", old="1", new="2")]), False),
        (change([step("metadata", "labels", "a", old="1", new="2")]), True),
        (change([step("data", "a", old="1", new="2")], kind="ConfigMap"), True),
        (change(verb="added"), True),
        (change(verb="added", listed=True), False),
        (change(verb="deleted"), True),
        (change(verb="inferredDeleted"), True),
        (change([step("spec", "nodeName", new="n1")], kind="Pod"), False),
        (change([step("spec", "replicas", old=1, new=2)], kind="ReplicaSet"), False),
    ],
)
def test_only_what_somebody_decided_is_news(item, expected):
    assert is_news(item) is expected


def test_a_change_under_gitops_names_its_revision():
    actor = {"manager": "argocd-controller", "app": "shop", "revision": "abc..def", "initiatedBy": "ci"}

    line = change_entry(change([step("spec", "replicas", old=1, new=2)], actor=actor), SUBJECT).line

    assert "manager=argocd-controller app=shop revision=abc..def initiated_by=ci" in line

"""
Which workload a pod belongs to, from the pod alone: its owner's name without what controllers add to it. Pure.

No lookup of the owner: a pod of a Deployment is owned by a ReplicaSet whose name is the Deployment's and the
template's hash, which the pod carries as a label; a Job of a CronJob is named for it and the scheduled minute. What is
generated anew for each run (bare Jobs, workflow pods, bare pods) folds into the part of its name that stays: else each
run would make streams of its own.
"""

import re
from typing import NamedTuple

from kubescribe.labels.pods import PodFacts

_SCHEDULED = re.compile(r"-\d{8,}$")
"""The CronJob controller appends the scheduled time in minutes since 1970 (cronjob/utils.go, getJobName)."""

_SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""The alphabet of generated suffixes (apimachinery, util/rand: no vowels, no look-alikes)."""

_GENERATED = re.compile(
    rf"-(?:[{_SAFE}]{{5}}|[{_SAFE}]{{8,10}}|\d+|[0-9a-f]{{7,64}}"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$"
)
"""What ends a name that was made for one run: a random suffix, a number or time, a hash, a uuid."""

_WORDS = frozenset({"-https", "-httpd", "-grpcs"})
"""What looks generated and is a word; five such letters are random otherwise: every fifth suffix has no digit."""

_HEX_WORD = re.compile(r"^-[a-f]+$")


class Workload(NamedTuple):
    """
    What a pod belongs to.

    `revision` names the template that the pod was made from, "" where there is none; `owner` is the owner's whole name
    where `name` is only a part of it.
    """

    kind: str
    name: str
    revision: str = ""
    owner: str = ""


def workload_of(pod: PodFacts) -> Workload:
    """Return the workload of *pod*."""
    kind, name, labels = pod.owner_kind, pod.owner_name, pod.labels
    match kind:
        case "ReplicaSet":
            found = _of_replica_set(name, labels)
        case "StatefulSet" | "DaemonSet":
            found = Workload(kind, name, labels.get("controller-revision-hash", ""))
        case "Job":
            found = _of_job(name)
        case "Node":
            # A static pod: the kubelet appends the node's name.
            found = Workload("Pod", pod.name.removesuffix(f"-{name}"))
        case "ReplicationController":
            found = Workload(kind, name)
        case "":
            found = _guessed(pod.name) if pod.is_guessed else _folded("Pod", pod.name)
        case _:
            found = _folded(kind, name)
    return found


def _of_replica_set(name: str, labels: dict[str, str]) -> Workload:
    for label, kind in (("pod-template-hash", "Deployment"), ("rollouts-pod-template-hash", "Rollout")):
        revision = labels.get(label, "")
        if revision and name.endswith(f"-{revision}"):
            return Workload(kind, name.removesuffix(f"-{revision}"), revision)
    return Workload("ReplicaSet", name)


def _of_job(name: str) -> Workload:
    if (scheduled := _SCHEDULED.search(name)) is not None:
        return Workload("CronJob", name[: scheduled.start()], owner=name)
    return _folded("Job", name)


def _folded(kind: str, name: str) -> Workload:
    folded = name
    while (end := _GENERATED.search(folded)) is not None and not _is_word(end.group()):
        folded = folded[: end.start()]
    return Workload(kind, folded, owner=name if folded != name else "")


def _is_word(end: str) -> bool:
    return end in _WORDS or (_HEX_WORD.match(end) is not None and any(vowel in end for vowel in "ae"))


_OF_DEPLOYMENT = re.compile(rf"^(.+)-([{_SAFE}]{{8,10}})-[{_SAFE}]{{5}}$")
_OF_STATEFUL_SET = re.compile(r"^(.+)-\d+$")
_OF_CRON_JOB = re.compile(rf"^(.+)-\d{{8,}}-[{_SAFE}]{{5}}$")
_OF_SET = re.compile(rf"^(.+)-[{_SAFE}]{{5}}$")


def _guessed(name: str) -> Workload:
    """Return what the name of a pod suggests; the kind is never guessed from less than a whole pattern."""
    if found := _OF_CRON_JOB.match(name):
        return Workload("CronJob", found[1])
    if found := _OF_DEPLOYMENT.match(name):
        return Workload("Deployment", found[1], found[2])
    if found := _OF_STATEFUL_SET.match(name):
        return Workload("StatefulSet", found[1])
    if found := _OF_SET.match(name):
        return Workload("Pod", found[1])
    return Workload("Pod", name)

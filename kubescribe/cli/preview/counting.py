"""
Which streams the pods of a cluster would make, and what makes them many. Pure; named by kubescribe.labels.

A container may write to stdout and to stderr, and nobody can tell before it does: each set of labels counts as two
streams, so that every count of streams is the most there would be.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from kubescribe.labels.enriching import METADATA, STREAM_LABELS, NodeFacts, enrich, names_of
from kubescribe.labels.names import MAX_VALUE_BYTES, label_name
from kubescribe.labels.pods import PodFacts

OUTPUTS = 2
DAY_SECONDS = 86_400.0

_PER_POD = STREAM_LABELS[:-1]
"""Every label but `stream`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPod:
    """A pod of the list, and how long it has existed."""

    facts: PodFacts
    age_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSet:
    """One set of labels, without `stream`: two streams. `pods` write to it, all of them young if `is_new`."""

    labels: dict[str, str]
    pods: int
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLabelCost:
    """
    What a label of pods adds to the lines.

    `name` is what it is called in Loki, "" when it is left out because that name is taken or nothing of it is left;
    `streams_as_label` is how many streams there would be were it a label instead of structured metadata.
    """

    label: str
    name: str
    pods: int
    values: int
    bytes_per_line: float
    streams_as_label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """A workload whose owners are generated anew for each run, of which `owners` are there now."""

    namespace: str
    kind: str
    name: str
    owners: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """
    What a cluster would make.

    `by_pod` is how many streams there would be of an agent that labels by pod; `new_by_pod` and `new_streams` are those
    of each that a day has added, as far as the pods that are still there tell.
    """

    cluster: str
    pods: int
    containers: int
    sets: tuple[StreamSet, ...]
    values: dict[str, int]
    by_pod: int
    new_pods: int
    new_by_pod: int
    metadata_bytes_per_line: float
    pod_labels: tuple[PodLabelCost, ...] = ()
    folds: tuple[Fold, ...] = ()
    cut: tuple[str, ...] = ()

    @property
    def streams(self) -> int:
        """The most streams there would be."""
        return OUTPUTS * len(self.sets)

    @property
    def new_streams(self) -> int:
        """The most streams that the last day added."""
        return OUTPUTS * sum(each.is_new for each in self.sets)


@dataclass(slots=True)
class _Set:
    pods: int = 0
    oldest_seconds: float = 0.0


@dataclass(slots=True)
class _Label:
    name: str
    pods: int = 0
    bytes: int = 0
    values: set[str] = field(default_factory=set)
    sets: set[tuple[tuple[str, ...], str]] = field(default_factory=set)


@dataclass(slots=True)
class Census:
    """
    Pods counted one by one. What it holds grows with the sets of labels and the owners' names, not with the pods.

    `pod_labels` are those that the lines would carry.
    """

    cluster: str
    pod_labels: tuple[str, ...] = ()
    _pods: int = 0
    _containers: int = 0
    _new: Counter[str] = field(default_factory=Counter)
    _metadata_bytes: int = 0
    _sets: dict[tuple[str, ...], _Set] = field(default_factory=dict)
    _owners: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    _labels: dict[str, _Label] = field(default_factory=dict)
    _cut: set[str] = field(default_factory=set)

    def add(self, pods: Iterable[SeenPod]) -> None:
        """Count *pods*; each once."""
        for pod in pods:
            self._add(pod)

    def _add(self, pod: SeenPod) -> None:
        facts, containers = pod.facts, len(pod.facts.images)
        self._pods += 1
        self._containers += containers
        if pod.age_seconds < DAY_SECONDS:
            self._new["pods"] += 1
            self._new["containers"] += containers
        names = names_of(facts)
        if names.owner:
            self._owners.setdefault((facts.namespace, names.workload_kind, names.workload), set()).add(names.owner)
        for what, value in (("service_name", names.service_name), ("application", names.application)):
            if len(value.encode("utf-8", "replace")) > MAX_VALUE_BYTES:
                self._cut.add(f"{facts.namespace}/{names.workload}: {what}")
        for container in facts.images:
            made = enrich(facts, container=container, restart=0, node=NodeFacts(cluster=self.cluster))
            key = tuple(made.labels.get(name, "") for name in _PER_POD)
            known = self._sets.setdefault(key, _Set())
            known.pods += 1
            known.oldest_seconds = max(known.oldest_seconds, pod.age_seconds)
            self._metadata_bytes += sum(len(name) + len(value.encode()) for name, value in made.metadata.items())
            self._add_labels(facts, key)

    def _add_labels(self, facts: PodFacts, key: tuple[str, ...]) -> None:
        for label in self.pod_labels:
            name = label_name(label)
            cost = self._labels.setdefault(label, _Label("" if name in (*STREAM_LABELS, *METADATA) else name))
            value = facts.labels.get(label, "")
            cost.sets.add((key, value))
            if value:
                cost.pods += 1
                cost.bytes += (len(name) + len(value.encode())) if cost.name else 0
                cost.values.add(value)

    def preview(self) -> Preview:
        """Return what the pods so far would make; sets of labels in the order of their labels."""
        keys = sorted(self._sets)
        lines = max(1, self._containers)
        return Preview(
            cluster=self.cluster,
            pods=self._pods,
            containers=self._containers,
            sets=tuple(
                StreamSet(
                    labels={name: value for name, value in zip(_PER_POD, key, strict=True) if value},
                    pods=self._sets[key].pods,
                    is_new=self._sets[key].oldest_seconds < DAY_SECONDS,
                )
                for key in keys
            ),
            values={name: len({key[place] for key in keys} - {""}) for place, name in enumerate(_PER_POD)}
            | {"stream": OUTPUTS if keys else 0},
            by_pod=OUTPUTS * self._containers,
            new_pods=self._new["pods"],
            new_by_pod=OUTPUTS * self._new["containers"],
            metadata_bytes_per_line=self._metadata_bytes / lines,
            pod_labels=tuple(
                PodLabelCost(
                    label=label,
                    name=cost.name,
                    pods=cost.pods,
                    values=len(cost.values),
                    bytes_per_line=cost.bytes / lines,
                    streams_as_label=OUTPUTS * len(cost.sets),
                )
                for label, cost in self._labels.items()
            ),
            folds=tuple(
                Fold(namespace=namespace, kind=kind, name=name, owners=len(owners))
                for (namespace, kind, name), owners in sorted(self._owners.items())
            ),
            cut=tuple(sorted(self._cut)),
        )

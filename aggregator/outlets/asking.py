"""
What containers request and their limits as text that is kept: a hundred thousand lines at 20,000 pods, and few change.

A group's fragment is kept beside the very pods that it was made from, and told for no others. It says nothing that does
not follow from them, so nothing can drift: a pod that is other, gone or new makes its group's text anew.
"""

from collections.abc import Iterator, Sequence
from operator import is_

from aggregator.census.pods import PodState, Resource
from kubescribe.runtime.exposition import escaped
from kubescribe.runtime.packing import Fragment, packed

ENDED = ("Succeeded", "Failed")
"""Phases of pods that ask for nothing any more."""

AMOUNTS = {
    "container_resource_requests": Resource._fields.index("request"),
    "container_resource_limits": Resource._fields.index("limit"),
}
"""Which field of a Resource each family tells."""

_GROUP_PODS = 64
"""At most, on average: what one pod that changes costs, against what compresses badly in small pieces."""

_HERE = "\0"
"""Where a template has what is said of its pod."""


def is_told(resource: Resource, amount: int) -> bool:
    """Tell whether a line says the field *amount* of *resource*; what passes is over before the others begin."""
    return resource[amount] is not None and not resource.is_passing


class Asking:
    """What was made of the pods at the last look; looks may be taken in several threads at once."""

    def __init__(self, *, group_pods: int = _GROUP_PODS) -> None:
        self._group_pods = group_pods
        self._groups: list[_Group] = []

    def look(self, pods: Sequence[PodState]) -> "Asked":
        """Return what *pods*, no two of one name, ask for now."""
        asking = [pod for pod in pods if pod.resources and pod.phase not in ENDED]
        # By name, so that a pod that comes or goes moves no other; a power of two, so that this is seldom another.
        width = 1 << (len(asking) // self._group_pods).bit_length()
        members: list[list[PodState]] = [[] for _ in range(width)]
        for pod in asking:
            members[hash(pod.name) % width].append(pod)
        former = self._groups if len(self._groups) == width else [_Group([]) for _ in members]
        # Assigned whole: who looks meanwhile finds the former ones or these, and either are true of their pods.
        self._groups = groups = [group.with_pods(some) for group, some in zip(former, members, strict=True)]
        return Asked(groups)


class Asked:
    """One look."""

    def __init__(self, groups: "Sequence[_Group]") -> None:
        self._groups = groups
        self._words = _Words()

    def count(self, name: str) -> int:
        """Return how many lines the family *name* has."""
        return sum(group.count(name, self._words) for group in self._groups)

    def lines(self, name: str) -> Iterator[Fragment]:
        """Give the lines of the family *name*, a group at a time."""
        for group in self._groups:
            if group.count(name, self._words):
                yield group.fragment(name, self._words)


class _Group:
    """Some pods, and what was made of them."""

    __slots__ = ("_counts", "_fragments", "_pods")

    def __init__(self, pods: list[PodState]) -> None:
        self._pods = pods
        self._counts: dict[str, int] = {}
        self._fragments: dict[str, Fragment] = {}

    def with_pods(self, pods: list[PodState]) -> "_Group":
        """Return the group of *pods*: this one where it would say the same of them."""
        if len(pods) != len(self._pods):
            return _Group(pods)
        if not all(map(is_, pods, self._pods)):
            if not all(map(_asks_the_same, pods, self._pods)):
                return _Group(pods)
            self._pods = pods  # to be told by identity the next time, and to let the former ones go
        return self

    def count(self, name: str, words: "_Words") -> int:
        """Return how many lines it has in the family *name*."""
        if name not in self._counts:
            self._counts[name] = sum(words.count(name, pod.resources) for pod in self._pods)
        return self._counts[name]

    def fragment(self, name: str, words: "_Words") -> Fragment:
        """Return its lines in the family *name*."""
        found = self._fragments.get(name)
        if found is None:
            text = "".join([words.lines(name, pod) for pod in self._pods])
            found = self._fragments[name] = packed(text.encode("utf-8", "replace"))
        return found


def _asks_the_same(one: PodState, other: PodState) -> bool:
    """Tell whether lines say the same of both: a pod that only started again, or is ready now, asks for what it did."""
    return (
        one.resources is other.resources
        and one.name == other.name
        and one.namespace == other.namespace
        and one.node == other.node
    )


class _Words:
    """What many lines of one look share; a template's pods share the tuple of their resources, which lives as they."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # namespaces and nodes are few
        self._templates: dict[tuple[str, int], str] = {}
        self._counts: dict[tuple[str, int], int] = {}

    def count(self, name: str, resources: tuple[Resource, ...]) -> int:
        """Return how many lines of the family *name* say something of *resources*."""
        key = name, id(resources)
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = sum(is_told(it, AMOUNTS[name]) for it in resources)
        return count

    def lines(self, name: str, pod: PodState) -> str:
        """Return the lines of the family *name* about *pod*."""
        template = self._template(name, pod.resources)
        if not template:
            return ""
        namespace, node = self._escaped(pod.namespace), self._escaped(pod.node)
        return template.replace(_HERE, f'namespace="{namespace}",pod="{escaped(pod.name)}",node="{node}"')

    def _template(self, name: str, resources: tuple[Resource, ...]) -> str:
        key = name, id(resources)
        template = self._templates.get(key)
        if template is None:
            amount = AMOUNTS[name]
            template = self._templates[key] = "".join(
                f'kubescribe_{name}{{{_HERE},container="{escaped(it.container).replace(_HERE, "")}"'
                f',resource="{it.resource}",unit="{it.unit}"}} {it[amount]!r}\n'
                for it in resources
                if is_told(it, amount)
            )
        return template

    def _escaped(self, name: str) -> str:
        return self._names.get(name) or self._names.setdefault(name, escaped(name))

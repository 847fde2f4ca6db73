"""
Under which labels a foreign stream goes on: its own and, where its pod is found, ours. Frozen before it is spooled.

What a stream's text comes to is kept, for shippers send the same few texts again and again; and is made anew when the
clue leads to another pod than before (a StatefulSet's name does), or to one that was not known yet.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from kubescribe.gateway.errors import BadPush
from kubescribe.gateway.finding import PodFinder
from kubescribe.labels.adding import add_labels, foreign_selector_text
from kubescribe.labels.clues import Clue, clue_of
from kubescribe.labels.enriching import enrich
from kubescribe.labels.pods import PodFacts, guessed_pod
from kubescribe.labels.selectors import parse_selector
from kubescribe.loki.encoding import encode_metadata

MAX_KEPT = 4096
"""Texts of which the result is kept, ~2 KB each; the longest unused goes first."""

Found = Literal["enriched", "partial", "unknown"]
"""A pod was found; nobody knows it, but a path tells its name; nothing tells anything."""


class Named(NamedTuple):
    """A stream's labels as they go on, and the metadata that each of its entries gets (also encoded)."""

    labels: str
    metadata: dict[str, str]
    encoded: bytes
    found: Found


class _Kept(NamedTuple):
    theirs: dict[str, str]
    clue: Clue
    pod: PodFacts | None
    named: Named


class Naming:
    """Names streams. For one thread."""

    def __init__(self, finder: PodFinder, *, pod_labels: Sequence[str] = ()) -> None:
        self._finder = finder
        self._pod_labels = tuple(pod_labels)
        self._kept: OrderedDict[tuple[str, Clue | None], _Kept] = OrderedDict()

    def name(self, labels: str, clue: Clue | None = None, *, at: int = 0) -> Named:
        """
        Return under which name a stream of *labels* goes on; *clue* where they do not tell.

        *at* is when its earliest line was written, ns, 0 for nobody knows. Raises BadPush.
        """
        key = (labels, clue)
        kept = self._kept.get(key)
        if kept is not None:
            pod = self._finder.find(kept.clue, at) if kept.clue.names_a_pod else None
            if pod is kept.pod:
                self._kept.move_to_end(key)
                return kept.named
            theirs, clue = kept.theirs, kept.clue
        else:
            theirs = _parsed(labels)
            clue = clue or clue_of(theirs)
            pod = self._finder.find(clue, at) if clue.names_a_pod else None
        named = self._named(labels, theirs, clue, pod)
        self._kept[key] = _Kept(theirs, clue, pod, named)
        self._kept.move_to_end(key)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return named

    def _named(self, labels: str, theirs: dict[str, str], clue: Clue, pod: PodFacts | None) -> Named:
        found: Found = "enriched"
        if pod is None:
            if not ((clue.uid or clue.container_id) and clue.namespace and clue.pod and clue.container):
                return Named(labels, {}, b"", "unknown")
            # As much as the path of a file tells, which is what the agent's own tailer makes its labels of then.
            pod, found = guessed_pod(clue.namespace, clue.pod, clue.uid), "partial"
        container = clue.container
        if container not in pod.images and len(pod.images) == 1:
            container = container or next(iter(pod.images))
        ours = enrich(
            pod,
            container=container,
            restart=clue.restart,
            node=self._finder.node_of(pod),
            pod_labels=self._pod_labels,
        )
        added = add_labels(theirs, ours)
        text = labels if added.labels == theirs else foreign_selector_text(added.labels)
        return Named(text, added.metadata, encode_metadata(added.metadata), found)


def _parsed(labels: str) -> dict[str, str]:
    try:
        return parse_selector(labels)
    except ValueError as error:
        raise BadPush(f"couldn't parse labels: {error}") from error

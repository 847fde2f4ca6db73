"""
The roll of what lives: one small state for each pod, controller and node.

Written by whoever has committed, and by whoever enrolls what the journal held when it was opened: one at a time.
Readers in other threads see each dictionary whole.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aggregator.census.controllers import KINDS as CONTROLLERS
from aggregator.census.controllers import ControllerState, controller_state
from aggregator.census.nodes import NodeState, node_state
from aggregator.census.pods import PodState, next_pod_state, pod_state
from aggregator.records import ObjectKey

State = PodState | ControllerState | NodeState

KINDS = frozenset({"Pod", "Node", *CONTROLLERS})


class Named(NamedTuple):
    """What the journal says of an object beside its body."""

    namespace: str
    name: str
    node: str = ""
    generation: int = 0


def state_of(key: ObjectKey, body: bytes, named: Named, *, old: State | None = None) -> State | None:
    """Return the state of an object of KINDS that follows *old*; None when it tells too little. Raises ValueError."""
    if key.kind == "Pod":
        return pod_state(body, namespace=named.namespace, name=named.name, node=named.node)
    if key.kind == "Node":
        return node_state(body, name=named.name)
    return controller_state(
        body,
        kind=key.kind,
        namespace=named.namespace,
        name=named.name,
        generation=named.generation,
        old=old if isinstance(old, ControllerState) else None,
    )


def next_state(old: State | None, key: ObjectKey, body: bytes, patch: bytes | None, named: Named) -> State | None:
    """Return the state that follows *old*, with as little decoding as *patch* allows. Raises ValueError."""
    if isinstance(old, PodState) and patch is not None:
        return next_pod_state(old, body, patch, node=named.node)
    return state_of(key, body, named, old=old)


class Roll:
    """The states of what lives, by kind and uid."""

    def __init__(self) -> None:
        self.is_complete = False
        """Whether what the journal held when it was opened is all here."""
        self._pods: dict[str, PodState] = {}
        self._controllers: dict[ObjectKey, ControllerState] = {}
        self._nodes: dict[str, NodeState] = {}
        self._named: dict[tuple[str, str], str] = {}
        self._left: set[ObjectKey] = set()

    def get(self, key: ObjectKey) -> State | None:
        """Return the state of an object, None when it is not here."""
        if key.kind == "Pod":
            return self._pods.get(key.uid)
        if key.kind == "Node":
            return self._nodes.get(key.uid)
        return self._controllers.get(key)

    def take(self, states: Mapping[ObjectKey, State | None]) -> None:
        """Take what a transaction moved; None: gone, or nothing to tell."""
        for key, state in states.items():
            self._put(key, state)
            if state is None and not self.is_complete:
                self._left.add(key)

    def enroll(self, states: Iterable[tuple[ObjectKey, State]]) -> None:
        """Take what the journal held, but where a transaction was faster."""
        for key, state in states:
            if key not in self._left and self.get(key) is None:
                self._put(key, state)

    def complete(self) -> None:
        """Note that everything is enrolled."""
        self.is_complete = True
        self._left = set()

    def pods(self) -> list[PodState]:
        """Return the pods that live."""
        return list(self._pods.values())

    def pod_named(self, namespace: str, name: str) -> tuple[str, PodState] | None:
        """Return the uid and state of the pod that had that name last, None when none lives."""
        uid = self._named.get((namespace, name))
        pod = self._pods.get(uid) if uid else None
        return (uid, pod) if uid and pod is not None else None

    @property
    def uids(self) -> Mapping[tuple[str, str], str]:
        """The uid of the pod that had each (namespace, name) last, of those that live; it changes as they do."""
        return self._named

    def controllers(self) -> list[ControllerState]:
        """Return the controllers that live."""
        return list(self._controllers.values())

    def nodes(self) -> list[NodeState]:
        """Return the nodes that live."""
        return list(self._nodes.values())

    def _put(self, key: ObjectKey, state: State | None) -> None:
        if state is None:
            if key.kind == "Pod":
                gone = self._pods.pop(key.uid, None)
                if gone is not None and self._named.get((gone.namespace, gone.name)) == key.uid:
                    del self._named[gone.namespace, gone.name]
            elif key.kind == "Node":
                self._nodes.pop(key.uid, None)
            else:
                self._controllers.pop(key, None)
        elif isinstance(state, PodState):
            if key.uid not in self._pods:
                self._named[state.namespace, state.name] = key.uid
            self._pods[key.uid] = state
        elif isinstance(state, NodeState):
            self._nodes[key.uid] = state
        else:
            self._controllers[key] = state

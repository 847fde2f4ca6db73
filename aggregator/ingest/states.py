"""
Second pass: where the head of a pod, a controller or a node moves, its state follows and its edges are counted.

An object that tells nonsense has no state: it is in no gauge and nothing of it is counted until it makes sense again.
"""

from aggregator.census.controllers import ControllerState
from aggregator.census.pods import PodState
from aggregator.census.roll import KINDS, Named, State, next_state, state_of
from aggregator.ingest.edges import begin_series, count_pod, count_rollout
from aggregator.ingest.ledger import Draft
from aggregator.records import ChangeRow, Head


def follow_state(
    draft: Draft, row: ChangeRow, head: Head, body: bytes | None, *, before: Head | None, old_body: bytes | None
) -> None:
    """
    Follow *row*, which moved the head of an object from *before* to *head*, its body from *old_body* to *body*.

    Of an object that is gone the last edges are counted, and its state leaves.
    """
    key = head.key
    if key.kind not in KINDS:
        return
    old = _before(draft, before, old_body)
    new = old
    if body is not None and not (body is old_body and old is not None):
        named = Named(head.namespace, head.name, head.node, row.generation)
        try:
            new = next_state(old, key, body, row.patch, named)
        except (ValueError, RecursionError):
            new = None
    if new is old and not head.version.gone:
        return
    if new is not None and new is not old:
        if not head.version.gone and not isinstance(old, type(new)):
            begin_state(draft, new)
        _count(draft, head, before, old, new)
    draft.states[key] = None if head.version.gone else new


def begin_state(draft: Draft, state: State) -> None:
    """Let the series of what is counted of an object be there at 0."""
    if isinstance(state, PodState | ControllerState):
        begin_series(draft, state)


def _before(draft: Draft, before: Head | None, old_body: bytes | None) -> State | None:
    """Return the state at the former head: from memory, or from the body where a departed or unknown one comes back."""
    if before is None:
        return None
    known = draft.state(before.key)
    if known is not None or not old_body:
        return known
    try:
        return state_of(before.key, old_body, Named(before.namespace, before.name, before.node))
    except (ValueError, RecursionError):
        return None


def _count(draft: Draft, head: Head, before: Head | None, old: State | None, new: State) -> None:
    if isinstance(old, PodState) and isinstance(new, PodState):
        is_restored = before is not None and before.version.epoch != head.version.epoch
        count_pod(draft, head.key.uid, old, new, is_restored=is_restored)
        if old.names != new.names:
            begin_series(draft, new)
    elif isinstance(old, ControllerState) and isinstance(new, ControllerState):
        count_rollout(draft, old, new)

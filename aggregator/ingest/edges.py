"""
What happened between two states of a pod or a controller, to be counted exactly once. Pure but for the draft.

Edges are counted where the head of an object moves, in the transaction that moves it: a repetition moves nothing, a
version that comes late lies between two heads that were compared already, and what is counted is in the journal with
the version that showed it. An object that is seen for the first time has no past here: nothing is counted, and its
series begin at 0.

A restored store brings back the past of an object, and then its node tells again what was counted already; and a status
may lose for a while what it told. So a state that lies below the one before it leaves a *mark*: how far was counted,
until the object is there again.
"""

from aggregator.census.controllers import COMPLETED, FAILED, RUNNING, ControllerState
from aggregator.census.pods import Instance, PodState
from aggregator.ingest.ledger import Draft

TERMINATIONS, RESTARTS, ROLLOUTS = "container_terminations_total", "container_restarts_total", "rollouts_total"

AWAITED = ("OOMKilled", "Error")
"""Why a container may end badly: told as 0 before it happens, or `increase()` would miss the first time."""

OUTCOMES = ("completed", "failed", "superseded")

_NOT_SEEN = "Unknown"


def begin_series(draft: Draft, state: PodState | ControllerState) -> None:
    """Let the series of what lives be there at 0."""
    if isinstance(state, PodState):
        owner = (state.namespace, state.workload_kind, state.workload)
        for name in state.names:
            draft.begin(RESTARTS, *owner, name)
            for reason in AWAITED:
                draft.begin(TERMINATIONS, *owner, name, reason)
    else:
        for outcome in OUTCOMES:
            draft.begin(ROLLOUTS, state.namespace, state.kind, state.name, outcome)


def count_pod(draft: Draft, uid: str, old: PodState, new: PodState, *, is_restored: bool) -> None:
    """Count what happened to the containers of a pod; with *is_restored* another epoch began between the two."""
    if old.instances == new.instances:
        return
    before = {it.name: it for it in old.instances}
    for now in new.instances:
        then = before.get(now.name) or Instance(now.name, 0, 0)
        if then[1:3] == now[1:3]:  # restarts and ended
            continue
        restarts, reasons = _happened(draft, uid, then, now, is_restored=is_restored)
        owner = (new.namespace, new.workload_kind, new.workload, now.name)
        if restarts:
            draft.count(RESTARTS, *owner, by=restarts)
        for reason, times in reasons.items():
            draft.count(TERMINATIONS, *owner, reason, by=times)


def _happened(
    draft: Draft, uid: str, then: Instance, now: Instance, *, is_restored: bool
) -> tuple[int, dict[str, int]]:
    """Return how often a container was started again, and why its instances ended, between two of its statuses."""
    if now.restarts >= then.restarts and now.ended >= then.ended and not draft.has_marks:
        # Nearly always.
        return now.restarts - then.restarts, _reasons(now, now.ended - then.ended)
    restarts_mark, ended_mark = draft.mark(uid, now.name, "restarts"), draft.mark(uid, now.name, "ended")
    restarted, ended = max(then.restarts, restarts_mark), max(then.ended, ended_mark)
    if now.restarts < then.restarts and not (is_restored or restarts_mark or ended_mark):
        # The runtime forgot its containers (a node that was reinstalled): it counts from 0 anew, and so does what ends.
        restarted, ended = 0, 0
    draft.set_mark(uid, now.name, "restarts", value=restarted if now.restarts < restarted else 0)
    draft.set_mark(uid, now.name, "ended", value=ended if now.ended < ended else 0)
    return max(0, now.restarts - restarted), _reasons(now, max(0, now.ended - ended))


def _reasons(now: Instance, endings: int) -> dict[str, int]:
    """Return the reasons of the latest *endings* instances; of those before the last two no status tells any more."""
    if endings < 2:
        return {now.last or _NOT_SEEN: 1} if endings else {}
    told = [now.last or _NOT_SEEN, now.before or _NOT_SEEN][:endings]
    found = {reason: told.count(reason) for reason in told}
    if endings > len(told):
        found[_NOT_SEEN] = found.get(_NOT_SEEN, 0) + endings - len(told)
    return found


def count_rollout(draft: Draft, old: ControllerState, new: ControllerState) -> None:
    """Count what became of rollouts."""
    owner = (new.namespace, new.kind, new.name)
    if old.revision not in {"", new.revision} and old.progress == RUNNING:
        draft.count(ROLLOUTS, *owner, "superseded")
    has_moved = (old.revision, old.progress) != (new.revision, new.progress)
    if has_moved and new.progress in {COMPLETED, FAILED}:
        draft.count(ROLLOUTS, *owner, new.progress)

"""What ingest needs to know when a journal is opened, followed from plan to plan. Pure; the memory store's."""

from dataclasses import replace

from aggregator.records import JournalState, Plan, SnapshotStage


def following(state: JournalState, plan: Plan) -> JournalState:
    """Return the state that *plan* leaves."""
    gaps = dict(state.open_gaps)
    for row in plan.gaps:
        gaps.pop(row.gap.id, None)
        if row.gap.outcome == "open":
            gaps[row.gap.id] = row.gap
    present = dict(state.present)
    for it in plan.presences:
        present.pop(it.presence.agent, None)
        if it.presence.state == "came":
            present[it.presence.agent] = it.presence
    counters = dict(state.counters)
    for key in plan.forgotten_counters:
        counters.pop(key, None)
    for key, value in plan.counters.items():
        counters[key] = counters.get(key, 0) + value
    return replace(
        state,
        cluster_uid=state.cluster_uid if plan.cluster_uid is None else plan.cluster_uid,
        cluster=state.cluster if plan.cluster is None else plan.cluster,
        epoch=state.epoch if plan.epoch is None else plan.epoch,
        epochs_since=state.epochs_since | plan.epochs_since,
        last_seq=max(state.last_seq, *(seq for seq, _ in committed(plan)), 0),
        last_committed_at=max(state.last_committed_at, *(at for _, at in committed(plan)), 0),
        last_object_id=max([state.last_object_id, *plan.heads]),
        streams={name: row for name, row in (state.streams | plan.streams).items() if name not in plan.retired},
        terms={key: epoch for key, epoch in (state.terms | plan.terms).items() if key[0] not in plan.retired},
        spools={name: n for name, n in state.spools.items() if name not in plan.forgotten_spools} | plan.spools,
        stages=_stages(state.stages, plan),
        counters=counters,
        open_gaps=gaps,
        present=present,
        doubts={key: row for key, row in (state.doubts | plan.doubts).items() if row is not None},
    )


def committed(plan: Plan) -> list[tuple[int, int]]:
    """Return (seq, committed at) of each row."""
    rows = (plan.changes, plan.occurrences, plan.gaps, plan.presences)
    return [pair for table in rows for pair in ((row.seq, row.committed_at) for row in table)]


def _stages(stages: dict[str, SnapshotStage], plan: Plan) -> dict[str, SnapshotStage]:
    found = dict(stages)
    for name, stage in plan.stages.items():
        before = found.pop(name, None)
        if stage is not None:
            uids = before.uids if before is not None and before.id == stage.id else frozenset()
            found[name] = replace(stage, uids=stage.uids | uids)
    for name, part in plan.staged:
        if name in found:
            found[name] = replace(found[name], uids=found[name].uids.union(part))
    return {name: stage for name, stage in found.items() if name not in plan.retired}

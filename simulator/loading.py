"""What a history amounts to: the state of the store at its end, or at an older revision. Pure but for reading."""

from collections import deque
from dataclasses import dataclass, field

from simulator.history import CLUSTER, COMPACTED, History, Record, judged
from simulator.resource import Resource
from simulator.resources import ResourceTable
from simulator.versions import ADDED, DELETED, Event, Version

REMEMBERED_EVENTS = 20_000
"""Past writes of Events that a restart brings back; more would be no use to a watch."""

State = dict[Resource, dict[tuple[str, str], Version]]


@dataclass(slots=True)
class Loaded:
    """A history, added up. What did not survive a restore counts for *era* and *created*: nothing comes twice."""

    revision: int = 0
    era: int = 0
    compacted: int = 0
    created: int = 0
    """Objects ever created."""
    identity: str = ""
    state: State = field(default_factory=dict)
    remembered: dict[Resource, deque[Event]] = field(default_factory=dict)
    """The last writes of resources without a watch cache."""


def loaded(history: History, table: ResourceTable, up_to: int | None) -> Loaded:
    """Add up a history, leaving out what a restore undid, and what is beyond a revision if one is given."""
    result = Loaded()
    latest: dict[tuple[str, str, str], Record] = {}
    for record, survives in judged(history, up_to):
        result.era = max(result.era, record.era)
        if record.type == CLUSTER:
            result.identity = record.identity
        elif record.type == ADDED:
            result.created += 1
        if not survives:
            continue
        result.revision = max(result.revision, record.revision)
        if record.type == COMPACTED:
            result.compacted = record.revision
        if record.resource:
            _take_up(record, latest, table, result)
    # Only the last record of an object becomes a version: a load test leaves thousands of each.
    for record in latest.values():
        version = version_of(record, table)
        result.state.setdefault(version.resource, {})[version.key] = version
    return result


def version_of(record: Record, table: ResourceTable) -> Version:
    """Return the version that a line of the history made."""
    resource = table.find(record.resource)
    return Version(resource, record.namespace, record.name, record.uid, record.revision, bytes(record.object))


def _take_up(record: Record, latest: dict[tuple[str, str, str], Record], table: ResourceTable, result: Loaded) -> None:
    key = record.resource, record.namespace, record.name
    resource = table.find(record.resource)
    if not resource.cached:
        previous = latest.get(key)
        before = None if previous is None else version_of(previous, table)
        events = result.remembered.setdefault(resource, deque(maxlen=REMEMBERED_EVENTS))
        events.append(Event(record.revision, record.type, version_of(record, table), before))
    if record.type == DELETED:
        latest.pop(key, None)
    else:
        latest[key] = record

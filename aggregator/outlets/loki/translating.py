"""Records of the journal into entries: which are worth one, and under whose name."""

import msgspec
import structlog

from aggregator.outlets.loki.changes import ChangeItem, change_entry, is_news, read_change
from aggregator.outlets.loki.entries import LokiEntry
from aggregator.outlets.loki.events import EventItem, event_entry, node_of, read_event
from aggregator.outlets.loki.subjects import Reader, Subjects
from aggregator.outlets.loki.terminations import termination_entry, terminations
from aggregator.records import Transition
from kubescribe.labels.objects import has_controller
from kubescribe.wire.times import from_rfc3339

_log = structlog.get_logger()

_ENDED = b'"terminated"'
_ADDED = b'"verb":"added"'
_POD = b'"kind":"Pod"'


class _Spec(msgspec.Struct, gc=False, rename="camel"):
    node_name: str = ""


class _Placed(msgspec.Struct, gc=False):
    spec: _Spec | None = None


_PLACED = msgspec.json.Decoder(_Placed)


class Translator:
    """Makes entries; `unreadable` counts records of which none could be made."""

    def __init__(self, journal: Reader, subjects: Subjects) -> None:
        self._journal = journal
        self._subjects = subjects
        self.unreadable = 0

    async def of_occurrence(self, row: bytes) -> list[LokiEntry]:
        """Return the entry of an Event. Raises StoreError."""
        try:
            item = read_event(row)
            return [] if item.deleted else [await self._event(item)]
        except (ValueError, msgspec.MsgspecError) as error:
            return self._nothing("occurrence", error)

    async def of_changes(self, rows: list[bytes]) -> list[LokiEntry]:
        """Return the entries of some changes, in their order. Raises StoreError."""
        items: list[ChangeItem] = []
        for row in rows:
            # Nine of ten are pods that say nothing about an end: these are not even decoded.
            if _POD in row and _ENDED not in row and _ADDED not in row:
                continue
            try:
                item = read_change(row)
                if item.kind == "Pod" or is_news(item):
                    items.append(item)
            except (ValueError, msgspec.MsgspecError) as error:
                self._nothing("change", error)
        versions = await self._journal.transitions([item.seq for item in items]) if items else {}
        entries: list[LokiEntry] = []
        for item in items:
            version = versions.get(item.seq)
            if version is None:
                # Retention was faster, which the reader tells.
                continue
            try:
                entries += await (self._ends if item.kind == "Pod" else self._change)(item, version)
            except (ValueError, msgspec.MsgspecError) as error:
                self._nothing("change", error)
        return entries

    async def _event(self, item: EventItem) -> LokiEntry:
        about = item.regarding
        namespace = about.namespace or ""
        if about.kind == "Pod":
            subject = await self._subjects.of_pod(
                about.uid or "",
                namespace,
                about.name,
                container=about.container,
                node=node_of(item),
                since=from_rfc3339(item.committed_at),
            )
        else:
            subject = await self._subjects.of_object(about.kind, about.uid or "", namespace, about.name)
        return event_entry(item, subject)

    async def _ends(self, item: ChangeItem, version: Transition) -> list[LokiEntry]:
        found = terminations(version.before, version.after)
        if not found:
            return []
        node = (_PLACED.decode(version.after).spec or _Spec()).node_name
        observed_at = from_rfc3339(item.observed_at)
        return [
            termination_entry(
                ended,
                await self._subjects.of_pod(
                    item.uid,
                    item.namespace or "",
                    item.name,
                    container=ended.container,
                    restart=ended.restart,
                    node=node,
                ),
                pod=item.name,
                observed_at=observed_at,
            )
            for ended in found
        ]

    async def _change(self, item: ChangeItem, version: Transition) -> list[LokiEntry]:
        if item.kind == "Job" and has_controller(version.after):
            return []
        subject = self._subjects.named(item.kind, item.namespace or "", item.name, version.after)
        return [change_entry(item, subject)]

    def _nothing(self, what: str, error: Exception) -> list[LokiEntry]:
        self.unreadable += 1
        _log.warning("loki_outlet.unreadable", record=what, error=str(error)[:256])
        return []

"""
Lines that Loki remembers and no file holds any more.

Of pods that are gone, of nodes that do not answer, of times that were rotated away. They are found by our labels
(kubescribe.labels), pass the same scrubbers, and are chosen here and not by Loki: a filter in LogQL would see what
nobody may read.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from aggregator.logs.asking import Latest, LogLine, LogQuery, Target
from kubescribe.labels.names import label_value, quoted
from kubescribe.lines.levels import at_least, level_of
from kubescribe.lines.patterns import Pattern
from kubescribe.lines.scrubbing import Scrubber
from kubescribe.loki.client import LokiClient
from kubescribe.loki.errors import LokiError
from kubescribe.loki.query import Found, query_range
from kubescribe.wire.link import MAX_LINE_BYTES

_log = structlog.get_logger(__name__)

LOOK_BACK_SECONDS = 30 * 86_400
"""Of a question without a beginning: Loki refuses more by default (max_query_length, 721 h)."""

_MAX_GROUPS = 4
"""Workloads of one question: a name that several kinds share."""

_MAX_NAMED_PODS = 50
"""Pods that are named in a query; of more it is chosen here."""

_PAGE = 2_000
_MAX_PAGES = 5
"""Of lines that are looked through for a filter: ten thousand, some megabytes."""

_ANSWER_SECONDS = 15.0
_MAX_ANSWER_BYTES = 16 * 2**20
SECOND = 10**9


@dataclass(slots=True, kw_only=True)
class Remembered:
    """What Loki had: lines, the uids of the pods that they are of, and what there is to say in words."""

    lines: list[LogLine] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    has_answered: bool = True

    @property
    def uids(self) -> set[str]:
        """The pods of which there are lines."""
        return {line.target.uid for line in self.lines}


class LokiLines:
    """Reads lines from Loki."""

    def __init__(self, client: LokiClient, scrubber: Scrubber, *, now_ns: Callable[[], int]) -> None:
        self._client = client
        self._scrubber = scrubber
        self._now_ns = now_ns

    async def read(
        self, query: LogQuery, targets: Sequence[Target], until: Mapping[str, int], *, limit: int
    ) -> Remembered:
        """
        Return the newest *limit* lines of each workload of *targets* that *query* asks for, in no order.

        *until* tells for each pod, by uid, before when its lines are wanted, ns. With `previous` only those of
        instances before the last one that is known. A Loki that does not answer is told in `missing`.
        """
        remembered = Remembered()
        groups: dict[tuple[str, str, str], list[Target]] = {}
        for target in targets:
            key = (target.pod.namespace, target.workload.kind, target.workload.name)
            groups.setdefault(key, []).append(target)
        if len(groups) > _MAX_GROUPS:
            remembered.missing.append(f"Loki was asked for {_MAX_GROUPS} of {len(groups)} workloads; name one")
        for its in list(groups.values())[:_MAX_GROUPS]:
            try:
                await self._read_group(query, its, until, limit, remembered)
            except LokiError as error:
                _log.warning("logs.loki_failed", error=str(error)[:256])
                remembered.has_answered = False
                remembered.missing.append(f"Loki did not answer: {str(error)[:160]}")
        return remembered

    async def _read_group(
        self, query: LogQuery, targets: Sequence[Target], until: Mapping[str, int], limit: int, into: Remembered
    ) -> None:
        choose = _Choice(query, targets, until, self._scrubber)
        end = max(until[it.uid] for it in targets)
        start = max(query.since, end - LOOK_BACK_SECONDS * SECOND)
        is_filtered = bool(query.grep or query.level or query.previous)
        size = _PAGE if is_filtered else limit
        found: dict[tuple[int, str, str, str], LogLine] = {}
        for page in range(_MAX_PAGES):
            part = await query_range(
                self._client,
                selector_of(query, targets),
                start_ns=start,
                end_ns=end,
                limit=size,
                direction="backward",
                max_bytes=_MAX_ANSWER_BYTES,
                seconds=_ANSWER_SECONDS,
            )
            # Scrubbing thousands of lines takes longer than the loop may.
            chosen = await asyncio.to_thread(lambda part=part: [choose(it) for it in part])  # type: ignore[misc]
            found.update((line.identity, line) for line in chosen if line is not None)
            if len(part) < size or len(found) >= limit:
                break
            # Lines of one moment may lie on both sides of a page's end.
            end = part[-1].at_ns + 1 if part[-1].at_ns + 1 < end else part[-1].at_ns
            if page == _MAX_PAGES - 1:
                into.missing.append("Loki has more than was looked through: ask for a shorter time")
        into.lines += sorted(found.values(), key=lambda line: line.at)[-limit:]


def selector_of(query: LogQuery, targets: Sequence[Target]) -> str:
    """Return the LogQL that finds the lines of *targets*, which are of one workload, and maybe some more."""
    first = targets[0]
    labels = {
        "namespace": first.pod.namespace,
        "workload_kind": first.workload.kind,
        "workload": first.workload.name,
        "container": query.container,
    }
    matchers = [f"{name}={quoted(label_value(value))}" for name, value in labels.items() if value]
    # Events and changes of the workload have streams of the same names.
    matchers.append('stream=~"stdout|stderr"')
    filters = ""
    pods = sorted({it.pod.name for it in targets})
    if len(pods) <= _MAX_NAMED_PODS:
        filters += f" | pod=~{quoted('|'.join(name.replace('.', '[.]') for name in pods))}"
    if query.previous and all(it.latest for it in targets):
        restarted = [it for target in targets for it in target.of(query.container) if it.restart]
        if restarted and not query.container:
            matchers.append(f"container=~{quoted('|'.join(sorted({label_value(it.container) for it in restarted})))}")
        # Of none is the last of all an earlier one; an instance that ran long is not looked through for nothing.
        filters += f" | restart!={quoted(str(max((it.restart for it in restarted), default=0)))}"
    return "{" + ", ".join(matchers) + "}" + filters


class _Choice:
    """Which of the lines that Loki gives are wanted, as people may read them."""

    def __init__(
        self, query: LogQuery, targets: Sequence[Target], until: Mapping[str, int], scrubber: Scrubber
    ) -> None:
        self._by_name: dict[str, list[Target]] = {}
        for target in targets:
            self._by_name.setdefault(target.pod.name, []).append(target)
        self._query = query
        self._until = until
        self._scrubber = scrubber
        self._levels = at_least(query.level) if query.level else ()
        self._pattern = Pattern(query.grep) if query.grep else None
        self._latest = {(it.uid, last.container): last for it in targets for last in it.latest}

    def __call__(self, found: Found) -> LogLine | None:
        target = self._whose(found.labels)
        if target is None or not self._query.since <= found.at_ns < self._until[target.uid]:
            return None
        told = found.labels.get("restart", "")
        restart = int(told) if told.isascii() and told.isdigit() and len(told) < 10 else None
        container = found.labels.get("container", "")
        if self._query.previous and not self._is_previous((target.uid, container), restart, found.at_ns):
            return None
        raw = found.line.encode("utf-8", "replace")[:MAX_LINE_BYTES]
        level = level_of(raw)
        if self._levels and level not in self._levels:
            return None
        shown = self._scrubber.scrub(raw)
        if self._pattern is not None and not self._pattern.is_in(shown):
            return None
        return LogLine(
            at=found.at_ns,
            target=target,
            container=container,
            restart=restart or 0,
            stream="stderr" if found.labels.get("stream") == "stderr" else "stdout",
            level=level,
            text=shown.decode("utf-8", "replace"),
            source="loki",
        )

    def _is_previous(self, key: tuple[str, str], restart: int | None, at: int) -> bool:
        """Tell whether a line is of an instance before the last; the newest lines come first, and tell of that too."""
        last = self._latest.get(key)
        if restart is None:
            # A shipper does not always tell: then the time does.
            return last is not None and last.restart > 0 and at < last.began_at
        if last is None or restart > last.restart:
            self._latest[key] = Latest(key[1], restart, 0)
            return False
        return restart < last.restart

    def _whose(self, labels: Mapping[str, str]) -> Target | None:
        uid = labels.get("pod_uid", "")
        named = self._by_name.get(labels.get("pod", ""), ())
        return next((it for it in named if not uid or uid in (it.uid, it.pod.uid)), None)

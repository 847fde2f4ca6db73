"""
What Loki's ingester does: streams, their limits, and what of a request it keeps and what it hides.

As pkg/ingester/instance.go (Push), stream.go (validateEntries, errorForFailedEntries) and pkg/chunkenc/interface.go,
grafana/loki@65e30f8, of one ingester with shard_streams on, which is the default. An error of one stream is hidden by
the success of the next stream of the same request: so does Loki.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from simulator.loki.distributing import Discards
from simulator.loki.entries import NANOS, Entry, Labels, PushedStream, Refusal, entry_bytes
from simulator.loki.gotime import byte_size, plain, rfc3339
from simulator.loki.limits import Bucket, Limits
from simulator.loki.streamlabels import format_labels

STREAM_LIMIT = (
    "maximum active stream limit exceeded when trying to create stream {}, reduce the number of active streams"
    " (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased,"
    " user: '{}'"
)
STREAM_RATE_LIMIT = (
    "Per stream rate limit exceeded (limit: {}/sec) while attempting to ingest for stream '{}' totaling {}, consider"
    " splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased"
)
TOO_FAR_BEHIND = "entry too far behind, entry timestamp is: {}, oldest acceptable timestamp is: {}"

Listener = Callable[[str, "Stream", Sequence[Entry]], None]
"""Hears tenant, stream and entries that were stored just now."""


@dataclass(slots=True, kw_only=True)
class Stream:
    """One stream of a tenant, with all that arrived in it, repeats included, in order of arrival."""

    labels: Labels
    text: str
    bucket: Bucket
    arrived: deque[Entry] = field(default_factory=deque)
    forgotten: int = 0
    """Arrivals that are kept no more, since memory is bounded."""
    newest: int = 0
    last: Entry | None = None

    def entries(self) -> list[Entry]:
        """Return what a query would find: equal entries once, in order of arrival."""
        return list(dict.fromkeys(self.arrived))


class Ingester:
    """All streams of all tenants."""

    def __init__(self, limits: Limits, discards: Discards, now: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.listeners: list[Listener] = []
        self._discards = discards
        self._now = now
        self._tenants: dict[str, dict[Labels, Stream]] = {}
        self._order: deque[Stream] = deque()
        self._bytes = 0

    def streams(self, tenant: str) -> list[Stream]:
        """Return the streams of *tenant*, in order of their first arrival."""
        return list(self._tenants.get(tenant, {}).values())

    @property
    def tenants(self) -> list[str]:
        """The tenants that ever stored something."""
        return list(self._tenants)

    def push(self, tenant: str, pushed: Iterable[PushedStream]) -> None:
        """Store *pushed*. Raises Refusal if the last of its streams fails, whatever became of those before it."""
        refusal: Refusal | None = None
        for part in pushed:
            stream = self._tenants.get(tenant, {}).get(part.labels)
            if stream is None:
                stream = self._create(tenant, part)
            refusal = self._limit_refusal(tenant, part) if stream is None else self._store(tenant, stream, part.entries)
        if refusal is not None:
            raise refusal

    def clear(self) -> None:
        """Forget everything that arrived, and the streams."""
        self._tenants.clear()
        self._order.clear()
        self._bytes = 0

    def _create(self, tenant: str, part: PushedStream) -> Stream | None:
        limits = self.limits
        streams = self._tenants.setdefault(tenant, {})
        if limits.max_streams and len(streams) >= limits.max_streams:
            return None
        bucket = Bucket(rate=limits.stream_rate_bytes, burst=limits.stream_burst_bytes, now=self._now)
        stream = Stream(labels=part.labels, text=format_labels(part.labels), bucket=bucket)
        streams[part.labels] = stream
        return stream

    def _limit_refusal(self, tenant: str, part: PushedStream) -> Refusal:
        self._discards["stream_limit", tenant] += len(part.entries)
        return Refusal(429, STREAM_LIMIT.format(format_labels(part.labels), tenant))

    def _store(self, tenant: str, stream: Stream, entries: Sequence[Entry]) -> Refusal | None:
        valid, failed = self._validated(stream, entries)
        if failed:
            self._discards["too_far_behind", tenant] += len(failed)
        if not stream.bucket.take(sum(entry_bytes(entry) for entry in valid)):
            self._discards["per_stream_rate_limit", tenant] += len(valid)
            limit = byte_size(int(self.limits.stream_rate_bytes))
            texts = [
                (entry, STREAM_RATE_LIMIT.format(limit, stream.text, byte_size(entry_bytes(entry)))) for entry in valid
            ]
            return Refusal(429, self._told(tenant, stream, texts, len(entries)))
        for entry in valid:
            stream.newest = max(stream.newest, entry.at)
            stream.last = entry
            self._keep(stream, entry)
        if valid:
            for listener in self.listeners:
                listener(tenant, stream, valid)
        if failed:
            return Refusal(400, self._told(tenant, stream, failed, len(entries)))
        return None

    def _validated(self, stream: Stream, entries: Sequence[Entry]) -> tuple[list[Entry], list[tuple[Entry, str]]]:
        valid: list[Entry] = []
        failed: list[tuple[Entry, str]] = []
        last, newest = stream.last, stream.newest
        window = int(self.limits.out_of_order_seconds * NANOS)
        for entry in entries:
            if entry == last:
                # Loki drops it without a word; here it counts as arrived, so that a test sees the repeat.
                self._keep(stream, entry)
                continue
            if newest and entry.at < newest - window:
                failed.append((entry, TOO_FAR_BEHIND.format(rfc3339(entry.at), rfc3339(newest - window))))
                continue
            last, newest = entry, max(newest, entry.at)
            valid.append(entry)
        return valid, failed

    def _told(self, tenant: str, stream: Stream, failed: Sequence[tuple[Entry, str]], total: int) -> str:
        shown = failed[: self.limits.max_returned_errors] if self.limits.max_returned_errors else failed
        lines = [f"entry with timestamp {plain(entry.at)} ignored, reason: '{text}',\n" for entry, text in shown]
        end = f"user '{tenant}', total ignored: {len(failed)} out of {total} for stream: {stream.text}"
        return "".join(lines) + end

    def _keep(self, stream: Stream, entry: Entry) -> None:
        stream.arrived.append(entry)
        self._order.append(stream)
        self._bytes += entry_bytes(entry)
        while len(self._order) > self.limits.kept_entries or self._bytes > self.limits.kept_bytes:
            oldest = self._order.popleft()
            self._bytes -= entry_bytes(oldest.arrived.popleft())
            oldest.forgotten += 1

"""
The stand-in without HTTP: what a push becomes, and what has arrived so far, for tests to read.

Every request is on record, with its size and its answer; memory is bounded (`Limits.kept_entries`, `kept_bytes`,
KEPT_REQUESTS), the oldest goes first.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulator.loki.decoding import decode_push
from simulator.loki.distributing import Discards, distribute
from simulator.loki.entries import Entry, PushedStream, Refusal
from simulator.loki.faults import Faults
from simulator.loki.ingesting import Ingester, Stream
from simulator.loki.limits import Bucket, Limits
from simulator.loki.otlp import decode_export
from simulator.loki.querying import parse_query

NO_AUTH_TENANT = "fake"
"""Loki's own tenant while auth_enabled is off."""

KEPT_REQUESTS = 100_000
MAX_TENANT_BYTES = 150
_TENANT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!-_.*'()")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """One push as it came and how it was answered."""

    path: str
    tenant: str
    headers: Mapping[str, str]
    body_bytes: int
    entries: int
    """As decoded; 0 for what could not be."""
    status: int
    """0 where the connection was cut."""


class Loki:
    """One stand-in; `push` is its only way in."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or Limits()
        self.faults = Faults()
        self.discards: Discards = Counter()
        self.ingester = Ingester(self.limits, self.discards, now)
        self.requests: deque[SeenRequest] = deque(maxlen=KEPT_REQUESTS)
        self.request_count = 0
        self._now_ns = now_ns
        self._now = now
        self._buckets: dict[str, Bucket] = {}

    def tenant_of(self, headers: Mapping[str, str]) -> str:
        """Return whose request this is. Raises Refusal."""
        if self.limits.authorization and headers.get("Authorization", "") != self.limits.authorization:
            raise Refusal(401, "Unauthorized")
        if not self.limits.auth_enabled:
            return NO_AUTH_TENANT
        tenant = headers.get("X-Scope-OrgID", "")
        if not tenant:
            raise Refusal(401, "no org id")
        if "|" in tenant:
            raise Refusal(400, "multiple org IDs present")
        for character in tenant:
            if character not in _TENANT:
                raise Refusal(400, f"tenant ID '{tenant}' contains unsupported character '{character}'")
        if len(tenant) > MAX_TENANT_BYTES:
            raise Refusal(400, f"tenant ID is too long: max {MAX_TENANT_BYTES} characters")
        if tenant in {".", ".."}:
            raise Refusal(400, "tenant ID is '.' or '..'")
        return tenant

    def decoded(self, path: str, body: bytes, headers: Mapping[str, str]) -> list[PushedStream]:
        """Return the streams of a request's body. Raises Refusal."""
        decode = decode_export if path.startswith("/otlp") else decode_push
        return decode(body, headers, self.limits)

    def push(self, tenant: str, pushed: list[PushedStream]) -> None:
        """Store what is valid of *pushed*. Raises Refusal, though a part may be stored, as Loki does."""
        limits = self.limits
        bucket = self._buckets.get(tenant)
        if bucket is None:
            rate, burst = limits.ingestion_rate_bytes, limits.ingestion_burst_bytes
            bucket = self._buckets[tenant] = Bucket(rate=rate, burst=burst, now=self._now)
        done = distribute(
            pushed, tenant=tenant, limits=limits, now_ns=self._now_ns(), take=bucket.take, discards=self.discards
        )
        # An error of the ingester is answered before the distributor's own.
        self.ingester.push(tenant, done.streams)
        if done.refusal is not None:
            raise done.refusal

    def note(self, request: SeenRequest) -> None:
        """Put a request on record."""
        self.requests.append(request)
        self.request_count += 1

    # What arrived

    def streams(self, query: str = "", tenant: str = NO_AUTH_TENANT) -> list[Stream]:
        """Return the streams that a LogQL selector selects, all for ""."""
        found = self.ingester.streams(tenant)
        if not query:
            return found
        asked = parse_query(query)
        return [stream for stream in found if asked.selects(stream.labels)]

    def arrived(self, query: str = "", tenant: str = NO_AUTH_TENANT) -> list[Entry]:
        """Return the entries of these streams in order of arrival within each, repeats included."""
        return self._kept(query, [(stream, list(stream.arrived)) for stream in self.streams(query, tenant)])

    def entries(self, query: str = "", tenant: str = NO_AUTH_TENANT) -> list[Entry]:
        """Return what `arrived` does with equal entries of a stream once, as a query finds them."""
        return self._kept(query, [(stream, stream.entries()) for stream in self.streams(query, tenant)])

    def _kept(self, query: str, found: list[tuple[Stream, list[Entry]]]) -> list[Entry]:
        if not query:
            return [entry for _, entries in found for entry in entries]
        asked = parse_query(query)
        return [entry for stream, entries in found for entry in entries if asked.keeps(stream.labels, entry)]

    @property
    def forgotten(self) -> int:
        """Arrivals that memory's bound cost, of all tenants; a test that counts asserts 0."""
        return sum(stream.forgotten for tenant in self.ingester.tenants for stream in self.ingester.streams(tenant))

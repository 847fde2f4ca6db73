"""
The limits of a Loki, with the defaults of pkg/validation/limits.go and pkg/ingester (grafana/loki@65e30f8).

A test sets what it wants to meet sooner.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

_MIB = 1024 * 1024

SERVICE_NAME_SOURCES = (
    *("service", "app", "application", "app_name", "name", "app_kubernetes_io_name", "container", "container_name"),
    *("k8s_container_name", "component", "workload", "job", "k8s_job_name"),
)
"""validation.discover-service-name: the labels that service_name is taken from, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one stand-in accepts, of every tenant."""

    ingestion_rate_bytes: float = 4 * _MIB
    """Bytes a second of lines and structured metadata, of a tenant."""
    ingestion_burst_bytes: int = 6 * _MIB
    """A request above this can never pass."""
    stream_rate_bytes: float = 3 * _MIB
    stream_burst_bytes: int = 15 * _MIB
    max_streams: int = 5000
    max_label_names: int = 15
    """service_name is not counted."""
    max_label_name_bytes: int = 1024
    max_label_value_bytes: int = 2048
    max_line_bytes: int = 256 * 1024
    max_metadata_bytes: int = 64 * 1024
    max_metadata_entries: int = 128
    allow_metadata: bool = True
    max_age_seconds: float = 7 * 24 * 3600.0
    max_ahead_seconds: float = 600.0
    """creation_grace_period."""
    out_of_order_seconds: float = 3600.0
    """How far behind the newest entry of its stream an entry may lie: half of max_chunk_age."""
    max_returned_errors: int = 10
    max_query_entries: int = 5000
    max_query_series: int = 500
    max_tails: int = 10
    max_body_bytes: int = 100 * _MIB
    max_decompressed_bytes: int = 5000 * _MIB
    service_name_sources: tuple[str, ...] = SERVICE_NAME_SOURCES
    auth_enabled: bool = False
    """Whether X-Scope-OrgID is asked for; else every request is of the tenant `fake`."""
    authorization: str = ""
    """The Authorization header that a gateway in front of this Loki asks for; "" for none."""
    kept_entries: int = 1_000_000
    """The stand-in's own, some 350 MB: the oldest arrivals are forgotten beyond it, and counted."""
    kept_bytes: int = 256 * _MIB
    """As kept_entries, of lines and structured metadata."""


def unlimited() -> Limits:
    """Return limits that no honest test meets: for those that ask what arrived and not how fast."""
    return Limits(
        ingestion_rate_bytes=1e12,
        ingestion_burst_bytes=1 << 40,
        stream_rate_bytes=1e12,
        stream_burst_bytes=1 << 40,
        max_streams=1_000_000,
    )


@dataclass(slots=True, kw_only=True)
class Bucket:
    """A token bucket, full at first, as golang.org/x/time/rate has it."""

    rate: float
    burst: float
    now: Callable[[], float] = time.monotonic
    _tokens: float = field(default=-1.0, init=False)
    _at: float = field(default=0.0, init=False)

    def take(self, tokens: float) -> bool:
        """Take *tokens* if there are so many now; nothing is taken otherwise."""
        now = self.now()
        if self._tokens < 0:
            self._tokens = self.burst
        else:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if tokens > self._tokens:
            return False
        self._tokens -= tokens
        return True

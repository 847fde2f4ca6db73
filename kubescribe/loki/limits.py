"""How much one sender holds, sends at once and waits, in bytes and seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderLimits:
    """The defaults are those of an agent."""

    waiting_bytes: int = 16 * 2**20
    """In memory, until Loki took them; whoever submits more waits."""
    request_bytes: int = 2**20
    """Of one request before compression: Loki's own clients send as much, and its burst is 6 MB."""
    lanes: int = 4
    """Requests under way for one tenant."""
    linger_seconds: float = 1.0
    """Between the requests of a busy lane, unless one is full: 200 nodes then ask Loki 800 times a second."""
    idle_linger_seconds: float = 0.02
    idle_lane_seconds: float = 600.0
    """After which a lane without anything to send ends, so that a tenant that was named once costs nothing."""
    known_streams: int = 20_000
    first_retry_seconds: float = 0.5
    max_retry_seconds: float = 30.0
    first_quarantine_seconds: float = 10.0
    max_quarantine_seconds: float = 300.0
    """Of a stream for which Loki has no place (stream_limit) until others have ended."""
    max_setting_seconds: float = 60.0
    """Between tries while a setting is wrong."""
    off_loop_bytes: int = 256 * 1024
    """What is larger is compressed in a thread: 1 MiB takes 1 to 3 ms."""

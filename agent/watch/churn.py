"""
Is a version news? Compares it with the one before by hashes, never by kept bodies. Pure.

A version that differs only in managedFields, resourceVersion, generation, heartbeat times or leader-election
annotations is churn. (A generation that moved without a spec that moved says nothing, but of objects of which only the
metadata is watched it is the one sign that the spec changed; there it counts.)
"""

import re

# Node conditions, Lease-like objects, probes, and Argo CD's refresh of an unchanged Application (every 3 minutes).
_HEARTBEAT = re.compile(rb'"(?:lastHeartbeatTime|lastProbeTime|renewTime|reconciledAt)"\s*:\s*(?:"[^"]*"|null),?')


def section_digests(sections: dict[str, bytes], *, has_heartbeats: bool) -> tuple[int, ...]:
    """Return a hash for each section, in their order; heartbeat times do not count."""
    if has_heartbeats:
        return tuple([section_digest(section, has_heartbeats=True) for section in sections.values()])
    return tuple(map(hash, sections.values()))


def section_digest(section: bytes, *, has_heartbeats: bool) -> int:
    """
    Return the hash of one section.

    Python's own hash of bytes: 64 bits, keyed anew in each process, 1 GB/s. A collision would hide one version, once
    in 2^64 comparisons.
    """
    return hash(_HEARTBEAT.sub(b"", section)) if has_heartbeats else hash(section)

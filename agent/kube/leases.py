"""
One Lease of coordination.k8s.io: read it, create it, replace it as it was read. Not who may take it (agent/election).

Every request has a deadline. What was not answered may have been carried out all the same: the next read tells, and a
write that comes late is refused, because it names the version that it replaces.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from agent.errors import LeaseTaken, ServerSaid, Undecodable
from agent.kube.session import ApiSession
from kubescribe.wire.times import to_rfc3339

_GROUP = "/apis/coordination.k8s.io/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSpec:
    """
    What a Lease says. `holder` "" is nobody, `duration_seconds` is a whole number in the API.

    `transitions` counts how often the holder changed; `acquired_at` is for people, "" for now.
    """

    holder: str
    duration_seconds: int
    transitions: int = 0
    acquired_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A Lease as it was read or written; `version` is another after every write, `metadata` is sent back as it came."""

    spec: LeaseSpec
    version: str
    metadata: bytes


class _Spec(msgspec.Struct, gc=False, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    lease_transitions: int | None = None
    acquire_time: str | None = None


class _Object(msgspec.Struct, gc=False):
    metadata: msgspec.Raw
    spec: _Spec = msgspec.field(default_factory=_Spec)


class _Meta(msgspec.Struct, gc=False, rename="camel"):
    resource_version: str


class LeaseClient:
    """The Lease *name* in *namespace*; every method raises RequestFailed or Undecodable besides what it says."""

    def __init__(
        self, session: ApiSession, *, namespace: str, name: str, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._session = session
        self._namespace = namespace
        self._name = name
        self._now_ns = now_ns
        self._folder = f"{_GROUP}/namespaces/{namespace}/leases"

    def __str__(self) -> str:
        return f"{self._namespace}/{self._name}"

    async def read(self, deadline_seconds: float) -> Lease | None:
        """Return the Lease as etcd has it, None when there is none."""
        try:
            body = await self._session.get(
                f"{self._folder}/{self._name}", verb="get", resource="leases", deadline_seconds=deadline_seconds
            )
        except ServerSaid as error:
            if error.is_missing:
                return None
            raise
        return _decoded(body)

    async def write(self, spec: LeaseSpec, replaced: Lease | None, deadline_seconds: float) -> Lease:
        """
        Write *spec* in the place of *replaced*, None to create the Lease; return it as it is then.

        Raises LeaseTaken when the Lease is not what *replaced* says.
        """
        verb, resource = ("create", "leases") if replaced is None else ("update", "leases")
        try:
            answer = await self._session.write(
                "POST" if replaced is None else "PUT",
                self._folder if replaced is None else f"{self._folder}/{self._name}",
                self._encoded(spec, replaced),
                verb=verb,
                resource=resource,
                deadline_seconds=deadline_seconds,
            )
        except ServerSaid as error:
            # A create that is answered with 404 is another matter: the namespace is missing.
            if error.code == 409 or (error.code == 404 and replaced is not None):
                raise LeaseTaken(str(error)) from error
            raise
        return _decoded(answer)

    def _encoded(self, spec: LeaseSpec, replaced: Lease | None) -> bytes:
        # MicroTime: the API takes six digits, not nine.
        now = to_rfc3339(self._now_ns())[:-4] + "Z"
        metadata = {"name": self._name, "namespace": self._namespace}
        return msgspec.json.encode(
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": metadata if replaced is None else msgspec.Raw(replaced.metadata),
                "spec": {
                    "holderIdentity": spec.holder,
                    "leaseDurationSeconds": spec.duration_seconds,
                    "leaseTransitions": spec.transitions,
                    "acquireTime": spec.acquired_at or now,
                    "renewTime": now,
                },
            }
        )


def _decoded(body: bytes) -> Lease:
    try:
        read = msgspec.json.decode(body, type=_Object)
        version = msgspec.json.decode(read.metadata, type=_Meta).resource_version
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"lease: {str(error)[:200]}") from error
    spec = LeaseSpec(
        holder=read.spec.holder_identity or "",
        duration_seconds=read.spec.lease_duration_seconds or 0,
        transitions=read.spec.lease_transitions or 0,
        acquired_at=read.spec.acquire_time or "",
    )
    return Lease(spec=spec, version=version, metadata=bytes(read.metadata))

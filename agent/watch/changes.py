"""
Decoded objects to Change and Departed records: churn dropped, actor found, redacted, body made. No I/O.

One recorder serves one stream. The order of the work is the order of the costs: what is churn is known from hashes
before anything is redacted or encoded.
"""

import msgspec

from agent.errors import Undecodable
from agent.watch.actors import actor_of, find_actor, find_owner, moved_since, sign
from agent.watch.bodies import (
    MAX_BODY_BYTES,
    Identity,
    body_head,
    encode_meta,
    identify,
    join_body,
    reduce_endpoints,
    truncated_body,
)
from agent.watch.churn import section_digest, section_digests
from agent.watch.counters import WatchCounters
from agent.watch.decoding import AnyObject, ApiObject, version_of
from agent.watch.kinds import WatchedKind
from agent.watch.known import Known, KnownObjects
from agent.watch.lines import OversizedLine
from agent.watch.redaction import Redactor
from agent.watch.stencils import Standing, Stencils
from kubescribe.wire.records import AnyRecord, Change, Departed, Interval
from kubescribe.wire.streams import Selector, stream_name

_STATUS = ("status",)


class _PodSpec(msgspec.Struct, gc=False, rename="camel"):
    node_name: str = ""


_POD_SPEC = msgspec.json.Decoder(_PodSpec)


class ChangeRecorder:
    """
    Makes the records of one stream and remembers what it needs of each object.

    `term` is stamped on every record; the watcher sets it with each grant.
    """

    def __init__(
        self,
        kind: WatchedKind,
        node: str | None,
        redactor: Redactor,
        counters: WatchCounters,
        *,
        stencils: Stencils | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.stream = stream_name(kind.stream_resource, node)
        self.term = 0
        self.known = KnownObjects()
        self._kind = kind
        self._name = kind.name
        self._selector = Selector(kind.resource, node)
        self._redactor = redactor
        self._counters = counters
        self._stencils = Stencils() if stencils is None else stencils
        self._has_stencils = False
        self._max_body_bytes = max_body_bytes
        self._head = body_head(kind.api_version, kind.kind)
        self._is_pod = kind.group == "" and kind.kind == "Pod"
        self._is_endpoints = kind.kind == "EndpointSlice"

    def status_moved(self, line: bytes, observed_at: int, records: list[AnyRecord]) -> int:
        """
        Add the record of *line* to *records*, nothing for churn, and return its version.

        Returns 0, and did nothing, for every line but one whose object is known, and differs from what is known of it
        in its status at most: that has to be decoded.
        """
        if not self._has_stencils or (fit := self._stencils.fit(line)) is None:
            return 0
        standing, status = fit.stencil.standing, fit.status
        known = self.known.get(standing.uid)
        if known is None or known.digest != standing.digest or known.sections[:1] != standing.spec:
            return 0
        if standing.size + len(status) > self._max_body_bytes:
            return 0
        sections = (*standing.spec, section_digest(status, has_heartbeats=self._kind.has_heartbeats))
        before, is_same = known.entries, known.sections == sections
        known.resource_version, known.seen_at = fit.version, observed_at
        known.entries, known.sections = fit.signature, sections
        if is_same:
            self._counters.churn_dropped += 1
            return fit.version
        if fit.signature[-1] not in before and fit.stencil.signature == before[:-1]:
            actor = actor_of(fit.last)
        else:
            entries = fit.entries()
            moved = moved_since(entries, fit.signature, before)
            actor = find_actor(moved, _STATUS) if moved else find_owner(entries, _STATUS)
        if self._kind.redaction == "everything":
            status = self._redactor.sections("everything", {"status": status})["status"]
        records.append(
            Change(
                stream=self.stream,
                term=self.term,
                kind=self._name,
                name=standing.name,
                namespace=standing.namespace,
                uid=standing.uid,
                resource_version=fit.version,
                observed_at=observed_at,
                generation=standing.generation,
                node=known.node,
                actor=actor,
                body=b"".join((standing.body, status, b"}")),
            )
        )
        return fit.version

    def version(
        self, event_type: str, item: AnyObject, observed_at: int, line: bytes = b""
    ) -> Change | Departed | None:
        """
        Return the record of a watch event, None for churn. Raises Undecodable.

        A DELETED of the watch of unscheduled pods is a Departed: the object no longer matches, or is gone. *line* is
        what the event was decoded from; of the next ones of its kind only what moves will be.
        """
        if event_type != "DELETED":
            return self._change(item, observed_at, is_gone=False, is_listed=False, line=line)
        meta = item.metadata
        change = self._change(item, observed_at, is_gone=True, is_listed=False)
        self.known.drop(meta.uid)
        if change is None or self._selector.node != "":
            return change
        return Departed(
            stream=self.stream,
            term=self.term,
            kind=self._name,
            uid=change.uid,
            resource_version=change.resource_version,
            observed_at=observed_at,
            namespace=change.namespace,
            name=change.name,
        )

    def listed(self, item: AnyObject, observed_at: int) -> Change:
        """Return the record of an object of a list; never churn, a Snapshot needs each. Raises Undecodable."""
        change = self._change(item, observed_at, is_gone=False, is_listed=True)
        if change is None:
            raise AssertionError("a listed object is never churn")
        return change

    def oversized(self, line: OversizedLine, observed_at: int) -> Change | None:
        """Return the record of an object whose line was too long to be kept, None when its head does not say whose."""
        identity = identify(line)
        if identity is None or identity.type == "BOOKMARK" or self._selector.node == "":
            return None
        is_gone = identity.type == "DELETED"
        if is_gone:
            self.known.drop(identity.uid)
        else:
            self.known.put(
                identity.uid, Known(identity.name, identity.namespace, identity.resource_version, observed_at)
            )
        return Change(
            stream=self.stream,
            term=self.term,
            kind=self._name,
            name=identity.name,
            namespace=identity.namespace,
            uid=identity.uid,
            resource_version=identity.resource_version,
            observed_at=observed_at,
            gone=is_gone,
            node=self._selector.node or "",
            body=truncated_body(self._kind.api_version, self._kind.kind, identity, line.size, ""),
        )

    def inferred_delete(self, uid: str, known: Known, observed_at: int) -> Change:
        """Return the delete that nobody saw: it carries the last known version, and the time in which it happened."""
        self.known.drop(uid)
        return Change(
            stream=self.stream,
            term=self.term,
            kind=self._name,
            name=known.name,
            namespace=known.namespace,
            uid=uid,
            resource_version=known.resource_version,
            observed_at=observed_at,
            gone=True,
            node=known.node,
            inferred=Interval(after=known.seen_at, before=observed_at),
        )

    def _change(
        self, item: AnyObject, observed_at: int, *, is_gone: bool, is_listed: bool, line: bytes = b""
    ) -> Change | None:
        meta = item.metadata
        uid = meta.uid
        if not uid or not meta.name:
            raise Undecodable("object: it has no uid or no name")
        version = version_of(meta)
        generation = meta.generation
        entries = meta.managed_fields or []
        sections = item.sections()
        signature = sign(entries)
        annotations = self._redactor.annotations(bytes(meta.annotations) or b"{}")
        is_leaving = bool(meta.deletion_timestamp)
        encoded = encode_meta(meta)
        digest = hash((encoded, annotations.digest, generation if self._kind.metadata_only else 0))
        digests = section_digests(sections, has_heartbeats=self._kind.has_heartbeats)

        known = self.known.get(uid)
        is_same = known is not None and known.digest == digest and known.sections == digests
        if known is not None and is_same and not is_gone and not is_listed:
            known.resource_version = version
            known.entries = signature
            known.seen_at = observed_at
            self._counters.churn_dropped += 1
            return None

        if known is None:
            actor = None if is_gone else find_actor(entries, ())
        elif signature == known.entries and (is_gone or (is_leaving and not known.is_leaving)):
            # A delete leaves no trace in managedFields, neither the request nor the end.
            actor = None
        elif len(moved := moved_since(entries, signature, known.entries)) == 1:
            # Nearly always: what else changed need not be asked.
            actor = actor_of(moved[0])
        else:
            changed = _changed(sections, digests, known, has_meta=digest != known.digest)
            actor = find_actor(moved, changed) if moved else find_owner(entries, changed)
        node = self._node(known, sections) if self._is_pod else ""
        if not is_gone:
            self.known.put(
                uid,
                Known(meta.name, meta.namespace, version, observed_at, digest, digests, signature, node, is_leaving),
            )
        size = len(encoded) + len(annotations.body) + sum(map(len, sections.values()))
        if size <= self._max_body_bytes:
            if self._is_endpoints:
                sections = reduce_endpoints(sections)
            sections = self._redactor.sections(self._kind.redaction, sections)
            body = join_body(self._head, encoded, annotations.body, sections)
            is_status_alone = known is not None and known.digest == digest and known.sections[:1] == digests[:1]
            if line and is_status_alone and isinstance(item, ApiObject) and item.spec and item.status:
                # What moved alone moves alone again, as a rule.
                standing = Standing(
                    uid=uid,
                    name=meta.name,
                    namespace=meta.namespace,
                    generation=generation,
                    digest=digest,
                    spec=digests[:1],
                    body=body[: -1 - len(sections["status"])],
                    size=size - len(item.status),
                )
                self._has_stencils |= self._stencils.cut(line, standing)
        else:
            self._counters.bodies_truncated += 1
            token = self._redactor.token(b"".join([encoded, annotations.body, *sections.values()]))
            identity = Identity("", meta.name, meta.namespace, uid, version)
            body = truncated_body(self._kind.api_version, self._kind.kind, identity, size, token)
        return Change(
            stream=self.stream,
            term=self.term,
            kind=self._name,
            name=meta.name,
            namespace=meta.namespace,
            uid=uid,
            resource_version=version,
            observed_at=observed_at,
            gone=is_gone,
            listed=is_listed,
            generation=generation,
            node=node,
            actor=actor,
            body=body,
        )

    def _node(self, known: Known | None, sections: dict[str, bytes]) -> str:
        if self._selector.node is not None:
            return self._selector.node
        if known is not None and known.node:
            return known.node
        try:
            return _POD_SPEC.decode(sections.get("spec", b"{}")).node_name
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return ""


def _changed(sections: dict[str, bytes], digests: tuple[int, ...], known: Known, *, has_meta: bool) -> list[str]:
    """Return the names of what differs from the version before."""
    changed = [name for name, value in zip(sections, digests, strict=True) if value not in known.sections]
    return [*changed, "metadata"] if has_meta else changed

"""The Snapshot of one list, in its phases (design section 2): begin, the Changes, parts with the uids, end. No I/O."""

import hashlib
from collections.abc import Iterator, Sequence

from kubescribe.wire.records import SNAPSHOT_PART, AnyRecord, Snapshot


class SnapshotWriter:
    """Makes the records around the listed Changes of one list. `epoch` is the journal's as known when it was asked."""

    def __init__(
        self,
        *,
        stream: str,
        term: int,
        kind: str,
        version: int,
        observed_at: int,
        is_consistent: bool,
        epoch: int,
    ) -> None:
        self._facts = {
            "stream": stream,
            "term": term,
            "kind": kind,
            "resource_version": version,
            "observed_at": observed_at,
            "consistent": is_consistent,
            "epoch": epoch,
        }
        digest = hashlib.sha256(f"{stream}\n{term}\n{version}\n{observed_at}".encode()).hexdigest()
        self._id = digest[:20]
        self._uids: list[str] = []
        self._versions: list[int] = []

    def begin(self) -> AnyRecord:
        """Return the begin."""
        return self._phase("begin")

    def add(self, uids: Sequence[str], versions: Sequence[int]) -> None:
        """Note objects that the list holds."""
        self._uids.extend(uids)
        self._versions.extend(versions)

    def keep(self, uids: Sequence[str], versions: Sequence[int]) -> None:
        """Note objects that must not be taken for gone, unless the list held them anyway."""
        held = set(self._uids)
        for uid, version in zip(uids, versions, strict=True):
            if uid not in held:
                self.add((uid,), (version,))

    @property
    def uids(self) -> set[str]:
        """The objects noted so far."""
        return set(self._uids)

    def finish(self) -> Iterator[AnyRecord]:
        """Yield the parts and the end."""
        for start in range(0, len(self._uids), SNAPSHOT_PART):
            stop = start + SNAPSHOT_PART
            yield self._phase("part", uids=tuple(self._uids[start:stop]), versions=tuple(self._versions[start:stop]))
        yield self._phase("end", count=len(self._uids))

    def _phase(self, phase: str, **more: object) -> Snapshot:
        return Snapshot(id=self._id, phase=phase, **self._facts, **more)  # type: ignore[arg-type]

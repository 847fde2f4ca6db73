"""Ingest as its readers see it: whose journal this is, what troubles it, who reports. Implements `Recorder`."""

from collections.abc import Sequence

from aggregator.ingest.coverage import Coverage
from aggregator.ingest.pipeline import Pipeline
from aggregator.ingest.presence import Roster
from aggregator.outlets.fleet import AgentStatus, Identity, NodeStatus


class IngestRecorder:
    """Answers from memory, at once."""

    def __init__(self, pipeline: Pipeline, roster: Roster, coverage: Coverage) -> None:
        self._pipeline = pipeline
        self._roster = roster
        self._coverage = coverage

    def agents(self) -> list[AgentStatus]:
        """Return every agent that is connected, or away and not forgotten."""
        return self._roster.agents()

    def nodes(self) -> Sequence[NodeStatus]:
        """Return every node that exists, or whose pods are not all known to be gone."""
        return self._coverage.nodes()

    def identity(self) -> Identity:
        """Return whose journal this is, now."""
        ledger = self._pipeline.ledger
        return Identity(
            journal_id=ledger.journal_id,
            cluster_uid=ledger.cluster_uid,
            cluster=ledger.cluster,
            epoch=ledger.epoch,
        )

    def trouble(self) -> str:
        """Return why nothing can be committed now, "" when all is well."""
        return self._pipeline.failure or ""

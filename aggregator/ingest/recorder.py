"""Ingest as its readers see it: whose journal this is, what troubles it, who reports. Implements `Recorder`."""

from aggregator.ingest.pipeline import Pipeline
from aggregator.ingest.presence import Roster
from aggregator.outlets.fleet import AgentStatus, Identity


class IngestRecorder:
    """Answers from memory, at once."""

    def __init__(self, pipeline: Pipeline, roster: Roster) -> None:
        self._pipeline = pipeline
        self._roster = roster

    def agents(self) -> list[AgentStatus]:
        """Return every agent that is connected, or away and not forgotten."""
        return self._roster.agents()

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

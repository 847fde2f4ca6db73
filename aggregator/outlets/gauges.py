"""
The families about the cluster and the journal, for /metrics: an exact account that starts again where it stood.

Counters live in the journal and are loaded with its state; each commit adds to them. How the cluster is comes from the
roll of what lives (standing.py). Each family has a limit of label sets (census/families.py), so that no name of a
namespace or reason can make Prometheus pay.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from aggregator.census.families import BLIND, COUNTERS
from aggregator.census.roll import Roll
from aggregator.outlets.accounts import Account, accounts_of
from aggregator.outlets.asking import Asking
from aggregator.outlets.blindness import Blindness
from aggregator.outlets.fleet import Covered, NodeStatus, Recorder
from aggregator.outlets.standing import Standing
from aggregator.records import CounterKey, JournalState, Published
from kubescribe.runtime.exposition import Row, TableFamily
from kubescribe.wire.times import NANOSECONDS

LAG_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
"""Seconds: one group commit at the low end, an aggregator that was away for 15 minutes at the high one."""

_LAGGING = frozenset({"changes", "occurrences"})


class LagHistogram:
    """Seconds from observed to committed; ~0.3 µs a record, where a thousand are counted in one commit."""

    def __init__(self) -> None:
        self._counts = [0] * (len(LAG_BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one record; a clock that runs ahead counts as none behind."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(LAG_BUCKETS, seconds)] += 1
        self._sum += seconds

    def family(self) -> HistogramMetricFamily:
        """Return the family as it stands."""
        buckets: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip((*map(str, LAG_BUCKETS), "+Inf"), list(self._counts), strict=True):
            total += count
            buckets.append((bound, total))
        return HistogramMetricFamily(
            "kubescribe_ingest_lag_seconds",
            "From an agent's receipt to the commit, of changes and occurrences.",
            buckets=buckets,
            sum_value=self._sum,
        )


class ClusterGauges(Collector):
    """
    A prometheus_client collector over this aggregator's own state.

    `collect` may run in any thread: it reads whole dicts and numbers. `set_facts` is called now and then with what
    `Journal.facts` answers, since a scrape must not wait for the disk.
    """

    def __init__(
        self,
        state: JournalState,
        recorder: Callable[[], Recorder | None],
        *,
        version: str,
        now_ns: Callable[[], int],
        roll: Roll,
    ) -> None:
        self._recorder = recorder
        self._version = version
        self._now_ns = now_ns
        self._roll = roll
        self._asking = Asking()
        self._accounts = accounts_of(COUNTERS)
        self._lag = LagHistogram()
        self._blindness = Blindness(state.open_gaps.values(), state.counters)
        self._facts: Mapping[str, int] = {}
        self._last_seq = state.last_seq
        for (family, labels), value in state.counters.items():
            if (account := self._account(family, labels)) is not None:
                account.load(labels, value)

    def committed(self, published: Sequence[Published], counters: Mapping[CounterKey, int]) -> None:
        """Take in what one transaction brought; call it after the commit."""
        for (family, labels), by in counters.items():
            if (account := self._account(family, labels)) is not None:
                account.add(labels, by)
        for item in published:
            if item.topic in _LAGGING:
                self._lag.observe((item.committed_at - item.facets.observed_at) / NANOSECONDS)
            elif item.topic == "gaps":
                self._blindness.take(item.json)
        self._blindness.count(counters)
        if published:
            self._last_seq = published[-1].seq

    def forget(self, keys: Iterable[CounterKey]) -> None:
        """Tell of these series no more; call it after the commit, before `committed`."""
        for family, labels in keys:
            if family == BLIND:
                self._blindness.forget(labels[0])
            elif (account := self._account(family, labels)) is not None:
                account.forget(labels)

    def set_facts(self, facts: Mapping[str, int]) -> None:
        """Take what the journal says of itself."""
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        now = self._now_ns()
        for account in self._accounts.values():
            yield account.family(now)
        yield from Standing(self._roll, asking=self._asking).families()
        yield self._lag.family()
        yield from self._journal()
        yield from self._agents()
        blind = CounterMetricFamily(
            "kubescribe_watch_blind_seconds",
            "Time in which a stream could not be watched, open gaps included.",
            labels=("stream",),
        )
        for stream, seconds in self._blindness.seconds(now).items():
            blind.add_metric((stream,), seconds)
        yield blind
        build = GaugeMetricFamily("kubescribe_build_info", "The version that runs; always 1.", labels=("version",))
        build.add_metric((self._version,), 1)
        yield build

    def _journal(self) -> Iterator[Metric]:
        facts = self._facts
        yield GaugeMetricFamily("kubescribe_journal_seq", "The last seq that was committed.", value=self._last_seq)
        yield GaugeMetricFamily("kubescribe_journal_bytes", "The journal's size.", value=facts.get("bytes", 0))
        yield GaugeMetricFamily(
            "kubescribe_journal_oldest_timestamp_seconds",
            "When the oldest record was committed, 0 when there is none.",
            value=facts.get("oldestCommittedAt", 0) / NANOSECONDS,
        )
        yield GaugeMetricFamily(
            "kubescribe_journal_objects",
            "Objects that the journal knows, alive or dead.",
            value=facts.get("objects", 0),
        )
        recorder = self._recorder()
        writable = recorder is not None and not recorder.trouble()
        yield GaugeMetricFamily("kubescribe_journal_writable", "1 while commits succeed.", value=int(writable))

    def _agents(self) -> Iterator[Metric]:
        # Tables: a cluster has thousands of agents, and prometheus_client takes 10 us for each number.
        recorder = self._recorder()
        agents = [((it.agent, it.node), it) for it in (recorder.agents() if recorder is not None else ())]
        for name, text, rows in (
            (
                "agent_up",
                "1 while the agent is connected.",
                [(labels, float(agent.connected)) for labels, agent in agents],
            ),
            (
                "agent_lag_seconds",
                "How far the agent's records are behind.",
                [(labels, agent.lag_seconds) for labels, agent in agents if agent.lag_seconds is not None],
            ),
            (
                "agent_spool_bytes",
                "What the agent's spool held at its last report.",
                [(labels, float(agent.spool_bytes)) for labels, agent in agents],
            ),
        ):
            yield TableFamily(f"kubescribe_{name}", text, "gauge", ("agent", "node"), partial(list, rows))
        yield _coverage(recorder.nodes() if recorder is not None else ())

    def _account(self, family: str, labels: tuple[str, ...]) -> Account | None:
        about = COUNTERS.get(family)
        return self._accounts[family] if about is not None and len(labels) == len(about.labels) else None


def _coverage(nodes: Iterable[NodeStatus]) -> TableFamily:
    rows: list[Row] = [
        ((node.node, state), float(state == node.state))
        for node in nodes
        if not node.is_gone
        for state in get_args(Covered)
    ]
    return TableFamily(
        "kubescribe_node_coverage",
        "Who reports a node's pods, 1 for the state that is so: reporting (its own agent), adopted (the cluster agent:"
        " pods, no lines), unreported. Without nodes that are deleted.",
        "gauge",
        ("node", "state"),
        lambda: rows,
    )

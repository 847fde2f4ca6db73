"""Storage: how far back the journal reaches, how fast it grows, whether its volume holds it, what fills it."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import links as to
from dashboards.frame import Panel, Part, frame
from dashboards.panels import BAD, GOOD, MUST_BE_ONE, WARN, YES_NO, bars, graph, number
from dashboards.queries import graphed, growth, highest, increase, now, or_never, peak, per_second, series
from dashboards.tables import Column, ranking

_OLDEST = f"({series('journal_oldest_timestamp_seconds')} > 0)"


def storage() -> Dashboard:
    """Return the dashboard."""
    return frame(
        to.STORAGE,
        "kubescribe / Storage",
        "The journal: how far back it reaches, how fast it grows, whether its volume holds it, and what fills it.",
        Part("Does it hold?", _holds()),
        Part("How it grows", _grows()),
        Part("What fills it", _fills()),
        otherwise=[to.live("Who reports, and what may be trusted")],
        is_annotated=False,
        since="now-24h",
    )


def _holds() -> list[Panel]:
    available, size = series("journal_disk_available_bytes"), series("journal_disk_bytes")
    return [
        number(
            "Writable",
            "Yes while commits succeed. No: the disk is full or broken. Agents spool meanwhile, and it recovers by"
            " itself once there is room.",
            now(f"min({series('journal_writable')})"),
            steps=MUST_BE_ONE,
            base=BAD,
            words=YES_NO,
            links=[to.live("What may be trusted now")],
        ),
        number(
            "Volume full in",
            "At the pace of the last six hours, where it grows. Make the claim larger, or keep less.",
            now(or_never(f"min({available} / (-deriv({available}[6h]) > 0))")),
            unit="s",
            never="not in sight",
            steps=((86400, WARN), (345600, GOOD)),
            base=BAD,
        ),
        number(
            "Volume in use",
            "Share of the file system that the journal is on. Keep store.retentionBytes at three quarters of it.",
            now(f"1 - min({available} / {size})"),
            unit="percentunit",
            steps=((0.8, WARN), (0.9, BAD)),
            links=[to.board("All volumes", to.INFRA)],
        ),
        number(
            "Reaches back",
            "Age of the oldest record: what you can ask about. Shorter than the retention you set: the limit by bytes"
            " is reached first, or it is young.",
            now(f"time() - min({_OLDEST})"),
            unit="s",
            decimals=1,
            steps=((86400, GOOD),),
            base="text",
            is_alarm=False,
        ),
        number(
            "Size",
            "The journal's file with its indexes. It does not shrink: freed pages are used again.",
            graphed(f"sum({series('journal_bytes')})"),
            unit="bytes",
            decimals=1,
            steps=(),
            is_alarm=False,
            has_history=True,
        ),
        number(
            "Bytes a record",
            "Size by records since the journal began: what a cluster costs. A rise is a kind with large objects.",
            now(f"sum({series('journal_bytes')}) / sum({series('journal_seq')})"),
            unit="bytes",
            steps=(),
            is_alarm=False,
        ),
    ]


def _grows() -> list[Panel]:
    spool = series("agent_spool_bytes")
    commit = f"sum by (le) ({per_second(series('ingest_commit_seconds_bucket'))})"
    return [
        graph(
            "Size of the journal",
            "Its file, and the limit at which its oldest records go before their time (none: 0). A line that bends up"
            " is more change than before; one that is level is retention at work.",
            graphed(f"sum({series('journal_bytes')})", "journal"),
            graphed(f"sum({series('journal_limit_bytes')}) > 0", "limit"),
            unit="bytes",
            colours={"journal": "blue", "limit": "red"},
        ),
        graph(
            "Records in and out",
            "Records a second that were committed, and that retention deleted. Out far below in for days: it fills.",
            graphed(f"sum({per_second(series('changes_total'))})", "changes"),
            graphed(f"sum({per_second(series('occurrences_total'))})", "events"),
            graphed(f"sum({per_second(series('journal_pruned_records_total'))})", "deleted"),
            unit="suffix:/s",
        ),
        graph(
            "Time of a commit",
            "From a transaction's first record to the disk's word that it has it. Above 100 ms: the volume's IOPS.",
            graphed(f"histogram_quantile(0.99, {commit})", "p99"),
            graphed(f"histogram_quantile(0.5, {commit})", "p50"),
            unit="s",
            colours={"p99": "orange", "p50": "blue"},
            steps=((0.1, WARN),),
        ),
        graph(
            "Commits",
            "Transactions a second, by result. A failed one is tried again; many are a full or broken disk.",
            graphed(f"sum by (result) ({per_second(series('ingest_commits_total'))})", "{{result}}"),
            unit="suffix:/s",
            colours={"ok": "green", "failed": "red"},
        ),
        graph(
            "Objects",
            "Objects that the journal knows, alive or dead. Objects that are never the same twice (Jobs by the minute)"
            " make it grow.",
            graphed(f"sum({series('journal_objects')})", "objects"),
            is_stepped=True,
        ),
        graph(
            "Spools of agents",
            "What waits on the nodes for the journal: it grows while the journal cannot be written or reached.",
            graphed(highest(spool, "agent", f"max by (agent) ({peak(spool)})"), "{{agent}}"),
            unit="bytes",
        ),
    ]


def _fills() -> list[Panel]:
    changes = series("changes_total")
    return [
        ranking(
            "Kinds by changes",
            "Versions of objects by kind in the time shown. A kind at the top that nobody asks about: leave it out with"
            " watch.kinds.",
            ["kind"],
            Column("Changes", f"round(sum by (kind) ({increase(changes)})) > 0"),
            Column(
                "Share",
                f"sum by (kind) ({increase(changes)}) / ignoring (kind) group_left () sum({increase(changes)})",
                "percentunit",
                1,
                ((0.5, WARN),),
                is_bar=True,
            ),
            links=[to.page("These changes", kind=to.column("kind"))],
            span=12,
        ),
        graph(
            "Changes by kind",
            "Versions a second, the ten busiest kinds: a controller that fights another shows as a level that never"
            " falls.",
            graphed(
                highest(f"sum by (kind) ({per_second(changes)})", "kind", f"sum by (kind) ({growth(changes)})"),
                "{{kind}}",
            ),
            unit="suffix:/s",
            links=[to.page("These changes", kind=to.label("kind"))],
            span=12,
            height=9,
            is_stacked=True,
        ),
        bars(
            "Series a family had no room for",
            "Label sets beyond a family's limit: told as `other`, or left out. Above 0: something makes names by the"
            " thousand; docs/metrics.md has the limits.",
            now(f"topk(10, max by (family) ({series('series_beyond_limit')}))", "{{family}}"),
            unit="short",
            steps=((1, WARN),),
            most=100,
            span=12,
        ),
        graph(
            "Counts folded into other",
            "Counts a second that went into the label value `other` since their family was full.",
            graphed(f"sum by (family) ({per_second(series('series_folded_total'))})", "{{family}}"),
            unit="suffix:/s",
            span=12,
        ),
    ]

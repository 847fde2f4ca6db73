"""Pipeline health: is the tool telling the truth? Agents, ingest, the way to Loki, the gateway, the live feed."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import links as to
from dashboards.frame import Panel, Part, frame
from dashboards.panels import BAD, GOOD, MUST_BE_ONE, PER_MINUTE, UNKNOWN, WARN, YES_NO, graph, number, states
from dashboards.queries import graphed, growth, highest, increase, now, or_zero, peak, per_minute, per_second, series
from dashboards.tables import Column, ranking

_LOST = (
    *("spool_dropped_records_total", "loki_rejected_entries_total", "gateway_damaged_frames_total"),
    *("gateway_unsendable_lines_total", "loki_outlet_unreadable_total", "loki_outlet_overtaken_total"),
)
"""What is gone when it is counted; that of files and watches is told by gaps."""


def pipeline() -> Dashboard:
    """Return the dashboard."""
    return frame(
        to.PIPELINE,
        "kubescribe / Pipeline health",
        "Can the other screens be trusted? What was not seen, who does not report, what waits, what was lost.",
        Part("Can I trust what I see?", _trust()),
        Part("Agents", _agents()),
        Part("Ingest", _ingest()),
        Part("The way to Loki", _loki()),
        Part("Live feed", _feed()),
        otherwise=[to.live("Who reports, and what may be trusted")],
        is_annotated=False,
    )


def _trust() -> list[Panel]:
    lag = f"sum by (le) ({per_second(series('ingest_lag_seconds_bucket'))})"
    # Not the spool's alone: Prometheus may scrape the aggregator and no agent.
    lost = " + ".join("(" + or_zero(f"sum({increase(series(it), '1h')})") + ")" for it in _LOST)
    return [
        number(
            "Agents away",
            "Agents that are known and not connected. Their nodes are unknown, not healthy, until the cluster agent has"
            " adopted them. Look at the agent's pod, then at its log.",
            now(f"sum({series('agent_up')} != bool 1)"),
            links=[to.live("Who, and since when")],
            span=3,
        ),
        number(
            "Nodes nobody reports",
            "Nodes whose pods neither their own agent nor the cluster agent watches: what happens there is unknown.",
            now(f"sum({series('node_coverage', state='unreported')})"),
            steps=((1, UNKNOWN),),
            links=[to.live("Who, and since when")],
            span=3,
        ),
        number(
            "Gaps, 1 h",
            "Times in which something may have gone unseen. Each says which stream, from when to when and why, and"
            " whether it was made good later.",
            now(or_zero(f"sum({increase(series('gaps_total'), '1h')})")),
            steps=((1, WARN), (10, BAD)),
            links=[to.gaps()],
            span=3,
        ),
        number(
            "Seen late by, p99",
            "From an agent's receipt to the commit, just now. Seconds: the journal's disk or the CPU;"
            " minutes: an agent that was away is replaying its spool.",
            now(f"histogram_quantile(0.99, {lag})"),
            unit="s",
            decimals=None,
            steps=((2, WARN), (30, BAD)),
            span=3,
        ),
        number(
            "Longest unseen",
            "How long ago the stalest stream was last known to be complete. A quiet one is told by bookmarks each"
            " minute: above five minutes it hangs.",
            now(f"max({series('watch_unseen_seconds')})"),
            unit="s",
            steps=((300, WARN), (900, BAD)),
            links=[to.live("What may be trusted now")],
            span=3,
        ),
        number(
            "Journal writable",
            "Yes while commits succeed. No: the disk is full or broken; agents keep everything in their spools until it"
            " is mended. Go to Storage.",
            now(f"min({series('journal_writable')})"),
            steps=MUST_BE_ONE,
            base=BAD,
            words=YES_NO,
            links=[to.board("Storage", to.STORAGE)],
            span=3,
        ),
        number(
            "Loki answers",
            "Yes while Loki answers whoever sends to it: agents, aggregator. No data where no Loki is configured.",
            now(f"min({series('loki_up')})"),
            steps=MUST_BE_ONE,
            base=BAD,
            words=YES_NO,
            links=[to.board("Logs", to.LOGS)],
            span=3,
        ),
        number(
            "Lost for good, 1 h",
            "Records dropped from full spools, entries that Loki refused for good or that could not be made, pushes of"
            " shippers that went with a damaged spool, and times that retention was faster than Loki. Reasons below.",
            now(lost),
            links=[to.gaps()],
            span=3,
        ),
    ]


def _agents() -> list[Panel]:
    blind = series("watch_blind_seconds_total")
    return [
        states(
            "Agents over time",
            "Each agent's connection to the aggregator. Away at the same time: the aggregator or the network; one"
            " after the other: a roll-out.",
            graphed(f"min by (agent) ({series('agent_up')})", "{{agent}}"),
            words={"1": ("connected", GOOD), "0": ("away", BAD)},
            links=[to.live("What may be trusted now")],
            span=10,
            height=9,
        ),
        ranking(
            "Agents that lag",
            "How far each agent's records are behind, and what waits on its disk. Lag without a spool: its clock; lag"
            " with one: it was away and replays.",
            ["agent", "node"],
            Column("Lag", f"max by (agent, node) ({series('agent_lag_seconds')})", "s", 1, ((10, WARN), (60, BAD))),
            Column("Spool", f"max by (agent, node) ({series('agent_spool_bytes')})", "bytes", 1, ((100e6, WARN),)),
            Column("Connected", f"max by (agent, node) ({series('agent_up')})", steps=()),
            span=14,
        ),
        graph(
            "Blind",
            "Share of time in which a stream could not be watched; a gap that is found late is told at once. Above 0"
            " for long: the API server's log, RBAC, the agent's log.",
            graphed(
                highest(f"clamp_max({per_second(blind)}, 1)", "stream", f"max by (stream) ({growth(blind)})", 8),
                "{{stream}}",
            ),
            unit="percentunit",
            links=[to.gaps()],
            span=6,
        ),
        graph(
            "Gaps by cause",
            "Gaps a minute by cause. relisted and expired: the API server's watch cache forgot; agent_absent: an agent"
            " was away; log…: lines went before they were read.",
            graphed(f"sum by (cause) ({per_minute(series('gaps_total'))}) > 0", "{{cause}}"),
            unit=PER_MINUTE,
            links=[to.gaps()],
            span=6,
            is_bars=True,
            is_stacked=True,
        ),
        graph(
            "Watches that ended",
            "Watches a minute by why they ended. timeout is how they should end; expired is a 410, after which a list"
            " is needed: many together are a storm that the API server feels.",
            graphed(f"sum by (cause) ({per_minute(series('watch_restarts_total'))}) > 0", "{{cause}}"),
            graphed(f"sum({per_minute(series('watch_lists_total'))})", "lists"),
            unit=PER_MINUTE,
            span=6,
        ),
        graph(
            "What we ask of the API server",
            "Requests a second by verb, and answers that were errors: our own weight. 429 means that it asks us to"
            " wait, 403 that a permission is missing.",
            graphed(f"sum by (verb) ({per_second(series('api_requests_total'))})", "{{verb}}"),
            graphed(f"sum by (code) ({per_second(series('api_failures_total'))}) > 0", "error {{code}}"),
            unit="reqps",
            span=6,
        ),
    ]


def _ingest() -> list[Panel]:
    lag = f"sum by (le) ({per_second(series('ingest_lag_seconds_bucket'))})"
    commit = f"sum by (le) ({per_second(series('ingest_commit_seconds_bucket'))})"
    return [
        graph(
            "Seen to committed",
            "How late what was seen is in the journal. p50 is what a viewer feels, p99 is what an incident hides in.",
            graphed(f"histogram_quantile(0.99, {lag})", "p99"),
            graphed(f"histogram_quantile(0.5, {lag})", "p50"),
            graphed(f"histogram_quantile(0.99, {commit})", "commit p99"),
            unit="s",
            colours={"p99": "orange", "p50": "blue", "commit p99": "purple"},
        ),
        graph(
            "Records not simply stored",
            "Records a second by what became of them. duplicate and batch_repeated follow a reconnection and are"
            " harmless; malformed is a version that does not fit: look at the aggregator's log. Usage that makes no"
            " sense, and bodies that were too large, are here as well.",
            graphed(f"sum by (outcome) ({per_second(series('ingest_outcomes_total'))}) > 0", "{{outcome}}"),
            graphed(f"sum by (reason) ({per_second(series('usage_refused_total'))}) > 0", "usage {{reason}}"),
            graphed(f"sum({per_second(series('usage_undecodable_total'))}) > 0", "usage undecodable"),
            graphed(f"sum({per_second(series('watch_bodies_truncated_total'))}) > 0", "bodies cut"),
            graphed(f"sum({per_second(series('ingest_commits_total', result='failed'))})", "commit failed"),
            unit="suffix:/s",
        ),
        graph(
            "Conversations that ended badly",
            "Connections of agents a minute that ended with an error. unauthorized: a token; superseded: two agents"
            " under one name.",
            graphed(f"sum by (code) ({per_minute(series('link_errors_total'))})", "{{code}}"),
            unit=PER_MINUTE,
            links=[to.live("Agents")],
        ),
    ]


def _loki() -> list[Panel]:
    rejected, lag = series("loki_rejected_entries_total"), series("log_lag_bytes")
    overtaken = series("loki_outlet_overtaken_total")
    return [
        graph(
            "Pushes by answer",
            "Pushes to Loki a second by its answer. 204 is good; 429: its limits, nothing is lost; none: it does not"
            " answer; 401: credentials; 400: see Refused.",
            graphed(_answers("loki_push_total"), "{{code}}"),
            unit="reqps",
            colours={"204": "green", "429": "orange", "none": "red"},
            span=6,
        ),
        graph(
            "Waiting for Loki",
            "How long the oldest record of the journal waits, by topic, and the oldest push in a gateway. It grows"
            " while Loki is away and falls afterwards.",
            graphed(f"max by (topic) ({series('loki_outlet_lag_seconds')})", "journal {{topic}}"),
            graphed(f"max({series('gateway_oldest_unsent_seconds')})", "gateway"),
            unit="s",
            span=6,
        ),
        graph(
            "Refused and lost",
            "Entries a minute that Loki will never take, by its reason, or that could not be made; pushes of a damaged"
            " spool; times that retention deleted records before Loki had them. Late ones are only marked late=1.",
            graphed(f"sum by (reason) ({per_minute(rejected)}) > 0", "{{reason}}"),
            graphed(f"sum({per_minute(series('loki_late_entries_total'))})", "late"),
            graphed(f"sum({per_minute(series('gateway_damaged_frames_total'))})", "damaged pushes"),
            graphed(f"sum({per_minute(series('gateway_unsendable_lines_total'))}) > 0", "lines that make no push"),
            graphed(f"sum({per_minute(series('loki_outlet_unreadable_total'))}) > 0", "records that make no entry"),
            graphed(f"sum by (topic) ({per_minute(overtaken)}) > 0", "{{topic}} overtaken by retention"),
            unit=PER_MINUTE,
            span=6,
        ),
        graph(
            "Shippers' pushes",
            "What shippers push to the gateways, a second, by our answer. 429 and 503: the spool is full or it just"
            " started; 400: not understood, or for a tenant that it may not name.",
            graphed(_answers("gateway_requests_total"), "{{code}}"),
            graphed(f"sum({per_second(series('gateway_lines_total', pod='unknown'))}) > 0", "lines of no known pod"),
            unit="reqps",
            colours={"204": "green", "429": "orange", "503": "red"},
            span=6,
        ),
        graph(
            "Log files not in Loki yet",
            "Bytes of log files that Loki does not have, the ten worst agents. Level: normal; growing: Loki is slower"
            " than what is written.",
            graphed(highest(lag, "instance", peak(lag)), "{{instance}}"),
            unit="bytes",
            span=8,
        ),
        graph(
            "Spools",
            "What waits on disk: records of agents for the aggregator, pushes of shippers for Loki. Agents' fill while"
            " the aggregator is away, gateways' while Loki is.",
            graphed(f"sum({series('spool_bytes')})", "agents"),
            graphed(f"sum({series('gateway_spool_bytes')})", "gateways"),
            unit="bytes",
            span=8,
        ),
        graph(
            "Bytes of lines lost on the nodes, a minute",
            "Bytes a minute of log files that went before they were read, by cause. logRotated, logDeleted: the kubelet"
            " keeps too little for as long as Loki was away.",
            graphed(f"sum by (cause) ({per_minute(series('log_gap_bytes_total'))})", "{{cause}}"),
            unit="bytes",
            links=[to.gaps("Whose and when")],
            span=8,
        ),
    ]


def _answers(family: str) -> str:
    """Return answers a second by status: the good ones always, the others when they come."""
    by = "sum by (code)"
    return f"{by} ({per_second(series(family))}) > 0 or {by} ({per_second(series(family, code='204'))})"


def _feed() -> list[Panel]:
    return [
        graph(
            "Viewers",
            "Connections of the live feed, and agents on the link.",
            graphed(f"sum({series('feed_clients')})", "feed"),
            graphed(f"sum({series('link_connections')})", "agents"),
            is_stepped=True,
        ),
        graph(
            "Viewers that were too slow",
            "Viewers a minute that fell behind and went back to replay (they miss nothing), lines of logs that a viewer"
            " was too slow for, here or at the node (it is told how many), and questions for lines that were refused.",
            graphed(f"sum({per_minute(series('feed_fell_behind_total'))})", "fell behind"),
            graphed(f"sum({per_minute(series('feed_dropped_lines_total'))})", "lines not told"),
            graphed(f"sum({per_minute(series('lines_dropped_total'))}) > 0", "lines not told by nodes"),
            graphed(f"sum({per_minute(series('lines_refused_total'))}) > 0", "questions refused by nodes"),
            graphed(f"sum by (cause) ({per_minute(series('feed_dropped_total'))})", "ended: {{cause}}"),
            unit=PER_MINUTE,
        ),
        graph(
            "Event loop held",
            "Share of time in which the aggregator's loop was held for more than 20 ms at a stretch: everything else"
            " waited. Above 1 %: give it CPU, and tell us.",
            graphed(f"sum({per_second(series('loop_stalled_seconds_total'))})", "held"),
            unit="percentunit",
            steps=((0.01, UNKNOWN),),
        ),
    ]

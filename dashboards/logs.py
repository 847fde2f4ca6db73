"""Logs: how much is said, what of it is trouble, and what happened to the pods beside the lines. Needs Loki."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import links as to
from dashboards.frame import Panel, Part, frame, of_namespaces, of_text, of_workloads
from dashboards.panels import BAD, GOOD, LEVEL_COLOURS, MUST_BE_ONE, PER_MINUTE, WARN, YES_NO, graph, number, said
from dashboards.queries import (
    LINES,
    counted,
    graphed,
    increase,
    lines,
    now,
    or_zero,
    per_minute,
    per_second,
    series,
    streams,
)

_IN = ('namespace=~"$namespace"', 'workload=~"$workload"')
_ERRORS = 'detected_level=~"error|critical|fatal"'
"""Loki's own label, which it finds in each line (`discover_log_levels`, on by default)."""

_SEARCH = '|~ "(?i)$search"'
_SHIPPED = (
    " Lines are in Loki where an agent ships them (profile `standalone`) or a shipper does; events, terminations and"
    " changes wherever `loki.url` is set."
)


def logs() -> Dashboard:
    """Return the dashboard."""
    return frame(
        to.LOGS,
        "kubescribe / Logs",
        "Volume by level, error lines, and what happened to the pods beside what they said.",
        Part("Is every line here?", _whole()),
        Part("How much, and how bad", _volume()),
        Part("What they say, and what happened", _lines()),
        variables=[of_namespaces(), of_workloads(), of_text("search", "Search", "A regular expression, any case.")],
        workloads=", ".join(_IN),
        otherwise=[to.page("Live, from the nodes", namespace=to.chosen("namespace"), workload=to.chosen("workload"))],
    )


def _whole() -> list[Panel]:
    return [
        number(
            "Loki answers",
            "Yes while Loki answers agents and aggregator, all of them. While it does not, lines wait in their files;"
            " nothing is lost until the kubelet deletes them (see Time to loss).",
            now(f"min({series('loki_up')})"),
            steps=MUST_BE_ONE,
            base=BAD,
            words=YES_NO,
            links=[to.board("The way to Loki", to.PIPELINE)],
        ),
        number(
            "Lines lost, 1 h",
            "Bytes of log files that went before they were read, as far as they were seen. Each is a Gap that says"
            " whose and when.",
            now(or_zero(f"sum({increase(series('log_gap_bytes_total'), '1h')})")),
            unit="bytes",
            links=[to.gaps()],
        ),
        number(
            "Entries refused, 1 h",
            "Entries that Loki will never take, by agents and aggregator: too long, too old, structured metadata not"
            " allowed. The reason is on Pipeline health.",
            now(or_zero(f"sum({increase(series('loki_rejected_entries_total'), '1h')})")),
            links=[to.board("Reasons", to.PIPELINE)],
        ),
        number(
            "Time to loss",
            "When the kubelet deletes the first line that Loki does not have, at the pace at which both go now, on the"
            " worst node. Not in sight is as it should be: Loki keeps up; else mend Loki before it is 0.",
            now(f"min({series('log_seconds_to_loss')})"),
            unit="s",
            never="not in sight",
            steps=((3600, WARN), (14400, GOOD)),
            base=BAD,
        ),
        number(
            "Not in Loki yet",
            "Bytes of log files on the nodes that Loki does not have. Some is normal; what grows is lag.",
            graphed(f"sum({series('log_lag_bytes')})"),
            unit="bytes",
            steps=((100e6, WARN), (1e9, BAD)),
            decimals=1,
            is_alarm=False,
            has_history=True,
            links=[to.board("The way to Loki", to.PIPELINE)],
        ),
        number(
            "Entries to Loki",
            "Lines, events, terminations and changes that Loki took, a second, from agents and aggregator.",
            graphed(f"sum({per_second(series('loki_sent_entries_total'))})"),
            unit="suffix:/s",
            steps=(),
            decimals=1,
            is_alarm=False,
            has_history=True,
        ),
    ]


def _volume() -> list[Panel]:
    every, trouble = streams(*_IN, LINES), f"{streams(*_IN, LINES)} | {_ERRORS}"
    return [
        graph(
            "Lines counted on the nodes",
            "Lines a minute by level, counted by the agents that ship them (profile `standalone`), exact and without"
            " Loki. What is here and not beside it is on its way, or refused.",
            graphed(f"sum by (level) ({per_minute(series('log_lines_total', *_IN))})", "{{level}}"),
            unit=PER_MINUTE,
            colours=LEVEL_COLOURS,
            is_stacked=True,
        ),
        graph(
            "Lines by level",
            "Lines in Loki by the level that it finds in them. More errors than usual: where does it begin? More of"
            " everything: a loop, a debug switch." + _SHIPPED,
            counted(f"sum by (detected_level) (count_over_time({every} {_SEARCH} [$__auto]))", "{{detected_level}}"),
            colours=LEVEL_COLOURS,
            from_loki=True,
            is_bars=True,
            is_stacked=True,
        ),
        graph(
            "Error lines by workload",
            "Who says them: lines of level error and graver, the ten loudest workloads. Blue lines are changes: the"
            " first one before the rise is the first suspect.",
            counted(
                f"topk(10, sum by (namespace, workload) (count_over_time({trouble} {_SEARCH} [$__auto])))",
                "{{namespace}}/{{workload}}",
            ),
            links=[*to.around("field")],
            from_loki=True,
            is_bars=True,
            is_stacked=True,
        ),
        graph(
            "Events, terminations and changes",
            "What the aggregator tells Loki beside the lines. Terminations in a burst with no change before them came"
            " from outside: load, a neighbour, a node.",
            counted(
                f"sum by (stream) (count_over_time({streams(*_IN, stream='~event|termination|change')} [$__auto]))",
                "{{stream}}",
            ),
            colours={"event": "blue", "termination": "red", "change": "purple"},
            from_loki=True,
            is_bars=True,
            is_stacked=True,
            span=12,
        ),
        graph(
            "Error lines by zone",
            "Error lines by the zone of their node. All in one zone: network or machines there." + _SHIPPED,
            counted(f"sum by (zone) (count_over_time({trouble} [$__auto]))", "{{zone}}"),
            from_loki=True,
            is_bars=True,
            is_stacked=True,
            span=12,
        ),
    ]


def _lines() -> list[Panel]:
    return [
        said(
            "Error lines",
            "Lines of level error and graver that match the search, newest first. Open one for its labels: pod_uid and"
            " trace_id lead on (docs/dashboards.md)." + _SHIPPED,
            lines(f"{streams(*_IN, LINES)} {_SEARCH} | {_ERRORS}", most=300),
            links=[to.page("Live, from the nodes", namespace=to.chosen("namespace"), workload=to.chosen("workload"))],
            span=24,
        ),
        said(
            "Lines, with what happened beside them",
            "All lines that match the search, and between them the events, terminations and changes of the same"
            " workloads, in one order of time." + _SHIPPED,
            lines(f"{streams(*_IN, LINES)} {_SEARCH}"),
            lines(streams(*_IN, stream="~event|termination|change"), most=200),
            links=[to.page("Live, from the nodes", namespace=to.chosen("namespace"), workload=to.chosen("workload"))],
            span=24,
            height=14,
        ),
    ]

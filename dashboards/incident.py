"""Incident overview: the first click of whoever was just woken. What is broken now, what changed before it, where."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import links as to
from dashboards.frame import Panel, Part, frame, of_namespaces
from dashboards.panels import BAD, PER_MINUTE, UNKNOWN, WARN, graph, number, said
from dashboards.queries import graphed, increase, lines, now, or_zero, per_minute, series, streams
from dashboards.tables import Column, ranking

_IN = 'namespace=~"$namespace"'
_SHORT = (
    f"({series('workload_replicas', _IN, state='desired')} - ignoring (state)"
    f" {series('workload_replicas', _IN, state='available')})"
)
_BY_WORKLOAD = "sum by (namespace, workload)"


def incident() -> Dashboard:
    """Return the dashboard."""
    return frame(
        to.INCIDENT,
        "kubescribe / Incident overview",
        "What is broken now, what changed before it, and where. Read it from the top; each number leads on.",
        Part("What is broken now", [*_broken(), *_breaking()]),
        Part("What changed before it", _changed()),
        Part("Where", _where()),
        variables=[of_namespaces()],
        workloads=_IN,
        otherwise=[to.page("What changed and happened", namespace=to.chosen("namespace"))],
    )


def _broken() -> list[Panel]:
    ready = series("node_condition", condition="Ready")
    return [
        number(
            "Nodes not ready",
            "Nodes whose condition Ready is false or unknown. One that is away takes its pods along: go to Infra, then"
            " to the node's changes and Events.",
            now(f"sum({ready} != bool 1)"),
            links=[to.board("Nodes", to.INFRA), to.page("Events of nodes", kind="Node")],
        ),
        number(
            "Workloads short of replicas",
            "Deployments, StatefulSets and DaemonSets with fewer available replicas than desired. During a rollout this"
            " is normal for a minute; the table below has which.",
            now(f"sum({_SHORT} > bool 0)"),
            links=[to.board("Workloads", to.WORKLOAD, "namespace")],
        ),
        number(
            "Pods pending",
            "Pods that do not run yet, or of which nobody knows. Pending for long: no node fits (see right), an image"
            " that is not there, a volume that does not attach. Failed ones stay for days when all is over: see Infra.",
            now(f"sum({series('pods', _IN, phase='~Pending|Unknown')})"),
            steps=((1, WARN), (5, BAD)),
            links=[to.page("Pods that are unwell", kind="Pod", q="Pending", namespace=to.chosen("namespace"))],
        ),
        number(
            "Unschedulable pods",
            "Pods for which the scheduler finds no node: too little room, a selector or taint that nothing matches. The"
            " Event FailedScheduling says which.",
            now(f"sum({series('unschedulable_pods', _IN)})"),
            links=[
                to.page("What the scheduler says", kind="Pod", q="FailedScheduling", namespace=to.chosen("namespace")),
                to.board("Nodes", to.INFRA),
            ],
        ),
        number(
            "Rollouts failed, 1 h",
            "Rollouts that did not get on within their progress deadline. The new version does not become ready: look"
            " at what changed, and at its last words.",
            now(or_zero(f"sum({increase(series('rollouts_total', _IN, outcome='failed'), '1h')})")),
            links=[to.page("What changed", kind="Deployment", namespace=to.chosen("namespace"))],
        ),
        number(
            "Nodes nobody reports",
            "Nodes whose pods neither their own agent nor the cluster agent watches. What they do is not on this"
            " screen: it is unknown, not healthy.",
            now(f"sum({series('node_coverage', state='unreported')})"),
            steps=((1, UNKNOWN),),
            links=[to.board("Can I trust this screen?", to.PIPELINE), to.gaps()],
        ),
    ]


def _breaking() -> list[Panel]:
    ended = "container_terminations_total"
    pulls = series("occurrences_total", _IN, reason="BackOff", type="Normal")
    warnings = series("occurrences_total", _IN, type="Warning")
    return [
        number(
            "OOM kills, 15 min",
            "Containers that were killed for their memory. The limit is too low or the program leaks: compare memory"
            " with the limit on the workload's dashboard, and look for a change of the limit.",
            now(or_zero(f"sum({increase(series(ended, _IN, reason='OOMKilled'), '15m')})")),
            links=[
                to.page("OOM kills", q="OOMKilled", namespace=to.chosen("namespace")),
                to.board("Workloads", to.WORKLOAD, "namespace"),
            ],
            span=6,
        ),
        number(
            "Restarts, 15 min",
            "Times that a container was started again in its pod. The table below has whose; the last words are in"
            " Terminations.",
            now(or_zero(f"sum({increase(series('container_restarts_total', _IN), '15m')})")),
            steps=((1, WARN), (20, BAD)),
            links=[to.page("Back-offs", q="BackOff", namespace=to.chosen("namespace"))],
            span=6,
        ),
        number(
            "Image pulls refused, 15 min",
            "Times that the kubelet backed off pulling an image: a tag that is not there, a registry that refuses, its"
            " rate limit.",
            now(or_zero(f"sum({increase(pulls, '15m')})")),
            links=[to.page("What the kubelet says", q="pulling image", namespace=to.chosen("namespace"))],
            span=6,
        ),
        number(
            "Warnings per minute",
            "Events of type Warning, repetitions included. What matters is whether it rose, and when.",
            graphed(or_zero(f"sum({per_minute(warnings)})")),
            unit=PER_MINUTE,
            steps=((10, WARN), (60, BAD)),
            links=[to.page("What happened", namespace=to.chosen("namespace"))],
            span=6,
            has_history=True,
        ),
    ]


def _changed() -> list[Panel]:
    rollouts = series("rollouts_total", _IN)
    changes = streams(_IN, stream="change")
    return [
        said(
            "Who changed what",
            "Workloads and what configures, scales or exposes them, as somebody or something changed them: `manager` is"
            " the field manager, `changed` the old and the new value. From Loki (stream=change); drawn into every graph"
            " as blue lines.",
            lines(changes, most=200),
            links=[to.page("All changes, other kinds too", namespace=to.chosen("namespace"))],
            span=16,
            height=10,
        ),
        graph(
            "Rollouts",
            "Rollouts by how they ended: superseded is one that the next overtook. Failed ones are the first suspects.",
            graphed(f"sum by (outcome) ({per_minute(rollouts)})", "{{outcome}}"),
            unit=PER_MINUTE,
            colours={"completed": "green", "failed": "red", "superseded": "orange"},
            links=[to.page("Changes of Deployments", kind="Deployment", namespace=to.chosen("namespace"))],
            is_stacked=True,
            is_bars=True,
            height=10,
        ),
    ]


def _where() -> list[Panel]:
    ended = "container_terminations_total"
    oom = series(ended, _IN, reason="OOMKilled")
    crashed = series(ended, _IN, reason="!~Completed|OOMKilled")
    warnings = series("occurrences_total", _IN, type="Warning")
    return [
        ranking(
            "The worst workloads",
            "Workloads by restarts in the time shown. Few restarts and many missing replicas: it does not come up; many"
            " restarts: it comes up and dies.",
            ["namespace", "workload"],
            Column("Restarts", f"round({_BY_WORKLOAD} ({increase(series('container_restarts_total', _IN))})) > 0"),
            Column("OOM kills", f"round({_BY_WORKLOAD} ({increase(oom)})) > 0", steps=((1, BAD),)),
            Column("Crashes", f"round({_BY_WORKLOAD} ({increase(crashed)})) > 0", steps=((1, WARN),)),
            Column("Missing replicas", f"{_BY_WORKLOAD} ({_SHORT}) > 0", steps=((1, BAD),)),
            Column(
                "Failed rollouts",
                f"round({_BY_WORKLOAD} ({increase(series('rollouts_total', _IN, outcome='failed'))})) > 0",
                steps=((1, BAD),),
            ),
            Column(
                "Error lines",
                f"round({_BY_WORKLOAD} ({increase(series('log_lines_total', _IN, level='~error|fatal'))})) > 0",
            ),
            links=to.around(),
            span=14,
        ),
        ranking(
            "The noisiest namespaces",
            "Warnings and unwell pods by namespace: is it one team's, or everybody's? Everybody's is the cluster:"
            " nodes, network, registry.",
            ["namespace"],
            Column("Warnings", f"round(sum by (namespace) ({increase(warnings)})) > 0"),
            Column(
                "Pods pending",
                f"sum by (namespace) ({series('pods', _IN, phase='~Pending|Unknown')}) > 0",
                steps=((1, WARN),),
            ),
            links=[
                to.board("Its workloads", to.WORKLOAD, namespace=to.column("namespace")),
                to.page("What happened in it", namespace=to.column("namespace")),
            ],
            most=10,
            span=10,
        ),
        graph(
            "Warnings by reason",
            "Events of type Warning a minute, by reason. The reason that rose first is nearest to the cause. Those with"
            " none are left out.",
            graphed(f"sum by (reason) ({per_minute(warnings)}) > 0", "{{reason}}"),
            unit=PER_MINUTE,
            links=[to.page("Events of this reason", q=to.label("reason"), namespace=to.chosen("namespace"))],
            span=12,
            is_stacked=True,
        ),
        graph(
            "Ends of containers by reason",
            "Instances of containers that ended, a minute, other than by completing: OOMKilled, Error …;"
            " Unknown is an end that nobody saw.",
            graphed(f"sum by (reason) ({per_minute(series(ended, _IN, reason='!Completed'))}) > 0", "{{reason}}"),
            unit=PER_MINUTE,
            colours={"OOMKilled": "dark-red", "Error": "orange"},
            links=[to.page("What ended so", q=to.label("reason"), namespace=to.chosen("namespace"))],
            span=12,
            is_stacked=True,
            is_bars=True,
        ),
        said(
            "Terminations and warnings",
            "What died with its exit code, and what Kubernetes warned of, newest first. From Loki (stream=termination,"
            " stream=event). The lines of a pod that died stand beside these on the Logs dashboard.",
            lines(streams(_IN, stream="termination") + ' | exit_code!="0"', most=200),
            lines(streams(_IN, stream="event") + ' | type="Warning"', most=200),
            links=[to.board("Lines beside it", to.LOGS, "namespace")],
            span=24,
            height=10,
        ),
    ]

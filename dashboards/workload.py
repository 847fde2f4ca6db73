"""Namespace and workload: everything about what one team runs, from its replicas to its last words."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import links as to
from dashboards.frame import Panel, Part, frame, of_namespaces, of_workloads
from dashboards.panels import BAD, LEVEL_COLOURS, PER_MINUTE, WARN, ZERO_IS_BETTER, graph, number, said
from dashboards.queries import (
    LINES,
    fullest,
    graphed,
    growth,
    highest,
    increase,
    lines,
    now,
    or_zero,
    peak,
    per_minute,
    per_second,
    series,
    streams,
)
from dashboards.tables import Column, ranking

_IN = ('namespace=~"$namespace"', 'workload=~"$workload"')
_PODS = ('namespace=~"$namespace"', 'pod=~"($workload)-[a-z0-9]+(-[a-z0-9]{5})?"')
"""Usage is told by pod: these are the names that the controllers of a workload give."""

_STANDALONE = (
    " Needs profile `standalone` (or `usage.read: always`); beside other exporters these are theirs to show. Pods are"
    " matched by the names that the workload gives them."
)


def workload() -> Dashboard:
    """Return the dashboard."""
    return frame(
        to.WORKLOAD,
        "kubescribe / Namespace and workload",
        "One namespace or workload: is it whole, what was rolled out, how its containers ended, what it says and uses.",
        Part("Is it whole?", _whole()),
        Part("What happened to it", _happened()),
        Part("What it says", _says()),
        Part("What it uses (profile standalone)", _uses()),
        variables=[of_namespaces(), of_workloads()],
        workloads=", ".join(_IN),
        otherwise=[
            to.page("What changed and happened", namespace=to.chosen("namespace"), q=to.chosen("workload")),
            to.page("Its lines", namespace=to.chosen("namespace"), workload=to.chosen("workload")),
        ],
    )


def _whole() -> list[Panel]:
    def replicas(state: str) -> str:
        return series("workload_replicas", *_IN, state=state)

    ended = "container_terminations_total"
    missing = f"({replicas('desired')} - ignoring (state) {replicas('available')})"
    return [
        number(
            "Replicas missing",
            "Desired but not available. For a minute during a rollout that is normal; longer: the Events below.",
            now(f"sum({missing} > 0) or 0 * sum({replicas('desired')})"),
            links=[to.page("Its pods", kind="Pod", namespace=to.chosen("namespace"))],
        ),
        number(
            "Restarts, 1 h",
            "Times that its containers were started again in their pods.",
            now(or_zero(f"sum({increase(series('container_restarts_total', *_IN), '1h')})")),
            steps=((1, WARN), (10, BAD)),
            links=[to.page("Back-offs", q="BackOff", namespace=to.chosen("namespace"))],
        ),
        number(
            "OOM kills, 1 h",
            "Containers killed for their memory: compare with the limit below.",
            now(or_zero(f"sum({increase(series(ended, *_IN, reason='OOMKilled'), '1h')})")),
            links=[to.page("OOM kills", q="OOMKilled", namespace=to.chosen("namespace"))],
        ),
        number(
            "Rollouts failed, 24 h",
            "Rollouts that did not get on within their progress deadline.",
            now(or_zero(f"sum({increase(series('rollouts_total', *_IN, outcome='failed'), '24h')})")),
            links=[to.page("Changes of Deployments", kind="Deployment", namespace=to.chosen("namespace"))],
        ),
        number(
            "Not yet updated",
            "Replicas of an older template: a rollout is on its way, or stuck.",
            now(
                f"sum({replicas('desired')} - ignoring (state) {replicas('updated')} > 0)"
                f" or 0 * sum({replicas('desired')})"
            ),
            steps=ZERO_IS_BETTER,
        ),
        number(
            "Replicas available",
            "Replicas that serve; the first number has how many do not.",
            now(f"sum({replicas('available')})"),
            steps=(),
            is_alarm=False,
        ),
    ]


def _happened() -> list[Panel]:
    state = series("workload_replicas", *_IN)
    ended = series("container_terminations_total", *_IN)
    crashed = series("container_terminations_total", *_IN, reason="!Completed")
    return [
        graph(
            "Replicas",
            "Replicas by state. desired above available: short; updated below desired: a rollout in progress.",
            graphed(f"sum by (state) ({state})", "{{state}}"),
            colours={"desired": "text", "available": "green", "ready": "blue", "updated": "purple"},
            is_stepped=True,
        ),
        graph(
            "Rollouts",
            "Rollouts a minute by how they ended, so that a step in another graph finds its cause.",
            graphed(
                f"sum by (workload, outcome) ({per_minute(series('rollouts_total', *_IN))}) > 0",
                "{{workload}} {{outcome}}",
            ),
            unit=PER_MINUTE,
            links=[to.page("What changed", q=to.label("workload"), namespace=to.chosen("namespace"))],
            is_bars=True,
            is_stacked=True,
        ),
        graph(
            "Ends of containers",
            "Instances that ended a minute, by workload and reason, completions left out.",
            graphed(
                f"sum by (workload, reason) ({per_minute(crashed)}) > 0",
                "{{workload}} {{reason}}",
            ),
            unit=PER_MINUTE,
            links=[to.page("What ended so", q=to.label("reason"), namespace=to.chosen("namespace"))],
            is_bars=True,
            is_stacked=True,
        ),
        ranking(
            "How its containers ended",
            "Every container by reason, in the time shown. Unknown is an end that nobody saw, or that gave no reason.",
            ["namespace", "workload", "container", "reason"],
            Column(
                "Ends",
                f"round(sum by (namespace, workload, container, reason) ({increase(ended)})) > 0",
                steps=((1, WARN), (5, BAD)),
            ),
            links=to.around(),
            span=10,
        ),
        said(
            "Changes, terminations, warnings",
            "What was changed and by which field manager, what died with which exit code, what Kubernetes warned of;"
            " newest first. From Loki.",
            lines(streams(*_IN, stream="change"), most=200),
            lines(streams(*_IN, stream="termination") + ' | exit_code!="0"', most=200),
            lines(streams(*_IN, stream="event") + ' | type="Warning"', most=200),
            links=[to.page("All of it", namespace=to.chosen("namespace"))],
            span=14,
        ),
    ]


def _says() -> list[Panel]:
    return [
        graph(
            "Lines by level",
            "Lines a minute by level, counted by the agents that ship them (profile `standalone`); right without Loki."
            " A rise of errors after a blue line is that change's.",
            graphed(f"sum by (level) ({per_minute(series('log_lines_total', *_IN))})", "{{level}}"),
            unit=PER_MINUTE,
            colours=LEVEL_COLOURS,
            links=[to.page("Its lines", namespace=to.chosen("namespace"), workload=to.chosen("workload"))],
            height=9,
            is_stacked=True,
        ),
        said(
            "Its error lines",
            "Lines that look like errors (`error`, `fatal`, `panic`, `exception`), newest first, in Loki; shipped by"
            " the agent (profile standalone) or by a shipper through the gateway.",
            lines(streams(*_IN, LINES) + ' |~ "(?i)error|fatal|panic|exception"', most=200),
            links=[to.board("All its lines", to.LOGS, "namespace", "workload")],
            span=16,
        ),
    ]


def _uses() -> list[Panel]:
    by = "sum by (namespace, pod)"
    cpu = series("container_cpu_usage_seconds_total", *_PODS)
    memory = series("container_memory_working_set_bytes", *_PODS)
    limits = series("container_resource_limits", *_PODS, resource="memory")
    received = series("pod_network_receive_bytes_total", *_PODS)
    sent = series("pod_network_transmit_bytes_total", *_PODS)
    pod_links = [
        to.page("What happened to it", namespace=to.label("namespace"), q=to.label("pod")),
        to.page("Its lines", namespace=to.label("namespace"), pod=to.label("pod")),
    ]
    budgets = {"used": "blue", "requested": "green", "limit": "red"}

    def of_pods(expression: str, judged: str, most: int = 10) -> str:
        return highest(f"{by} ({expression})", "namespace, pod", f"{by} ({judged})", most)

    return [
        graph(
            "CPU against requests and limits",
            "Cores that all its pods use, request and may use. At the limit it is throttled: slow, not dead."
            + _STANDALONE,
            graphed(f"sum({per_second(cpu)})", "used"),
            graphed(f"sum({series('container_resource_requests', *_PODS, resource='cpu')})", "requested"),
            graphed(f"sum({series('container_resource_limits', *_PODS, resource='cpu')})", "limit"),
            unit="cores",
            colours=budgets,
        ),
        graph(
            "Memory against requests and limits",
            "Working set of all its pods. What passes a container's limit is killed." + _STANDALONE,
            graphed(f"sum({memory})", "used"),
            graphed(f"sum({series('container_resource_requests', *_PODS, resource='memory')})", "requested"),
            graphed(f"sum({limits})", "limit"),
            unit="bytes",
            colours=budgets,
        ),
        graph(
            "Memory of its fullest pods",
            "Share of its memory limit that a container uses, of the ten pods that come nearest; a saw tooth that ends"
            " at 100 % is a leak." + _STANDALONE,
            graphed(highest(fullest(memory, limits), "namespace, pod", fullest(peak(memory), peak(limits))), "{{pod}}"),
            unit="percentunit",
            steps=((0.9, BAD),),
            links=pod_links,
        ),
        graph(
            "CPU of its busiest pods",
            "Cores of the ten busiest pods: is one of them alone?" + _STANDALONE,
            graphed(of_pods(per_second(cpu), growth(cpu)), "{{pod}}"),
            unit="cores",
            links=pod_links,
            span=12,
        ),
        graph(
            "Network of its busiest pods",
            "Bytes a second of the five pods that receive most, and of the five that send most." + _STANDALONE,
            graphed(of_pods(per_second(received), growth(received), 5), "{{pod}} in"),
            graphed(of_pods(per_second(sent), growth(sent), 5), "{{pod}} out"),
            unit="Bps",
            links=pod_links,
            span=12,
        ),
    ]

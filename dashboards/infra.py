"""Infra: nodes, zones, pods and volumes. Is it the ground, or what stands on it."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import links as to
from dashboards.frame import Panel, Part, frame, of_namespaces, of_nodes
from dashboards.panels import BAD, GOOD, PER_MINUTE, UNKNOWN, WARN, bars, graph, number, states
from dashboards.queries import fullest, graphed, highest, now, peak, per_minute, per_second, series
from dashboards.tables import Column, ranking

_NODE = 'node=~"$node"'
_ONE = "cluster, node"
"""One node: in two clusters of one Prometheus there may be two of one name (addresses are), and a join would fail."""

_IN = 'namespace=~"$namespace"'
_STANDALONE = " Needs profile `standalone` (or `usage.read: always`)."
_MOVED = (
    "Evicted|EvictionThresholdMet|Preempted|TaintManagerEviction|NodeNotReady|NodeHasDiskPressure"
    "|NodeHasInsufficientMemory|SystemOOM|FailedScheduling|FailedMount|FailedAttachVolume"
)
_FULL = ((0.8, WARN), (0.9, BAD))


def infra() -> Dashboard:
    """Return the dashboard."""
    return frame(
        to.INFRA,
        "kubescribe / Infra",
        "Nodes, zones, pods and volumes: is it the ground that is broken, or what stands on it?",
        Part("What is broken now", _broken()),
        Part("Nodes and zones", _nodes()),
        Part("Pods", _pods()),
        Part("Volumes (profile standalone)", _volumes()),
        variables=[of_nodes(), of_namespaces()],
        workloads=_IN,
        otherwise=[to.page("What became of nodes", kind="Node")],
    )


def _broken() -> list[Panel]:
    pressure = series("node_condition", _NODE, condition="~.*Pressure|.*Unavailable")
    file_systems = (
        f"{series('node_filesystem_available_bytes', _NODE)} / {series('node_filesystem_capacity_bytes', _NODE)}"
    )
    volumes = f"{series('volume_available_bytes', _IN)} / {series('volume_capacity_bytes', _IN)}"
    return [
        number(
            "Nodes not ready",
            "Nodes whose kubelet says that it is not ready, or says nothing. Below, since when.",
            now(f"sum({series('node_condition', _NODE, condition='Ready')} != bool 1)"),
            links=[to.page("What became of nodes", kind="Node")],
        ),
        number(
            "Nodes under pressure",
            "Conditions of memory, disk, PIDs or network that are true: the kubelet evicts pods, or will.",
            now(f"sum({pressure} == bool 1)"),
            links=[to.page("Evictions", q="Evicted")],
        ),
        number(
            "Unschedulable pods",
            "Pods for which the scheduler finds no node: too little room, or a selector or taint that nothing matches.",
            now(f"sum({series('unschedulable_pods', _IN)})"),
            links=[to.page("What the scheduler says", kind="Pod", q="FailedScheduling")],
        ),
        number(
            "Full file systems",
            "File systems of nodes with less than 15 % free: the kubelet's own limit, below which it deletes images and"
            " evicts pods." + _STANDALONE,
            now(f"sum({file_systems} < bool 0.15)"),
        ),
        number(
            "Full volumes",
            "Claims with less than 15 % free: make them larger before the program that writes there fails."
            + _STANDALONE,
            now(f"sum({volumes} < bool 0.15)"),
        ),
        number(
            "Nodes",
            "Nodes that exist. A number that falls by itself is the cloud, or the autoscaler, taking them away.",
            now(f"count({series('node_condition', _NODE, condition='Ready')})"),
            steps=(),
            is_alarm=False,
            links=[to.page("What became of nodes", kind="Node")],
        ),
    ]


def _nodes() -> list[Panel]:
    ready = series("node_condition", _NODE, condition="Ready")
    memory = series("node_memory_working_set_bytes", _NODE)
    cpu = per_second(series("node_cpu_usage_seconds_total", _NODE))
    requests = "container_resource_requests"
    of_zone = f"* on ({_ONE}) group_left (zone) max by ({_ONE}, zone) ({series('node_info', _NODE)})"
    by_zone = "sum by (zone)"

    def room(resource: str) -> str:
        return f"max by ({_ONE}) ({series('node_allocatable', _NODE, resource=resource)})"

    def requested(resource: str) -> str:
        return f"sum by ({_ONE}) ({series(requests, _NODE, resource=resource)})"

    return [
        states(
            "Nodes over time",
            "Each node's condition Ready. Unknown: its kubelet does not report; its pods may run, nobody knows. A lane"
            " that ends is a node that was taken away.",
            graphed(f"min by (node) ({ready})", "{{node}}"),
            words={"1": ("ready", GOOD), "0": ("not ready", BAD), "-1": ("unknown", UNKNOWN)},
            links=[to.page("What happened to it", q=to.label("node"))],
            span=12,
        ),
        ranking(
            "Zones",
            "Nodes of each zone, those that are not ready, and what is requested of what they have. One zone alone that"
            " is unwell is the cloud's trouble; one that is full keeps pods waiting that want its volumes.",
            ["zone"],
            Column("Nodes", f"count by (zone) (max by ({_ONE}, zone) ({series('node_info', _NODE)}))"),
            Column("Not ready", f"{by_zone} ((max by ({_ONE}) ({ready}) != bool 1) {of_zone})", steps=((1, BAD),)),
            Column(
                "CPU requested",
                f"{by_zone} ({requested('cpu')} {of_zone}) / {by_zone} ({room('cpu')} {of_zone})",
                "percentunit",
                steps=_FULL,
                is_bar=True,
            ),
            Column(
                "Memory requested",
                f"{by_zone} ({requested('memory')} {of_zone}) / {by_zone} ({room('memory')} {of_zone})",
                "percentunit",
                steps=_FULL,
                is_bar=True,
            ),
            span=12,
            height=8,
        ),
        ranking(
            "The fullest nodes",
            "What is requested and used of what pods may have of each node. Requested near 100 %: nothing more fits."
            " Memory used near 100 %: the kubelet will evict. Used columns need profile `standalone`.",
            ["node", "zone", "instance_type"],
            Column(
                "Memory used",
                _of_info(f"max by ({_ONE}) ({memory}) / {room('memory')}"),
                "percentunit",
                steps=_FULL,
                is_bar=True,
            ),
            Column(
                "Memory requested",
                _of_info(f"{requested('memory')} / {room('memory')}"),
                "percentunit",
                steps=_FULL,
                is_bar=True,
            ),
            Column(
                "CPU used",
                _of_info(f"max by ({_ONE}) ({cpu}) / {room('cpu')}"),
                "percentunit",
                steps=_FULL,
                is_bar=True,
            ),
            Column(
                "CPU requested",
                _of_info(f"{requested('cpu')} / {room('cpu')}"),
                "percentunit",
                steps=_FULL,
                is_bar=True,
            ),
            links=[
                to.page("What happened to it", q=to.column("node")),
                to.board("This node alone", to.INFRA, node=to.column("node")),
            ],
            most=20,
            span=24,
        ),
        graph(
            "File systems of nodes",
            "Share in use of each node's root and image file systems. From 85 % on the kubelet deletes images, then"
            " evicts pods." + _STANDALONE,
            graphed(
                f"1 - {series('node_filesystem_available_bytes', _NODE)}"
                f" / {series('node_filesystem_capacity_bytes', _NODE)}",
                "{{node}} {{filesystem}}",
            ),
            unit="percentunit",
            most=1,
            steps=((0.85, BAD),),
            links=[to.page("What happened to it", q=to.label("node"))],
            span=12,
        ),
        graph(
            "Network of nodes",
            "Bytes a second, received and sent. One node far above the others has a pod that everybody talks to."
            + _STANDALONE,
            graphed(
                f"sum by (node) ({per_second(series('node_network_receive_bytes_total', _NODE))})", "{{node}} received"
            ),
            graphed(
                f"sum by (node) ({per_second(series('node_network_transmit_bytes_total', _NODE))})", "{{node}} sent"
            ),
            unit="Bps",
            span=12,
        ),
    ]


def _of_info(expression: str) -> str:
    """Return *expression*, which is by _ONE, with the node's zone and type."""
    info = f"max by ({_ONE}, zone, instance_type) ({series('node_info', _NODE)})"
    return f"{info} * on ({_ONE}) group_left () ({expression})"


def _pods() -> list[Panel]:
    memory = series("container_memory_working_set_bytes", _IN, _NODE)
    limits = series("container_resource_limits", _IN, _NODE, resource="memory")
    moved = series("occurrences_total", reason=f"~{_MOVED}")
    return [
        graph(
            "Pods by phase",
            "Pods that exist. Pending that stays: no node, no image or no volume; Failed that grows: Jobs, evictions.",
            graphed(f"sum by (phase) ({series('pods', _IN)})", "{{phase}}"),
            colours={
                "Running": "green",
                "Pending": "orange",
                "Failed": "red",
                "Succeeded": "blue",
                "Unknown": "purple",
            },
            links=[to.page("Pods in this phase", kind="Pod", q=to.label("phase"))],
            is_stacked=True,
            is_stepped=True,
        ),
        graph(
            "Disruptions",
            "Events a minute by which the cluster moves, starves or strands pods: evictions, preemptions, nodes that"
            " went, volumes that do not attach.",
            graphed(f"sum by (reason) ({per_minute(moved)}) > 0", "{{reason}}"),
            unit=PER_MINUTE,
            links=[to.page("Events of this reason", q=to.label("reason"))],
            is_stacked=True,
            is_bars=True,
        ),
        bars(
            "Pods nearest to their memory limit",
            "Working set of the pod's container that is nearest to its own limit: at 100 % the kernel kills it. Those"
            " without a limit are not here." + _STANDALONE,
            now(f"topk(10, {fullest(memory, limits)})", "{{pod}}"),
            steps=_FULL,
            links=[
                to.page("What happened to it", namespace=to.label("namespace"), q=to.label("pod")),
                to.page("Its lines", namespace=to.label("namespace"), pod=to.label("pod")),
            ],
        ),
    ]


def _volumes() -> list[Panel]:
    by_claim = "max by (namespace, persistentvolumeclaim)"
    available, capacity = series("volume_available_bytes", _IN), series("volume_capacity_bytes", _IN)
    used = f"1 - {by_claim} ({available}) / {by_claim} ({capacity})"
    return [
        ranking(
            "The fullest volumes",
            "Claims by what is in use. Full in: at the pace of the last six hours; empty where it does not grow. Make a"
            " claim larger before it is full: what writes there fails hard." + _STANDALONE,
            ["namespace", "persistentvolumeclaim"],
            Column("Used", used, "percentunit", steps=_FULL, is_bar=True),
            Column("Size", f"{by_claim} ({capacity})", "bytes", 1),
            Column(
                "Full in",
                f"{by_claim} ({available}) / (-{by_claim} (deriv({available}[6h])) > 0)",
                "s",
                1,
            ),
            Column(
                "Inodes used",
                f"1 - {by_claim} ({series('volume_inodes_free', _IN)}) / {by_claim} ({series('volume_inodes', _IN)})",
                "percentunit",
                steps=_FULL,
            ),
            links=[
                to.page("What happened to it", namespace=to.column("namespace"), q=to.column("persistentvolumeclaim"))
            ],
            span=14,
        ),
        graph(
            "Volumes over time",
            "Share in use of the ten fullest claims. A step up is a program that writes what it did not write before."
            + _STANDALONE,
            graphed(
                highest(
                    used,
                    "namespace, persistentvolumeclaim",
                    f"{by_claim} ({peak(series('volume_used_bytes', _IN))}) / {by_claim} ({peak(capacity)})",
                ),
                "{{namespace}}/{{persistentvolumeclaim}}",
            ),
            unit="percentunit",
            most=1,
            steps=((0.9, BAD),),
            span=10,
            height=9,
        ),
    ]

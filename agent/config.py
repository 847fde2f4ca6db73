"""
The settings of an agent, read once at its start. The parts of the agent have values of their own; app.py converts.

Not the reading: see kubescribe.runtime.sources.
"""

import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from kubescribe.gateway.config import GatewayConfig
from kubescribe.kube.account import own_namespace
from kubescribe.lines.config import PATTERNS, SCRUB_HELP, SCRUB_WHY
from kubescribe.loki.config import LokiConfig
from kubescribe.runtime.logsettings import LogConfig
from kubescribe.runtime.settings import Check, computed, group, setting
from kubescribe.runtime.values import (
    ADDRESS,
    DNS_NAME,
    DURATION,
    FILE,
    FLAG,
    GVKS,
    HTTP_URL,
    PATH,
    SHARE,
    SIZE,
    TEXT,
    HostPort,
    Kind,
    between,
    listed,
    one_of,
    show_duration,
)

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConfig:
    """What is watched, and how it is held against what the API server may have lost."""

    kinds: tuple[str, ...] = setting(
        (),
        GVKS,
        help="Kinds to watch besides the built-in ones, as group/version/Kind.",
        why="the built-in kinds are those that every cluster has, and the operators' that most have",
    )
    redaction: str = setting(
        "balanced",
        one_of("balanced", "strict"),
        help="How env, ConfigMap and annotation values leave the agent: balanced keeps short harmless ones,"
        " strict replaces each by a keyed hash.",
        why="whether a flag changed from false to true is what an incident is about; a credential is hashed in both",
    )
    max_line_bytes: int = setting(
        4 * MIB,
        between(SIZE, 2 * MIB, 64 * MIB),
        help="The longest line of a watch that is read; a longer one is counted, and its stream listed again.",
        why="etcd takes objects of 1.5 MiB by default, JSON and managedFields may double them",
    )
    inactivity_seconds: float = setting(
        85.0,
        between(DURATION, 2.0, 1800.0),
        help="A watch that said nothing for this long, bookmarks included, is opened anew.",
        why="the API server sends a bookmark each minute; a dead connection is otherwise never noticed",
    )
    anti_entropy_seconds: float = setting(
        3600.0,
        between(DURATION, 1.0, 7 * 86_400.0),
        help="An object that has not changed for this long is read again, straight from etcd.",
        why="the API server's watch cache can lose a delete (kubernetes/kubernetes#123072); an hour costs a node of"
        " 110 pods two GETs a minute",
    )
    start_jitter_seconds: float = setting(
        0.0,
        between(DURATION, 0.0, 3600.0),
        help="The first list waits for a random time up to this one.",
        why="one agent has nobody to collide with; 5,000 nodes that list at once queue for seats at the API server",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolConfig:
    """What is kept on disk until the aggregator has committed it."""

    max_bytes: int = setting(
        512 * MIB,
        between(SIZE, MIB // 4, 2**40),
        help="What the spool may take on disk; when it is full, the oldest goes first and a Gap says so.",
        why="15 minutes of 2,000 changes a second fit, and a node notices nothing",
    )
    free_floor: float = setting(
        0.15,
        between(SHARE, 0.0, 0.9),
        help="Below this share of free bytes or inodes on its disk the spool does not grow.",
        why="the kubelet evicts pods at 15 % of free image disk, and a recorder must not be the cause",
    )
    flush_seconds: float = setting(
        0.01,
        between(DURATION, 0.001, 5.0),
        help="A record waits at most this long for others before it is written.",
        why="frames compress better than single records, and 10 ms are not seen",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionConfig:
    """Which of several agents of scope cluster works; the others wait. Of no use to the other scopes."""

    lease_name: str = setting(
        "kubescribe-cluster-agent",
        DNS_NAME,
        help="The name of the Lease that the agent that works holds.",
        why="one Lease a cluster is enough, unless two kubescribes watch it",
    )
    lease_namespace: str = setting(
        computed(own_namespace, "the pod's own namespace, else default"),
        DNS_NAME,
        help="The namespace of the Lease; the agent needs get, create and update on leases there.",
        why="a Role in the own namespace is the least that can be granted",
    )
    identity: str = setting(
        computed(socket.gethostname, "the host name, which is the pod's name"),
        TEXT,
        help="The name of this candidate, different for each.",
        why="a pod's name says which one works in the words of kubectl",
    )
    lease_seconds: float = setting(
        10.0,
        between(DURATION, 1.0, 3600.0),
        help="Another takes over when the Lease has not been renewed for this long; rounded up to whole seconds.",
        why="with it a dead agent is replaced within 15 s, and a slow API server is no reason to change",
    )
    renew_seconds: float = setting(
        2.0,
        between(DURATION, 0.1, 600.0),
        help="How often the Lease is renewed, and how often the others look at it.",
        why="three renewals may fail before the deadline; half a request a second is nothing to an API server",
    )
    deadline_seconds: float = setting(
        7.0,
        between(DURATION, 0.2, 1800.0),
        help="An agent that could not renew the Lease for this long stops working.",
        why="shorter than the Lease, so that one has stopped before another begins",
    )

    def complaint(self) -> str | None:
        """Return what is wrong with the times together."""
        if self.renew_seconds < self.deadline_seconds < self.lease_seconds:
            return None
        return (
            "--election-renew, --election-deadline, --election-lease: each must be shorter than the next, but they are"
            f" {show_duration(self.renew_seconds)}, {show_duration(self.deadline_seconds)},"
            f" {show_duration(self.lease_seconds)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsConfig:
    """The containers' log files of this node."""

    folder: Path = setting(
        Path("/var/log/pods"),
        PATH,
        option="--logs",
        help="The folder where the kubelet keeps the containers' logs.",
        why="the kubelet's own",
    )
    pod_labels: tuple[str, ...] = setting(
        (),
        listed(TEXT, "labels of pods such as team, several separated by commas"),
        help="Labels of pods that every line carries as structured metadata.",
        why="what a label is good for is known only to who set it",
    )
    scrub: tuple[str, ...] = setting((), PATTERNS, help=SCRUB_HELP, why=SCRUB_WHY)
    hold_seconds: float = setting(
        5.0,
        between(DURATION, 0.0, 300.0),
        help="Lines of a pod that is not known yet wait this long, in their file, before they go out under the name"
        " that the file's path gives them.",
        why="a pod is known within a second unless the API server is away",
    )
    first_hold_seconds: float = setting(
        60.0,
        between(DURATION, 0.0, 3600.0),
        help="At the first start on a node, lines wait this long, after --watch-start-jitter and logs.hold, for the"
        " first list of the pods, and after the first welcome of the aggregator for the node's zone; shippers are told"
        " to come again meanwhile.",
        why="names are for ever, and a new installation, or a new node, is known to all of its parts within that",
    )
    backlog_seconds: float = setting(
        3600.0,
        between(DURATION, 0.0, 7 * 86_400.0),
        help="At the very first start, lines that are older than this are left where they are; --profile standalone.",
        why="a node keeps days of lines, and Loki takes none that are an hour behind the newest of their stream",
    )
    count_interval_seconds: float = setting(
        15.0,
        between(DURATION, 0.1, 300.0),
        help="How often the agent tells how many lines there were of each level; --profile standalone.",
        why="Prometheus asks no more often, and each word is a record on the way to the journal",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentGatewayConfig(GatewayConfig):
    """What shippers of this node send to Loki through this agent."""

    listen: HostPort | None = setting(
        None,
        ADDRESS,
        option="--gateway",
        help="Where the agent takes what shippers push (Loki's API and OTLP); it needs --loki.",
        why="only who runs a shipper needs it",
    )
    token_file: Path | None = setting(
        None,
        FILE,
        help="A file with one token a line, each of which a shipper may present.",
        why="without one, only this machine may push",
    )


_BARE_IPV6 = re.compile(r"(https?://)([0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f]*):([0-9]{1,5})")


def _parse_kubelet(text: str) -> str:
    # A pod is told its node's address without brackets (status.hostIP), and a variable cannot add them.
    return HTTP_URL.parse(_BARE_IPV6.sub(r"\1[\2]:\3", text))


KUBELET: Kind[str] = Kind(
    expects="a URL such as https://10.0.1.2:10250", shape="URL", parse=_parse_kubelet, show=HTTP_URL.show
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageConfig:
    """What containers, pods, nodes and volumes use: read from the node's kubelet, or from metrics.k8s.io."""

    read: str = setting(
        "auto",
        one_of("auto", "always", "never"),
        help="Whether usage is read; auto: in the profile standalone only.",
        why="beside cAdvisor's metrics it would be the same numbers twice",
    )
    interval_seconds: float = setting(
        15.0,
        between(DURATION, 1.0, 30.0),
        help="How often; what was not told of for a minute is not exported any more.",
        why="the kubelet measures every 10 to 15 s itself",
    )
    kubelet: str | None = setting(
        None,
        KUBELET,
        help="Where the kubelet of the node is; for the scope node. The other scopes ask metrics.k8s.io.",
        why="https, the node's name and port 10250; the chart gives the node's address",
    )
    kubelet_verify: bool = setting(
        True,
        FLAG,
        help="Whether the kubelet's certificate must be of the cluster's authority; false: any is taken.",
        why="EKS signs them so; a kubelet without serverTLSBootstrap signs its own, and anybody could take its place",
    )

    def is_on(self, profile: str) -> bool:
        """Tell whether usage is read in *profile*."""
        return self.read == "always" or (self.read == "auto" and profile == "standalone")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """Settings of an agent as a whole."""

    data: Path = setting(
        Path("/var/lib/kubescribe"),
        PATH,
        help="The folder of the spool and the resume points; it must survive a restart, and be one agent's alone.",
        why="where a daemon's state belongs",
    )
    kubeconfig: Path | None = setting(
        None,
        PATH,
        help="The kubeconfig whose current context is watched.",
        why="in a cluster the pod's own ServiceAccount, else KUBECONFIG, else ~/.kube/config",
    )
    scope: str = setting(
        "all",
        one_of("node", "cluster", "all"),
        help="What is watched; node: the pods of one node; cluster: whatever has no node, and nodes without an agent;"
        " all: both, with the pods of every node in one watch.",
        why="one agent sees everything; in a cluster of many nodes one watch of all pods is too much for one process",
    )
    node: str = setting(
        "",
        DNS_NAME,
        help="The node whose pods are watched, for the scope node and only for it.",
        why="in a DaemonSet the pod's spec.nodeName is given, by the downward API",
    )
    profile: str = setting(
        "beside",
        one_of("beside", "standalone"),
        help="What the agent does besides watching, as it reports it; beside: it leaves lines and usage to the tools"
        " that are there already; standalone: it is to do everything itself.",
        why="nobody pays for logs twice",
    )
    aggregator: str = setting(
        "http://127.0.0.1:8081",
        HTTP_URL,
        help="Where the aggregator takes the agents' links, without a path.",
        why="an aggregator on the same machine",
    )
    cluster: str = setting(
        "",
        TEXT,
        help="The name of the cluster on every record.",
        why="the name that the kubeconfig gives the cluster; records are kept apart by the cluster's uid, not by it",
    )
    metrics: HostPort = setting(
        HostPort("", 9091),
        ADDRESS,
        help="Where /metrics, /livez and /readyz are served.",
        why="Prometheus and the kubelet come from other addresses; nothing there needs a credential",
    )
    token_file: Path | None = setting(
        None,
        FILE,
        help="The file with the token that is presented to the aggregator; read anew for each connection.",
        why="an aggregator on the same machine asks for none",
    )
    log: LogConfig = group(LogConfig)
    logs: LogsConfig = group(LogsConfig)
    loki: LokiConfig = group(LokiConfig)
    gateway: AgentGatewayConfig = group(AgentGatewayConfig)
    usage: UsageConfig = group(UsageConfig)
    watch: WatchConfig = group(WatchConfig)
    spool: SpoolConfig = group(SpoolConfig)
    election: ElectionConfig = group(ElectionConfig)

    CHECKS: ClassVar[tuple[Check, ...]] = (
        Check(
            ("gateway.listen", "gateway.tokenFile", "loki.url"),
            lambda config: complain_about_gateway(config.gateway, has_loki=config.loki.url is not None),
        ),
        Check(("scope", "node"), lambda config: complain_about_node(config.scope, config.node)),
        Check(
            ("election.lease", "election.renew", "election.deadline"),
            lambda config: config.election.complaint(),
        ),
    )

    @property
    def agent(self) -> str:
        """The name by which the aggregator knows this agent."""
        names = {"node": f"node/{self.node}", "cluster": f"cluster/{self.election.identity}"}
        return names.get(self.scope, self.scope)


def complain_about_node(scope: str, node: str) -> str | None:
    """Return what is wrong when a node is missing, or named where none is meant."""
    if scope == "node" and not node:
        return "--scope node: --node is missing; give the name of the node whose pods are watched"
    if scope != "node" and node:
        return f"--node {node}: the scope {scope} watches no single node; give --scope node, or leave --node out"
    return None


def complain_about_gateway(gateway: AgentGatewayConfig, *, has_loki: bool) -> str | None:
    """Return what is wrong when a gateway has nowhere to send to, or would take lines from anybody."""
    listen = gateway.listen
    if listen is None:
        return None
    if not has_loki:
        return f"--gateway {listen}: --loki is missing; say where what is pushed goes, or leave --gateway out"
    if gateway.token_file is None and not listen.is_loopback:
        return (
            f"--gateway {listen}: other machines reach it and no credential is configured;"
            f" give --gateway-token-file, or listen on 127.0.0.1:{listen.port}"
        )
    return None

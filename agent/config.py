"""
The settings of an agent, read once at its start. The parts of the agent have values of their own; app.py converts.

Not the reading: see kubescribe.runtime.sources.
"""

from dataclasses import dataclass
from pathlib import Path

from kubescribe.runtime.logsettings import LogConfig
from kubescribe.runtime.settings import group, setting
from kubescribe.runtime.values import (
    ADDRESS,
    DURATION,
    FILE,
    GVKS,
    HTTP_URL,
    PATH,
    SHARE,
    SIZE,
    TEXT,
    HostPort,
    between,
    one_of,
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
        one_of("all"),
        help="What is watched; all: the objects of the cluster and the pods of every node.",
        why="one agent sees everything",
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
    watch: WatchConfig = group(WatchConfig)
    spool: SpoolConfig = group(SpoolConfig)

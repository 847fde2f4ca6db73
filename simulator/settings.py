"""What a pretend cluster is told at its start. The one table behind `kubescribe simulate` and `python -m simulator`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """Options of one pretend cluster."""

    port: int = 0
    """Where the API listens on 127.0.0.1; 0 for any free port."""
    nodes: int = 5
    """Nodes of the living cluster."""
    fargate: int = 0
    """Nodes of Fargate of the living cluster, besides; with one pod each, and no DaemonSet's."""
    pods: int = 40
    """Pods of the living cluster, about; and, with a rate, as many more that carry the load."""
    rate: float = 0.0
    """Pod changes a second, besides the living cluster."""
    seed: int = 0
    """Makes what the living cluster does repeatable."""
    replay: Path | None = None
    """Recorded answers to serve instead of a living cluster."""
    loki_port: int | None = None
    """Where the stand-in for Loki listens on 127.0.0.1, 0 for any free port; None for none."""
    logs: Path | None = None
    """Where the containers' log files are written, as in /var/log/pods; None for none."""
    logs_by_node: bool = False
    """Below a folder for each node, so that each may have an agent of its own."""
    log_rate: float = 0.5
    """Lines a second of each container, besides what the stories say; 100 of all at most."""
    log_rotate_seconds: float = 10.0
    """Between two looks at the sizes of the log files, as the kubelet's."""
    log_max_bytes: int = 0
    """The size at which a log file is rotated; 0: what keeps all of them within 100 MB."""
    log_max_files: int = 5
    """Files that are kept of each container, as the kubelet's containerLogMaxFiles."""
    write_kubeconfig: Path | None = None
    """Written once the API listens."""
    data: Path | None = None
    """Keeps etcd across restarts; without it the cluster is forgotten."""
    token: str = ""
    """The bearer token to ask for; by default a random one, kept under data."""
    quiet: bool = False
    """No living cluster: only what tests and load put there."""
    die_with_parent: bool = False
    """End when the process that started this one ends."""
    window_events: int = 20_000
    """Events that a watch cache remembers for each resource."""
    bookmark_seconds: float = 60.0
    """Between bookmarks, as on the real server."""
    watcher_events: int = 50_000
    """Events that a watch may lie behind before it is ended."""
    fresh_wait_seconds: float = 3.0
    """How long a list waits for a watch cache that lags (the real cacher's blockTimeout)."""
    custom_groups: tuple[str, ...] = ()
    """Groups of custom resources that are served: argoproj.io, karpenter.sh."""

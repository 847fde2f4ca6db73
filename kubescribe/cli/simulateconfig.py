"""The settings of `kubescribe simulate`, described for people; the simulator keeps them as values of its own."""

from dataclasses import dataclass
from pathlib import Path

from kubescribe.runtime.logsettings import LogConfig
from kubescribe.runtime.settings import group, setting
from kubescribe.runtime.values import FLAG, NUMBER, PATH, TEXT, WHOLE, between, listed
from simulator.settings import SimulatorSettings

_DEFAULTS = SimulatorSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateConfig:
    """Settings of a pretend cluster, which listens on 127.0.0.1 only."""

    port: int = setting(
        16443,
        between(WHOLE, 0, 65_535),
        has_variable=False,  # Kubernetes sets KUBESCRIBE_PORT for a Service named kubescribe.
        help="The port of the API; 0 for any free one.",
        why="6443 is taken where a real cluster runs, and the same port again lets a client find it after a restart",
    )
    nodes: int = setting(
        _DEFAULTS.nodes, between(WHOLE, 1, 1000), help="Nodes of the cluster.", why="enough for one to go away"
    )
    fargate: int = setting(
        _DEFAULTS.fargate,
        between(WHOLE, 0, 1000),
        help="Nodes of Fargate besides them, with one pod each.",
        why="most clusters have none",
    )
    pods: int = setting(
        _DEFAULTS.pods,
        between(WHOLE, 0, 100_000),
        help="Pods of the cluster, about; with --rate as many again carry the load.",
        why="a small team's applications",
    )
    rate: float = setting(
        _DEFAULTS.rate,
        between(NUMBER, 0.0, 100_000.0),
        help="Pod changes a second besides the stories that the cluster tells.",
        why="the stories are easier to follow alone",
    )
    seed: int = setting(
        _DEFAULTS.seed,
        between(WHOLE, 0, 2**31),
        help="Makes what the cluster does repeatable.",
        why="any number will do",
    )
    data: Path | None = setting(
        None,
        PATH,
        help="The folder of its etcd: with it, a restart goes on with the same uids and versions.",
        why="without it the cluster is forgotten, which is right for a look around",
    )
    logs: Path | None = setting(
        None,
        PATH,
        help="The folder of the containers' log files, at most 100 MB, written as the kubelet does in /var/log/pods.",
        why="nobody's disk is written to unasked",
    )
    logs_by_node: bool = setting(
        False,
        FLAG,
        help="Keep the log files of each node in a folder of its own below --logs, named for the node.",
        why="an agent that sees all nodes reads one folder",
    )
    loki_port: int | None = setting(
        None,
        between(WHOLE, 0, 65_535),
        has_variable=False,  # Kubernetes sets KUBESCRIBE_LOKI_PORT for a Service named kubescribe-loki.
        help="The port of a stand-in for Loki that refuses what Loki refuses and answers queries; 0 for any free one.",
        why="most look at the cluster alone",
    )
    write_kubeconfig: Path | None = setting(
        None,
        PATH,
        help="Where to write a kubeconfig for it, once it listens.",
        why="the credentials of a real cluster must not be overwritten by chance",
    )
    replay: Path | None = setting(
        None,
        PATH,
        help="A folder of recorded answers of an API server to serve instead of a living cluster.",
        why="a living cluster has more to show",
    )
    custom_groups: tuple[str, ...] = setting(
        _DEFAULTS.custom_groups,
        listed(TEXT, "groups such as argoproj.io, several separated by commas"),
        help="Groups of custom resources that are served besides the built-in ones: argoproj.io, karpenter.sh.",
        why="a bare cluster has none",
    )
    log: LogConfig = group(LogConfig)

    def values(self) -> SimulatorSettings:
        """Return what the simulator is told."""
        return SimulatorSettings(
            port=self.port,
            nodes=self.nodes,
            fargate=self.fargate,
            pods=self.pods,
            rate=self.rate,
            seed=self.seed,
            data=self.data,
            logs=self.logs,
            logs_by_node=self.logs_by_node,
            loki_port=self.loki_port,
            write_kubeconfig=self.write_kubeconfig,
            replay=self.replay,
            custom_groups=self.custom_groups,
        )

"""
The settings of `kubescribe up`: those of both daemons, with the defaults of a laptop.

Each group is the daemon's own class, so that a setting is described once.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agent.config import AgentConfig, LogsConfig, SpoolConfig, UsageConfig, WatchConfig
from aggregator.config import AdoptionConfig, AggregatorConfig, FeedConfig, HttpConfig, IngestConfig, StoreConfig
from kubescribe.gateway.config import GatewayConfig
from kubescribe.lines.config import LinesConfig
from kubescribe.loki.config import LokiConfig
from kubescribe.runtime.logsettings import LogConfig
from kubescribe.runtime.settings import Check, computed, group, setting
from kubescribe.runtime.values import ADDRESS, FILE, FLAG, NUMBER, PATH, TEXT, WHOLE, HostPort, between, one_of


def data_home() -> Path:
    """Return the folder for data of this user, as the XDG base directory specification has it."""
    home = os.environ.get("XDG_DATA_HOME", "")
    # The specification: a relative path is invalid and to be ignored.
    return (Path(home) if home.startswith("/") else Path.home() / ".local/share") / "kubescribe"


@dataclass(frozen=True, slots=True, kw_only=True)
class PretendConfig:
    """The pretend cluster of --simulate."""

    nodes: int = setting(
        5, between(WHOLE, 1, 1000), help="Nodes of the pretend cluster.", why="enough for one to go away"
    )
    pods: int = setting(
        40, between(WHOLE, 1, 100_000), help="Pods of the pretend cluster, about.", why="a small team's applications"
    )
    rate: float = setting(
        0.0,
        between(NUMBER, 0.0, 100_000.0),
        help="Changes a second besides the stories that the pretend cluster tells.",
        why="the stories are easier to follow alone",
    )
    seed: int = setting(
        0, between(WHOLE, 0, 2**31), help="Makes what the pretend cluster does repeatable.", why="any number will do"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UpConfig:
    """Settings of an aggregator and an agent in one process."""

    data: Path = setting(
        computed(data_home, "$XDG_DATA_HOME/kubescribe, else ~/.local/share/kubescribe"),
        PATH,
        help="The folder of the journals (one for each cluster), the spools, and the pretend cluster.",
        why="where a user's data belongs",
    )
    simulate: bool = setting(
        False,
        FLAG,
        help="Watch a pretend cluster, run as a child of this process, instead of a real one.",
        why="the current kubeconfig is what somebody wants to watch",
    )
    kubeconfig: Path | None = setting(
        None,
        PATH,
        help="The kubeconfig whose current context is watched.",
        why="KUBECONFIG, else ~/.kube/config, as kubectl does",
    )
    profile: str = setting(
        "standalone",
        one_of("beside", "standalone"),
        help="What the agent does besides watching, as it reports it; beside: it leaves lines and usage to the tools"
        " that are there already; standalone: it is to do everything itself.",
        why="on a laptop nothing else does it",
    )
    cluster: str = setting(
        "",
        TEXT,
        help="The name of the cluster on every record.",
        why="the name that the kubeconfig gives the cluster",
    )
    metrics: HostPort = setting(
        HostPort("127.0.0.1", 9090),
        ADDRESS,
        help="Where /metrics (of both), /livez and /readyz are served.",
        why="on a laptop nobody else scrapes",
    )
    token_file: Path | None = setting(
        None,
        FILE,
        help="A file with one token a line, each of which is accepted on --http and --ingest.",
        why="without one, both listen on loopback only and ask for nothing",
    )
    log: LogConfig = group(LogConfig)
    http: HttpConfig = group(HttpConfig)
    ingest: IngestConfig = group(IngestConfig)
    adoption: AdoptionConfig = group(AdoptionConfig)
    store: StoreConfig = group(StoreConfig)
    feed: FeedConfig = group(FeedConfig)
    logs: LogsConfig = group(LogsConfig)
    loki: LokiConfig = group(LokiConfig)
    gateway: GatewayConfig = group(GatewayConfig)
    usage: UsageConfig = group(UsageConfig)
    watch: WatchConfig = group(WatchConfig)
    spool: SpoolConfig = group(SpoolConfig)
    simulator: PretendConfig = group(PretendConfig)

    CHECKS: ClassVar[tuple[Check, ...]] = (
        *AggregatorConfig.CHECKS,
        Check(
            ("simulate", "kubeconfig"),
            lambda config: (
                "--simulate and --kubeconfig: one watches a pretend cluster, the other a real one; give one of them"
                if config.simulate and config.kubeconfig is not None
                else None
            ),
        ),
    )

    def aggregator(self, data: Path) -> AggregatorConfig:
        """Return the aggregator's part, with its journal in *data*."""
        return AggregatorConfig(
            data=data,
            metrics=self.metrics,
            token_file=self.token_file,
            log=self.log,
            http=self.http,
            ingest=self.ingest,
            adoption=self.adoption,
            store=self.store,
            feed=self.feed,
            logs=LinesConfig(scrub=self.logs.scrub),
            loki=self.loki,
            gateway=self.gateway,
        )

    def agent(self, data: Path, *, aggregator: str, kubeconfig: Path | None) -> AgentConfig:
        """Return the agent's part, with its spool in *data*, for the *aggregator* at this URL."""
        return AgentConfig(
            data=data,
            kubeconfig=kubeconfig,
            aggregator=aggregator,
            profile=self.profile,
            cluster=self.cluster,
            metrics=self.metrics,
            token_file=self.token_file,
            log=self.log,
            watch=self.watch,
            spool=self.spool,
            logs=self.logs,
            loki=self.loki,
            usage=self.usage,
        )

"""
The settings of an aggregator, read once at its start. Its parts have values of their own; app.py converts.

Not the reading: see kubescribe.runtime.sources.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from kubescribe.gateway.config import GatewayConfig
from kubescribe.lines.config import LinesConfig
from kubescribe.loki.config import LokiConfig
from kubescribe.runtime.logsettings import LogConfig
from kubescribe.runtime.settings import Check, group, setting
from kubescribe.runtime.values import (
    ACCOUNTS,
    ADDRESS,
    BASE_PATH,
    DURATION,
    FILE,
    PATH,
    SIZE,
    TEXT,
    WHOLE,
    HostPort,
    Kind,
    between,
    hide_password,
)

MIB = 2**20
HOUR = 3_600.0
DAY = 24 * HOUR


def _parse_store(text: str) -> str:
    if text in ("sqlite", "memory") or (text.startswith("sqlite:///") and len(text) > len("sqlite:///")):
        return text
    raise ValueError


STORE: Kind[str] = Kind(
    expects="sqlite (a file below --data), sqlite:///path/to/file, or memory",
    shape="URL",
    parse=_parse_store,
    show=hide_password,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """The front end, the REST API and the feed, for people."""

    listen: HostPort = setting(
        HostPort("127.0.0.1", 8080),
        ADDRESS,
        option="--http",
        help="Where the front end, the API and the feed are served.",
        why="without a credential only this machine may read; with --token-file any address is allowed",
    )
    base_path: str = setting(
        "",
        BASE_PATH,
        option="--base-path",
        help="The path below which all of it lies, when an ingress shares its host.",
        why="its own host or port",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """What agents send, and how much of it goes into one transaction."""

    listen: HostPort = setting(
        HostPort("127.0.0.1", 8081),
        ADDRESS,
        option="--ingest",
        help="Where agents connect.",
        why="without a credential only this machine may write; with --token-file or --ingest-audience any address is"
        " allowed",
    )
    audience: str = setting(
        "",
        TEXT,
        help="Agents may prove themselves with service account tokens of this audience, which the API server reviews"
        " (TokenReview); empty: with the tokens of --token-file only.",
        why="a laptop has no service accounts; the chart sets it",
    )
    node_accounts: tuple[str, ...] = setting(
        (),
        ACCOUNTS,
        help="The service accounts of node agents; each of their tokens is good for the node of its pod alone.",
        why="nobody is trusted unnamed",
    )
    cluster_accounts: tuple[str, ...] = setting(
        (),
        ACCOUNTS,
        help="The service accounts of the cluster agents.",
        why="nobody is trusted unnamed",
    )
    group_records: int = setting(
        1024,
        between(WHOLE, 1, 1_000_000),
        help="The most records in one transaction.",
        why="an fsync costs as much as a thousand rows; more only takes more memory, and delays what came first",
    )
    waiting_records: int = setting(
        4096,
        between(WHOLE, 1, 10_000_000),
        help="The most records that wait for a transaction; then the links are not read from.",
        why="four transactions, ~15 MiB of pods; what waits longer waits in the spools, on disk",
    )
    window_bytes: int = setting(
        8 * MIB,
        between(SIZE, 1 * MIB, 256 * MIB),
        help="What one agent may send before it is acknowledged.",
        why="keeps a link busy during a commit, and 100 agents below 1 GiB",
    )
    window_batches: int = setting(
        32,
        between(WHOLE, 1, 1024),
        help="How many batches one agent may send before they are acknowledged.",
        why="many small batches cost bookkeeping that bytes do not show",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionConfig:
    """Nodes without an agent of their own: the cluster agent watches their pods."""

    after_seconds: float = setting(
        60.0,
        between(DURATION, 1.0, 86_400.0),
        help="How long a node's agent may be away before the cluster agent watches the node's pods.",
        why="a DaemonSet's pod that is replaced is back within a minute; what happened meanwhile is caught up",
    )
    max_nodes: int = setting(
        200,
        between(WHOLE, 0, 5_000),
        help="The most nodes that are adopted; further ones are shown as unreported, with a Gap for each.",
        why="a watch and a connection for each node are borne by one process",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """The journal."""

    url: str = setting(
        "sqlite",
        STORE,
        option="--store",
        help="Which journal: sqlite, a file in the folder of --data or the one named; memory, which forgets.",
        why="one file without a server, which a volume keeps",
    )
    retention_age: float = setting(
        14 * DAY,
        between(DURATION, HOUR, 3650 * DAY),
        help="How long records are kept; of each living object its last version stays beyond that.",
        why="two weeks reach back over a sprint; an hour at least, since the API server repeats Events for so long",
    )
    retention_bytes: int = setting(
        0,
        SIZE.checked(lambda size: size == 0 or size >= 64 * MIB, f"{SIZE.expects}; 0, or at least 64MiB"),
        help="What the journal may take on the disk; then the oldest records go before their time. 0: no limit.",
        why="the volume's size is not known here, and nothing goes early unasked; three quarters of it are sensible",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedConfig:
    """The live feed."""

    batch_seconds: float = setting(
        0.05,
        between(DURATION, 0.001, 5.0),
        help="Changes are sent to clients together, this long after the first of them.",
        why="nobody sees 50 ms, and 5,000 clients need one frame instead of ten",
    )
    max_clients: int = setting(
        10_000,
        between(WHOLE, 1, 100_000),
        help="The most connections; further ones are refused with 503.",
        why="twice what one core serves without delay",
    )
    buffer_bytes: int = setting(
        256 * MIB,
        between(SIZE, MIB, 64 * 1024 * MIB),
        help="What may wait in memory for slow clients, all together.",
        why="1 MiB for each of 256 slow clients; who needs more goes back to reading the journal",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregatorConfig:
    """Settings of an aggregator as a whole."""

    data: Path = setting(
        Path("/var/lib/kubescribe"),
        PATH,
        help="The folder of the journal; it must survive a restart, and be one aggregator's alone.",
        why="where a daemon's state belongs",
    )
    kubeconfig: Path | None = setting(
        None,
        PATH,
        help="The kubeconfig whose current context reviews the agents' tokens, with --ingest-audience.",
        why="in a cluster the pod's own ServiceAccount, else KUBECONFIG, else ~/.kube/config",
    )
    metrics: HostPort = setting(
        HostPort("", 9090),
        ADDRESS,
        help="Where /metrics, /livez and /readyz are served.",
        why="Prometheus and the kubelet come from other addresses; nothing there needs a credential",
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
    logs: LinesConfig = group(LinesConfig)
    loki: LokiConfig = group(LokiConfig)
    gateway: GatewayConfig = group(GatewayConfig)

    CHECKS: ClassVar[tuple[Check, ...]] = (
        Check(
            ("http.listen", "tokenFile"),
            lambda config: complain_without_credential(
                "--http", config.http.listen, "--token-file", is_given=config.token_file is not None
            ),
        ),
        Check(
            ("ingest.listen", "tokenFile", "ingest.audience"),
            lambda config: complain_without_credential(
                "--ingest",
                config.ingest.listen,
                "--token-file or --ingest-audience",
                is_given=config.token_file is not None or bool(config.ingest.audience),
            ),
        ),
        Check(
            ("ingest.audience", "ingest.nodeAccounts", "ingest.clusterAccounts"),
            lambda config: complain_about_accounts(config.ingest),
        ),
    )


def complain_without_credential(option: str, listen: HostPort, credential: str, *, is_given: bool) -> str | None:
    """Return what is wrong when an address that others reach is served without a credential."""
    if is_given or listen.is_loopback:
        return None
    return (
        f"{option} {listen}: other machines reach it and no credential is configured;"
        f" give {credential}, or listen on 127.0.0.1:{listen.port}"
    )


def complain_about_accounts(ingest: IngestConfig) -> str | None:
    """Return what is wrong when an audience is given and no account may use it, or the other way round."""
    accounts = (*ingest.node_accounts, *ingest.cluster_accounts)
    if ingest.audience and not accounts:
        return "--ingest-audience: nobody may connect; give --ingest-node-accounts and --ingest-cluster-accounts"
    if accounts and not ingest.audience:
        return (
            "--ingest-node-accounts, --ingest-cluster-accounts: --ingest-audience is missing, for which tokens are made"
        )
    if twice := set(ingest.node_accounts) & set(ingest.cluster_accounts):
        return f"{min(twice)}: it is among --ingest-node-accounts and --ingest-cluster-accounts; each scope has its own"
    return None

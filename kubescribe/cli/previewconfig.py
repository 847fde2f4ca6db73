"""The settings of `kubescribe preview`."""

from dataclasses import dataclass
from pathlib import Path

from kubescribe.runtime.logsettings import LogConfig
from kubescribe.runtime.settings import group, setting
from kubescribe.runtime.values import DNS_NAME, PATH, TEXT, listed, one_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewLogsConfig:
    """What the agents would be told of lines."""

    pod_labels: tuple[str, ...] = setting(
        (),
        listed(TEXT, "labels of pods such as team, several separated by commas"),
        help="Labels of pods that every line would carry as structured metadata; what each would cost is said.",
        why="as the agents' own",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewConfig:
    """Settings of one look at a cluster, which reads its pods once and changes nothing."""

    kubeconfig: Path | None = setting(
        None,
        PATH,
        help="The kubeconfig whose current context is looked at.",
        why="in a cluster the pod's own ServiceAccount, else KUBECONFIG, else ~/.kube/config",
    )
    cluster: str = setting(
        "", TEXT, help="The label `cluster` of every stream.", why="the name that the kubeconfig gives the cluster"
    )
    namespaces: tuple[str, ...] = setting(
        (),
        listed(DNS_NAME, "names of namespaces, several separated by commas"),
        option="--namespace",
        help="Only the pods of these namespaces.",
        why="all of them, for which a list of the cluster's pods must be allowed",
    )
    output: str = setting(
        "table",
        one_of("table", "json"),
        help="How the answer is printed: a table for people, JSON for machines.",
        why="somebody wants to read it",
    )
    log: LogConfig = group(LogConfig)
    logs: PreviewLogsConfig = group(PreviewLogsConfig)

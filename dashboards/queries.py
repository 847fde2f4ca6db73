"""
What panels ask: PromQL and LogQL targets, and the selectors that every query begins with.

`cluster` is optional everywhere: our families do not carry it, and `.*`, the value of All, matches a label that is
not there. `installation` is one, the first by default: two that record one cluster tell everything about it twice. The
chart's scrapes add it; where nobody does, the variable has no value, which matches a label that is not there as well.
"""

from grafana_foundation_sdk.builders import loki as loki_builders
from grafana_foundation_sdk.builders import prometheus as prometheus_builders
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.loki import LokiQueryDirection
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Promised = prometheus_builders.Dataquery
Asked = loki_builders.Dataquery

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${prometheus}")
LOKI = DataSourceRef(type_val="loki", uid="${loki}")

LINES = 'stream=~"stdout|stderr"'
"""Lines of containers; the outlet's streams are event, termination and change."""

_PREFIX = "kubescribe_"
_CLUSTER = 'cluster=~"$cluster"'
_INSTALLATION = 'installation=~"$installation"'


def series(family: str, *matchers: str, **labels: str) -> str:
    """
    Return the selector of our *family*, named without its prefix, of the chosen cluster and installation.

    A label is said as `phase="Failed"`, `phase="~Failed|Unknown"`, `phase="!Failed"` or `phase="!~Failed|Unknown"`.
    """
    return _PREFIX + family + _selector((_CLUSTER, _INSTALLATION, *matchers), labels)


def streams(*matchers: str, **labels: str) -> str:
    """Return the selector of Loki's streams, of the chosen cluster; one matcher must refuse the empty value."""
    return _selector((_CLUSTER, *matchers), labels)


def _selector(matchers: tuple[str, ...], labels: dict[str, str]) -> str:
    return f"{{{', '.join((*matchers, *(_matcher(*it) for it in labels.items())))}}}"


def _matcher(name: str, said: str) -> str:
    for mark, operator in (("!~", "!~"), ("!", "!="), ("~", "=~")):
        if said.startswith(mark):
            return f'{name}{operator}"{said.removeprefix(mark)}"'
    return f'{name}="{said}"'


def per_second(selector: str) -> str:
    """Return the rate of a counter over the interval that fits the panel."""
    return f"rate({selector}[$__rate_interval])"


def per_minute(selector: str) -> str:
    """Return a counter's steps a minute: what people say of things that are rarer than one a second."""
    return f"60 * {per_second(selector)}"


def increase(selector: str, over: str = "$__range") -> str:
    """Return by how much a counter grew; a window in words keeps its meaning whatever range is shown."""
    return f"increase({selector}[{over}])"


def highest(expression: str, by: str, judged: str, most: int = 10) -> str:
    """
    Return the *most* series of *expression* that are highest in all the time shown, by what *judged* is at its end.

    `topk` alone chooses anew at each step, and a graph then has every series that was among them once.
    """
    return f"{expression} and on ({by}) topk({most}, {judged})"


def peak(selector: str) -> str:
    """Return the highest value of a gauge in the time shown, the same at each step."""
    return f"max_over_time({selector}[$__range] @ end())"


def growth(selector: str) -> str:
    """Return by how much a counter grew in the time shown, the same at each step."""
    return f"increase({selector}[$__range] @ end())"


def fullest(memory: str, limits: str) -> str:
    """
    Return by pod how near one of its containers is to its own limit.

    The kernel kills by container, and one without a limit beside a sidecar that has one would be far above 100 %.
    """
    by = "max by (namespace, pod, container)"
    return f"max by (namespace, pod) ({by} ({memory}) / {by} ({limits}))"


def or_zero(expression: str) -> str:
    """
    Return *expression*, and 0 where it has no series although the product is there.

    Without the product there is no value at all: what is not known is not shown as well.
    """
    return f"{expression} or 0 * max({series('journal_writable')})"


def or_never(expression: str) -> str:
    """Return *expression*, a time until something happens, and infinity where it does not; nothing as `or_zero`."""
    return f"{expression} or 0 * max({series('journal_writable')}) + Inf"


def graphed(expression: str, legend: str = "") -> Promised:
    """Return a query of a range, for a graph; *legend* names each series by its labels."""
    return prometheus_builders.Dataquery().expr(expression).range().legend_format(legend).datasource(PROMETHEUS)


def now(expression: str, legend: str = "") -> Promised:
    """Return a query of the end of the range, for a number."""
    return prometheus_builders.Dataquery().expr(expression).instant().legend_format(legend).datasource(PROMETHEUS)


def rows(expression: str) -> Promised:
    """Return a query of the end of the range, for the rows of a table."""
    query = prometheus_builders.Dataquery().expr(expression).instant()
    return query.format(PromQueryFormat.TABLE).datasource(PROMETHEUS)


def lines(expression: str, *, most: int = 500) -> Asked:
    """Return a query of lines, newest first."""
    query = loki_builders.Dataquery().expr(expression).query_type("range").max_lines(most).datasource(LOKI)
    return query.direction(LokiQueryDirection.BACKWARD)


def counted(expression: str, legend: str) -> Asked:
    """Return a query of counts of lines over a range."""
    return loki_builders.Dataquery().expr(expression).query_type("range").legend_format(legend).datasource(LOKI)

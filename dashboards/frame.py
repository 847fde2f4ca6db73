"""
What all dashboards share: their variables, their links to each other, and what happened drawn into every graph.

A dashboard is rows of panels; a row that is not needed at first sight is collapsed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    ConstantVariable,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
    TextBoxVariable,
)
from grafana_foundation_sdk.builders.loki import Dataquery as LokiQuery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.links import TAG
from dashboards.queries import LOKI, PROMETHEUS, series, streams

SCHEMA_VERSION = 39
"""The classic schema, as kube-prometheus-stack renders it: what every Grafana from 10 on provisions from a file."""

DEFAULT_URL = "https://kubescribe.example.com/cluster-info"
"""Where our page is, until somebody says: the chart puts the real address into the constant `kubescribe_url`."""

_GRID = 24

Panel = Builder[models.Panel]
Variable = Builder[models.VariableModel]


@dataclass(frozen=True, slots=True)
class Part:
    """A row: its title and its panels."""

    title: str
    panels: Sequence[Panel]
    is_collapsed: bool = False


def frame(
    uid: str,
    title: str,
    description: str,
    *parts: Part,
    variables: Sequence[Variable] = (),
    workloads: str = "",
    otherwise: Sequence[DashboardLink],
    is_annotated: bool = True,
    since: str = "now-1h",
) -> models.Dashboard:
    """
    Return a whole dashboard; *otherwise* is where panels lead that lead nowhere of their own.

    *workloads* are the matchers of Loki's streams whose changes and terminations are drawn; they are drawn at first
    only if *is_annotated*, and can be switched at the top in any case.
    """
    board = (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .refresh("30s")
        .time(since, "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(_others())
        .annotation(_changes(workloads, is_enabled=is_annotated))
        .annotation(_terminations(workloads))
    )
    for variable in (*_sources(), *variables):
        board.with_variable(variable)
    for part in parts:
        _place(board, part)
    return _finished(board.build(), [it.build() for it in otherwise])


def of_namespaces() -> QueryVariable:
    """Return the variable `namespace`."""
    query = f"label_values({series('pods')}, namespace)"
    return _choice("namespace", "Namespace", query).description("The namespaces that are shown.")


def of_workloads() -> QueryVariable:
    """Return the variable `workload`: those of the chosen namespaces."""
    selector = series("workload_replicas", 'namespace=~"$namespace"')
    return _choice("workload", "Workload", f"label_values({selector}, workload)").description(
        "Deployments, StatefulSets and DaemonSets that are shown."
    )


def of_nodes() -> QueryVariable:
    """Return the variable `node`."""
    query = f"label_values({series('node_condition')}, node)"
    return _choice("node", "Node", query).description("The nodes that are shown.")


def of_text(name: str, title: str, description: str) -> TextBoxVariable:
    """Return a variable that somebody types."""
    return TextBoxVariable(name).label(title).description(description).default_value("")


def _choice(name: str, title: str, query: str) -> QueryVariable:
    return (
        _one(name, title, query)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _one(name: str, title: str, query: str) -> QueryVariable:
    """Return a variable with one value, at first the first that there is."""
    return (
        QueryVariable(name)
        .label(title)
        .query({"query": query, "refId": f"{name}-values"})
        .definition(query)
        .datasource(PROMETHEUS)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def _sources() -> list[Variable]:
    everybody = series("build_info").replace("$installation", ".*")
    cluster = _choice("cluster", "Cluster", f"label_values({everybody.replace('$cluster', '.*')}, cluster)")
    return [
        DatasourceVariable("prometheus").label("Prometheus").description("Where our metrics are.").type("prometheus"),
        DatasourceVariable("loki").label("Loki").description("Where lines, events and changes are.").type("loki"),
        cluster.hide(models.VariableHide.HIDE_VARIABLE).description(
            "For a Prometheus of several clusters that labels them; All fits one that does not."
        ),
        _one("installation", "Installation", f"label_values({everybody}, installation)").description(
            "The namespace that kubescribe runs in; one at a time, since two that record one cluster tell it twice."
        ),
        ConstantVariable("kubescribe_url").description("Where our own page is.").value(DEFAULT_URL),
    ]


def _others() -> DashboardLink:
    return (
        DashboardLink("kubescribe")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )


def _changes(workloads: str, *, is_enabled: bool) -> AnnotationQuery:
    # What an autoscaler does follows from load; drawn as well, it would hide what somebody decided.
    expression = streams(*_kept(workloads), stream="change") + ' | manager!="kube-controller-manager"'
    return _drawn("Changes", "blue", expression, "{{kind}} {{name}} {{verb}} by {{manager}}", is_enabled=is_enabled)


def _terminations(workloads: str) -> AnnotationQuery:
    expression = streams(*_kept(workloads), stream="termination") + ' | exit_code!="0"'
    title = "{{workload}}: {{reason}}, exit code {{exit_code}}"
    return _drawn("Terminations", "red", expression, title, is_enabled=False)


def _drawn(name: str, colour: str, expression: str, title: str, *, is_enabled: bool) -> AnnotationQuery:
    # Without a text format the line itself is the text: it is made to be read.
    return (
        AnnotationQuery()
        .name(name)
        .datasource(LOKI)
        .enable(is_enabled)
        .hide(False)
        .icon_color(colour)
        .expr(expression)
        .title_format(title)
        .tag_keys("namespace,workload")
        .target(LokiQuery().expr(expression).query_type("range").max_lines(200).ref_id("Drawn").datasource(LOKI))
    )


def _kept(matchers: str) -> list[str]:
    return [matchers] if matchers else []


def _place(board: Dashboard, part: Part) -> None:
    row = Row(part.title)
    if part.is_collapsed:
        for panel in part.panels:
            row.with_panel(panel)
        board.with_row(row)
        return
    board.with_row(row)
    for panel in part.panels:
        board.with_panel(panel)


def _finished(built: models.Dashboard, otherwise: list[models.DashboardLink]) -> models.Dashboard:
    built.schema_version = SCHEMA_VERSION
    built.version = 1
    for it in built.links or []:
        # The SDK's default hides it in a menu of newer Grafanas; it has no word for the place above the panels.
        it.placement = None  # type: ignore[assignment]
    for number, panel in enumerate(_all(built.panels or []), start=1):
        panel.id_val = number
        for index, target in enumerate(getattr(panel, "targets", None) or []):
            target.ref_id = target.ref_id or "ABCDEFGHIJ"[index]
        if not isinstance(panel, models.RowPanel) and not _leads_on(panel):
            panel.field_config.defaults.links = otherwise
    return built


def _leads_on(panel: models.Panel) -> bool:
    if panel.links or panel.field_config is None or panel.field_config.defaults.links:
        return True
    properties = [it for override in panel.field_config.overrides for it in override.properties]
    return any(it.id_val == "links" and it.value for it in properties)


def _all(panels: Sequence[Any]) -> list[Any]:
    found = []
    for panel in panels:
        found.append(panel)
        if isinstance(panel, models.RowPanel):
            found += panel.panels
    return found

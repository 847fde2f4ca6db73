"""
Where a panel leads on: another of our dashboards, or our own page, at the same time and with the same labels.

The page takes the parameters of `GET changes` (docs/dashboards.md); `workload` or `pod` opens its lines, too. No link
ends at the API: a browser has no token for it, and the page asks for one.
"""

from grafana_foundation_sdk.builders.dashboard import DashboardLink

INCIDENT, WORKLOAD, INFRA = "kubescribe-incident", "kubescribe-workload", "kubescribe-infra"
LOGS, PIPELINE, STORAGE = "kubescribe-logs", "kubescribe-pipeline", "kubescribe-storage"

TAG = "kubescribe"
"""All six have it, and each links to all that have it."""

PAGE = "${kubescribe_url}"
_TIME = "from=${__from:date:iso}&to=${__to:date:iso}"
_KEPT = "&".join(
    ["${__url_time_range}", *(f"${{{it}:queryparam}}" for it in ("prometheus", "loki", "cluster", "installation"))]
)


def label(name: str) -> str:
    """Return what a graph's link says for a label of the series that is pointed at."""
    return f"${{__field.labels.{name}}}"


def column(name: str) -> str:
    """Return what a table's link says for a column of the row that is pointed at."""
    return f"${{__data.fields.{name}}}"


def link(title: str, url: str, *, new_tab: bool = False) -> DashboardLink:
    """Return a link of a panel or of its data."""
    return DashboardLink(title).url(url).target_blank(new_tab)


def chosen(name: str) -> str:
    """
    Return what a link to our page says for a variable: its names, separated by commas, or `.*`.

    The page takes several namespaces as that; several of anything else, and `.*`, as no choice.
    """
    return f"${{{name}:csv}}"


def board(title: str, uid: str, *kept: str, **variables: str) -> DashboardLink:
    """Return a link to another dashboard at the same time: *kept* variables as they are, *variables* set."""
    wanted = [f"${{{name}:queryparam}}" for name in kept]
    wanted += [f"var-{name}={value}" for name, value in variables.items()]
    return link(title, "&".join([f"/d/{uid}?{_KEPT}", *wanted]))


def page(title: str, **parameters: str) -> DashboardLink:
    """Return a link to our own page: what changed and happened in the time shown, about what *parameters* say."""
    wanted = "".join(f"{name}={value}&" for name, value in parameters.items())
    return link(title, f"{PAGE}/?{wanted}{_TIME}", new_tab=True)


def gaps(title: str = "Gaps") -> DashboardLink:
    """Return a link to our page with the gaps of the time shown alone."""
    return page(title, show="gaps")


def live(title: str) -> DashboardLink:
    """Return a link to our page as it is now: who reports, how late, what is unseen."""
    return link(title, f"{PAGE}/", new_tab=True)


def around(of: str = "data") -> list[DashboardLink]:
    """Return the links of something that has a namespace and a workload: in a table (`data`) or a graph (`field`)."""
    value = column if of == "data" else label
    names = {"namespace": value("namespace"), "workload": value("workload")}
    return [
        board("Its dashboard", WORKLOAD, **names),
        page("What changed and happened to it", namespace=names["namespace"], q=names["workload"]),
        page("Its lines", **names),
    ]

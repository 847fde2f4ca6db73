"""Every panel of every dashboard says what it means, asks what can be answered, and leads on."""

import re
from collections import Counter
from collections.abc import Iterator

from promql_parser import parse

from tests.dashboards.conftest import Board

TALL = 24
COUNTER = re.compile(r"kubescribe_\w+_(?:total|bucket)\{")
OURS = re.compile(r"\$\{kubescribe_url\}/(?:\?(?P<query>.*))?")
"""The page, and not the API: a browser that follows a link has no token."""
Panels = list[tuple[str, Board]]


def concrete(expression: str) -> str:
    """The expression as Grafana asks it, everything chosen."""
    for name, value in {"$__rate_interval": "2m", "$__range": "1h", "$__auto": "1m"}.items():
        expression = expression.replace(name, value)
    return re.sub(r"\$\{?\w+\}?", ".*", expression)


def targets(panels: Panels, kind: str) -> Iterator[tuple[str, str]]:
    for uid, panel in panels:
        for target in panel["targets"]:
            if target["datasource"]["type"] == kind:
                yield f"{uid}: {panel['title']}", target["expr"]


def links(panels: Panels) -> Iterator[tuple[str, str]]:
    for uid, panel in panels:
        config = panel.get("fieldConfig", {})
        properties = [it for override in config.get("overrides", []) for it in override["properties"]]
        found = [*panel.get("links", []), *config.get("defaults", {}).get("links", [])]
        for link in [*found, *(link for it in properties if it["id"] == "links" for link in it["value"])]:
            yield f"{uid}: {panel['title']}", link["url"]


def test_each_has_a_title_a_description_a_unit_and_a_source_that_is_a_variable(panels: Panels) -> None:
    for uid, panel in panels:
        where = f"{uid}: {panel['title']}"
        assert len(panel["description"]) > 40, where
        assert panel["fieldConfig"]["defaults"]["unit"], where
        assert panel["datasource"]["uid"] in {"${prometheus}", "${loki}"}, where
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"]), where


def test_titles_and_ids_are_told_apart(boards: list[Board]) -> None:
    for board in boards:
        for name in ("title", "id"):
            assert max(Counter(panel[name] for panel in board["panels"]).values()) == 1, (board["uid"], name)


def test_the_grid_is_full_and_nothing_lies_on_anything(boards: list[Board]) -> None:
    for board in boards:
        cells: Counter[tuple[int, int]] = Counter()
        for panel in board["panels"]:
            at = panel["gridPos"]
            assert at["x"] + at["w"] <= TALL, (board["uid"], panel["title"])
            cells.update((at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"]))
        assert max(cells.values()) == 1, board["uid"]
        bottom = max(y for _, y in cells) + 1
        assert len(cells) == TALL * bottom, f"{board['uid']} has holes"


def test_no_wall_of_panels_and_the_first_row_is_numbers(boards: list[Board]) -> None:
    for board in boards:
        shown = [panel for panel in board["panels"] if panel["type"] != "row"]
        assert len(shown) <= 27, board["uid"]
        assert all(panel["type"] == "stat" for panel in shown[:6]), board["uid"]


def test_every_expression_parses_with_the_cluster_optional(panels: Panels) -> None:
    for where, expression in targets(panels, "prometheus"):
        parse(concrete(expression))
        selectors = re.findall(r"kubescribe_\w+(\{[^}]*\})?", expression)
        assert all('cluster=~"$cluster", installation=~"$installation"' in it for it in selectors), where


def test_a_counter_stands_under_rate_or_increase_only(panels: Panels) -> None:
    for where, expression in targets(panels, "prometheus"):
        for match in COUNTER.finditer(expression):
            assert re.search(r"(rate|increase)\($", expression[: match.start()]), where


def test_a_rate_in_a_graph_takes_the_interval_of_the_graph(panels: Panels) -> None:
    for uid, panel in panels:
        if panel["type"] == "timeseries":
            for target in panel["targets"]:
                found = re.findall(r"\brate\(.*?\}\[([^\]]+)\]", target["expr"])
                assert set(found) <= {"$__rate_interval"}, f"{uid}: {panel['title']}"


def test_the_ten_highest_are_the_same_at_each_step(panels: Panels) -> None:
    for uid, panel in panels:
        if panel["type"] == "timeseries":
            for target in panel["targets"]:
                if "topk" in target["expr"] and target["datasource"]["type"] == "prometheus":
                    judged = target["expr"].partition("topk")[2]
                    assert judged.count("@ end()") == judged.count("kubescribe_"), f"{uid}: {panel['title']}"


def test_a_query_of_loki_has_a_matcher_that_refuses_the_empty_value(panels: Panels) -> None:
    for where, expression in targets(panels, "loki"):
        assert re.search(r'stream="\w+"|stream=~"[\w|]+"', expression), where
        assert 'cluster=~"$cluster"' in expression, where


def test_what_leads_to_our_pages_carries_the_time_and_only_what_they_understand(panels: Panels) -> None:
    page = {"from", "to", "namespace", "kind", "q", "workload", "pod", "show"}
    for where, url in links(panels):
        if match := OURS.fullmatch(url):
            names = [pair.partition("=")[0] for pair in (match["query"] or "").split("&") if pair]
            assert not names or {"from", "to"} <= set(names) <= page, where
            assert len(names) == len(set(names)), where
        else:
            assert "${__url_time_range}" in url, where


def test_links_of_a_dashboard_of_namespaces_keep_the_chosen_ones(panels: Panels) -> None:
    for where, url in links(panels):
        if where.startswith(("kubescribe-incident", "kubescribe-workload")) and (match := OURS.fullmatch(url)):
            words = match["query"] or "show="
            assert "namespace=" in words or "kind=Node" in words or "show=" in words, where


def test_the_way_to_the_other_dashboards_stands_above_the_panels(boards: list[Board]) -> None:
    for board in boards:
        (others,) = board["links"]
        assert "placement" not in others, "inControlsMenu hides it"
        assert others["keepTime"] is True
        assert others["includeVars"] is True


def test_every_panel_leads_on(panels: Panels) -> None:
    leading = {where for where, _ in links(panels)}

    assert {f"{uid}: {panel['title']}" for uid, panel in panels} - leading == set()

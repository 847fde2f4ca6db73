"""
Panels as this product draws them: one function a kind, the same looks everywhere.

Each panel has a title, a description (what it means, and what to do) and a unit. Numbers have thresholds; where 0 is
good, one is not.
"""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import bargauge, common, logs, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    LineInterpolation,
    LogsSortOrder,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardRangeMapOptions,
    DashboardSpecialValueMapOptions,
    DynamicConfigValue,
    FieldColorModeId,
    RangeMap,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from dashboards.queries import LOKI, PROMETHEUS, Asked, Promised

GOOD, WARN, BAD, UNKNOWN, CALM = "green", "orange", "red", "purple", "blue"
NOT_KNOWN = "#5a5f6a"
"""Of a number that there is not. Grafana gives it the colour below the first threshold otherwise: green, mostly."""

Words = dict[str, tuple[str, str]]
"""The text and colour of each value."""

YES_NO: Words = {"1": ("yes", GOOD), "0": ("no", BAD)}

NEVER_SECONDS = 100 * 365 * 86400.0
"""A time until something happens that is told as none."""

Step = tuple[float, str]
"""From this value on, this colour."""

ZERO_IS_GOOD: Sequence[Step] = ((1, BAD),)
ZERO_IS_BETTER: Sequence[Step] = ((1, WARN),)
MUST_BE_ONE: Sequence[Step] = ((1, GOOD),)

PER_MINUTE = "suffix:/min"

LEVEL_COLOURS = {
    "fatal": "dark-red",
    "critical": "dark-red",
    "error": "red",
    "warn": "orange",
    "warning": "orange",
    "info": "green",
    "debug": "blue",
    "trace": "light-blue",
    "unknown": "text",
}


def number(
    title: str,
    description: str,
    query: Promised,
    *,
    unit: str = "short",
    steps: Sequence[Step] = ZERO_IS_GOOD,
    base: str = GOOD,
    links: Sequence[DashboardLink] = (),
    span: int = 4,
    decimals: int | None = 0,
    is_alarm: bool = True,
    has_history: bool = False,
    words: Words | None = None,
    never: str = "",
) -> stat.Panel:
    """
    Return one number; an alarm's whole tile takes the colour of its threshold, and none where nothing is known.

    *words* say it in words; *never* is what a time is called that is infinite.
    """
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .with_target(query)
        .unit(unit)
        .no_value("no data")
        .mappings(_worded(words or {}, never))
        .thresholds(thresholds(steps, base))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .color_mode(BigValueColorMode.BACKGROUND if is_alarm else BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA if has_history else BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .data_links(list(links))
        .height(4)
        .span(span)
    )
    return panel if decimals is None else panel.decimals(decimals)


def graph(
    title: str,
    description: str,
    *queries: Promised | Asked,
    unit: str = "short",
    links: Sequence[DashboardLink] = (),
    span: int = 8,
    height: int = 8,
    is_stacked: bool = False,
    is_bars: bool = False,
    steps: Sequence[Step] = (),
    colours: dict[str, str] | None = None,
    from_loki: bool = False,
    most: float | None = None,
    is_stepped: bool = False,
) -> timeseries.Panel:
    """Return lines, areas or bars over time; *colours* are by the name of a series; *steps* draws thresholds."""
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.TABLE).placement(LegendPlacement.BOTTOM)
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(LOKI if from_loki else PROMETHEUS)
        .targets(list(queries))
        .unit(unit)
        .no_value("no data")
        .min(0)
        .draw_style(GraphDrawStyle.BARS if is_bars else GraphDrawStyle.LINE)
        .fill_opacity(70 if is_bars else 12)
        .line_width(1)
        .show_points(VisibilityMode.NEVER)
        .legend(legend.show_legend(True).calcs(["max", "lastNotNull"]).sort_by("Max").sort_desc(True))
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .data_links(list(links))
        .height(height)
        .span(span)
    )
    if is_stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if is_stepped:
        panel.line_interpolation(LineInterpolation.STEP_AFTER)
    if most is not None:
        panel.max(most)
    if steps:
        panel.thresholds(thresholds(steps, "transparent"))
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    for name, colour in (colours or {}).items():
        panel.override_by_name(name, [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})])
    return panel


def bars(
    title: str,
    description: str,
    query: Promised,
    *,
    unit: str = "percentunit",
    steps: Sequence[Step],
    most: float = 1,
    links: Sequence[DashboardLink] = (),
    span: int = 8,
    height: int = 8,
) -> bargauge.Panel:
    """Return one bar a series, against a limit."""
    return (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .with_target(query)
        .unit(unit)
        .no_value("no data")
        .min(0)
        .max(most)
        .thresholds(thresholds(steps, GOOD))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .display_mode(BarGaugeDisplayMode.BASIC)
        .orientation(VizOrientation.HORIZONTAL)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .data_links(list(links))
        .height(height)
        .span(span)
    )


def states(
    title: str,
    description: str,
    query: Promised,
    *,
    words: Words,
    links: Sequence[DashboardLink] = (),
    span: int = 12,
    height: int = 8,
) -> statetimeline.Panel:
    """Return one lane a series; *words* gives the text and colour of each value."""
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .with_target(query)
        .unit("short")
        .no_value("no data")
        .mappings([_mapping(words)])
        .color_scheme(FieldColor().mode(FieldColorModeId.FIXED).fixed_color("text"))
        .show_value(VisibilityMode.NEVER)
        .merge_values(True)
        .fill_opacity(85)
        .line_width(0)
        .row_height(0.8)
        .legend(legend.show_legend(True))
        .data_links(list(links))
        .height(height)
        .span(span)
    )


def said(
    title: str,
    description: str,
    *queries: Asked,
    links: Sequence[DashboardLink] = (),
    span: int = 12,
    height: int = 9,
    has_labels: bool = False,
) -> logs.Panel:
    """Return lines of Loki, newest first; a click on one shows its labels and where they lead."""
    return (
        logs.Panel()
        .title(title)
        .description(description)
        .datasource(LOKI)
        .targets(list(queries))
        .unit("short")
        .links(list(links))
        .show_time(True)
        .show_labels(has_labels)
        .wrap_log_message(True)
        .enable_log_details(True)
        .sort_order(LogsSortOrder.DESCENDING)
        .height(height)
        .span(span)
    )


def thresholds(steps: Sequence[Step], base: str) -> ThresholdsConfig:
    """Return thresholds: *base* below the first step."""
    config = ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE)
    return config.steps([Threshold(value=None, color=base), *(Threshold(value=v, color=c) for v, c in steps)])


def _mapping(words: Words) -> ValueMapping:
    return ValueMap(options={value: ValueMappingResult(text=text, color=ink) for value, (text, ink) in words.items()})


def _worded(words: Words, never: str) -> list[ValueMapping]:
    nothing = ValueMappingResult(text="no data", color=NOT_KNOWN)
    found: list[ValueMapping] = [
        SpecialValueMap(DashboardSpecialValueMapOptions(match=SpecialValueMatch.NULL_AND_NAN, result=nothing))
    ]
    if words:
        found.append(_mapping(words))
    if never:
        result = ValueMappingResult(text=never, color=GOOD)
        found.append(RangeMap(DashboardRangeMapOptions(from_val=NEVER_SECONDS, to=None, result=result)))
    return found

"""Graphs over time: lines, areas, bars, lanes of states; with thresholds, what happened, a legend that counts."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dashboards.pictures.answers import STEP_SECONDS, Line, Series, named
from dashboards.pictures.canvas import FAINT, PALETTE, TEXT, Box, Canvas, colour
from dashboards.pictures.units import worded

Panel = Mapping[str, Any]
Span = tuple[float, float]
Named = tuple[str, Series]

_ROW = 15
_HAPPENED = {"Changes": "blue", "Terminations": "red"}


def graph(
    canvas: Canvas,
    box: Box,
    panel: Panel,
    found: Sequence[Named],
    *,
    span: Span,
    happened: Mapping[str, Sequence[Line]],
) -> None:
    """Draw the *found* series, with their names, into *box*; *happened* is drawn across, by the annotation's name."""
    defaults = panel["fieldConfig"]["defaults"]
    custom, unit = defaults["custom"], defaults["unit"]
    inks = _inks(panel, [name for name, _ in found])
    rows = min(len(found), max(1, int(box.height * 0.36 / _ROW) - 1))
    axes = canvas.axes(box.within(62, 8, 12, 28 + _ROW * (rows + 1)))
    is_stacked = custom.get("stacking", {}).get("mode") == "normal"
    if custom.get("drawStyle") == "bars":
        _bars(axes, found, inks)
    elif is_stacked:
        _areas(axes, found, inks)
    else:
        _lines(axes, found, inks, is_stepped=custom.get("lineInterpolation") == "stepAfter")
    is_zero = not any(value for _, series in found for _, value in series.points)
    _frame(axes, span, unit, most=defaults.get("max"), is_zero=is_zero)
    if not found:
        axes.text(0.5, 0.5, "no data", color=FAINT, ha="center", transform=axes.transAxes)
    if custom.get("thresholdsStyle"):
        for step in defaults["thresholds"]["steps"][1:]:
            if step["value"] <= axes.get_ylim()[1]:
                axes.axhline(step["value"], color=colour(step["color"]), linewidth=1, linestyle=(0, (5, 3)))
    _draw_happened(axes, happened, span)
    _legend(canvas, box, found, inks, unit=unit, rows=rows)


def lanes(canvas: Canvas, box: Box, panel: Panel, found: Sequence[Named], span: Span) -> None:
    """Draw a lane for each series, in the words and colours of its values."""
    words = {float(value): it for value, it in panel["fieldConfig"]["defaults"]["mappings"][0]["options"].items()}
    axes = canvas.axes(box.within(172, 6, 12, 44))
    axes.grid(visible=False)
    ordered = sorted(
        found, key=lambda it: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", it[0])]
    )
    ordered.reverse()
    for lane, (_, series) in enumerate(ordered):
        for at, value in series.points:
            if value in words:
                width = STEP_SECONDS * 1.04
                axes.broken_barh(
                    [(at, width)], (lane - 0.4, 0.8), facecolors=colour(words[value]["color"]), linewidth=0
                )
    axes.set_yticks(range(len(ordered)), [_short(name) for name, _ in ordered])
    axes.set_ylim(-0.6, max(len(ordered), 1) - 0.4)
    _times(axes, span)
    x = box.x + 12
    for it in words.values():
        canvas.rectangle(Box(x, box.y + box.height - 18, 12, 8), it["color"])
        canvas.text(x + 18, box.y + box.height - 14, it["text"], size=11)
        x += 34 + 7 * len(it["text"])


def _short(name: str) -> str:
    """Return the part of a node's name that tells it from its neighbours."""
    head = name.partition(".")[0]
    return head if len(head) <= 24 else head[:23] + "…"


def _inks(panel: Panel, names: Sequence[str]) -> dict[str, str]:
    fixed = {
        override["matcher"]["options"]: it["value"]["fixedColor"]
        for override in panel["fieldConfig"].get("overrides", [])
        for it in override["properties"]
        if it["id"] == "color"
    }
    free = iter(PALETTE * (len(names) // len(PALETTE) + 1))
    return {name: colour(fixed[name]) if name in fixed else next(free) for name in names}


def _lines(axes: Axes, found: Sequence[Named], inks: Mapping[str, str], *, is_stepped: bool) -> None:
    style = "steps-post" if is_stepped else "default"
    for name, series in found:
        at, values = _columns(series)
        axes.plot(at, values, color=inks[name], linewidth=1.3, drawstyle=style)
        if len(found) <= 6:
            axes.fill_between(
                at, values, color=inks[name], alpha=0.08, linewidth=0, step="post" if is_stepped else None
            )


def _areas(axes: Axes, found: Sequence[Named], inks: Mapping[str, str]) -> None:
    times = sorted({at for _, series in found for at, _ in series.points})
    below = [0.0] * len(times)
    for name, series in found:
        values = dict(series.points)
        top = [base + values.get(at, 0.0) for base, at in zip(below, times, strict=True)]
        axes.fill_between(times, below, top, color=inks[name], alpha=0.25, linewidth=0)
        axes.plot(times, top, color=inks[name], linewidth=1.2)
        below = top


def _bars(axes: Axes, found: Sequence[Named], inks: Mapping[str, str]) -> None:
    heights: dict[float, float] = {}
    for name, series in found:
        at, values = _columns(series)
        base = [heights.get(it, 0.0) for it in at]
        # Back from its moment: what it counts lies before.
        axes.bar(at, values, width=-STEP_SECONDS * 0.85, bottom=base, color=inks[name], linewidth=0, align="edge")
        for it, value in series.points:
            heights[it] = heights.get(it, 0.0) + value


def _columns(series: Series) -> tuple[list[float], list[float]]:
    return [at for at, _ in series.points], [value for _, value in series.points]


def _frame(axes: Axes, span: Span, unit: str, *, most: float | None, is_zero: bool) -> None:
    top = axes.get_ylim()[1] if axes.has_data() else 1.0
    top = most if most is not None else top * 1.05
    if is_zero:
        # Other numbers than 0 would be those that matplotlib makes up.
        axes.set_ylim(0, 1)
        axes.set_yticks([0.0], [worded(0.0, unit)])
        _times(axes, span)
        return
    axes.set_ylim(0, top)
    # Ticks at round numbers of what is written: 8 MiB, not 7.6.
    scale = 1024.0 ** int(math.log(max(top, 1), 1024)) if unit in {"bytes", "Bps"} else 1.0
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(0, top / scale)
    axes.set_yticks([tick * scale for tick in ticks if tick * scale <= top])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: worded(value, unit)))
    _times(axes, span)


def _times(axes: Axes, span: Span) -> None:
    axes.set_xlim(*span)
    every = 60 if span[1] - span[0] < 420 else 180 if span[1] - span[0] < 1500 else 600
    first = -(-span[0] // every) * every
    ticks = [first + every * it for it in range(int((span[1] - first) // every) + 1)]
    axes.set_xticks(ticks, [f"{datetime.fromtimestamp(it, UTC):%H:%M}" for it in ticks])


def _draw_happened(axes: Axes, happened: Mapping[str, Sequence[Line]], span: Span) -> None:
    for name, lines in happened.items():
        ink = colour(_HAPPENED[name])
        for line in lines:
            if span[0] < line.at < span[1]:
                axes.axvline(line.at, color=ink, linewidth=0.6, alpha=0.5, linestyle=(0, (3, 3)))
                axes.plot([line.at], [0], marker="^", color=ink, markersize=3.2, clip_on=False, zorder=5)


def _legend(canvas: Canvas, box: Box, found: Sequence[Named], inks: Mapping[str, str], *, unit: str, rows: int) -> None:
    top = box.y + box.height - 6 - _ROW * (rows + 1) + _ROW / 2
    last, most = box.x + box.width - 12, box.x + box.width - 84
    if not found:
        return
    canvas.text(most, top, "Max ▾", size=10.5, ink=FAINT, align="right")
    canvas.text(last, top, "Last", size=10.5, ink=FAINT, align="right")
    if len(found) > rows:
        canvas.text(box.x + 12, top, f"{rows} of {len(found)} series", size=10.5, ink=FAINT)
    ranked = sorted(found, key=lambda it: -max((value for _, value in it[1].points), default=0.0))
    for index, (name, series) in enumerate(ranked[:rows], start=1):
        y = top + index * _ROW
        canvas.rectangle(Box(box.x + 12, y - 2, 12, 3), inks[name])
        canvas.text(box.x + 30, y, name or "(none)", size=11, room=box.width - 190)
        canvas.text(most, y, worded(max(value for _, value in series.points), unit), size=11, align="right")
        canvas.text(last, y, worded(series.points[-1][1], unit), size=11, ink=TEXT, align="right")


def named_series(panel: Panel, answers: Sequence[Sequence[Series]]) -> list[Named]:
    """Return the series of all targets of *panel* with their names; one name twice gets its number."""
    found: dict[str, Series] = {}
    for target, answer in zip(panel["targets"], answers, strict=True):
        for series in answer:
            name = named(target.get("legendFormat", ""), series.labels)
            unique = name if name not in found else f"{name} ({len(found)})"
            found[unique] = series
    return list(found.items())

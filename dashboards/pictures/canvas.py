"""
A page in pixels, from the top left, in Grafana's dark colours; panels are painted on it, graphs into axes of their own.

Matplotlib is only the brush: no figure is ever shown on a screen.
"""

from io import BytesIO
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from PIL import Image

PAGE, PANEL, EDGE, TEXT, FAINT, GRID = "#111217", "#181b1f", "#2c3235", "#ccccdc", "#8e8e9c", "#2a2d33"
_COLOURS = {
    "green": "#73bf69",
    "orange": "#ff9830",
    "red": "#f2495c",
    "dark-red": "#c4162a",
    "blue": "#5794f2",
    "light-blue": "#8ab8ff",
    "purple": "#b877d9",
    "text": TEXT,
    "transparent": "#00000000",
}
PALETTE = (
    "#73bf69",
    "#f2cc0c",
    "#8ab8ff",
    "#ff780a",
    "#f2495c",
    "#5794f2",
    "#b877d9",
    "#ffa6b0",
    "#96d98d",
    "#c0d8ff",
    "#ffee52",
    "#deb6f2",
    "#e0752d",
    "#6ed0e0",
)
_DPI = 100
_COLOURS_OF_A_FILE = 256
"""A picture of flat colours needs no more, and a file of so few is a third of the size."""


class Box(NamedTuple):
    """A place on the page, in pixels."""

    x: float
    y: float
    width: float
    height: float

    def within(self, left: float, top: float, right: float, bottom: float) -> "Box":
        """Return the box without so much of each side."""
        return Box(self.x + left, self.y + top, self.width - left - right, self.height - top - bottom)


def colour(name: str) -> str:
    """Return a colour of Grafana's by its name, any other as it is."""
    return _COLOURS.get(name, name)


class Canvas:
    """One page."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=PAGE)
        self._agg = FigureCanvasAgg(self._figure)
        self._page = self._figure.add_axes((0, 0, 1, 1))
        self._page.set_xlim(0, width)
        self._page.set_ylim(height, 0)
        self._page.axis("off")

    def rectangle(self, box: Box, face: str, *, alpha: float = 1.0) -> None:
        """Paint a rectangle."""
        patch = Rectangle((box.x, box.y), box.width, box.height, facecolor=to_rgba(colour(face), alpha), linewidth=0)
        self._page.add_patch(patch)

    def panel(self, box: Box, face: str = PANEL) -> None:
        """Paint the ground of a panel."""
        style = "round,pad=0,rounding_size=3"
        patch = FancyBboxPatch(
            (box.x, box.y), box.width, box.height, boxstyle=style, facecolor=colour(face), edgecolor=EDGE, linewidth=0.8
        )
        self._page.add_patch(patch)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 12,
        ink: str = TEXT,
        align: str = "left",
        is_bold: bool = False,
        is_code: bool = False,
        room: float | None = None,
    ) -> None:
        """Write *words* with their middle at *y*; what does not fit into *room* pixels is cut."""
        self._page.text(
            x,
            y,
            _escaped(fitted(words, room, size, is_code=is_code) if room is not None else words),
            fontsize=size * 72 / _DPI,
            color=colour(ink),
            ha=align,
            va="center_baseline",
            fontweight="bold" if is_bold else "normal",
            family="monospace" if is_code else "sans-serif",
        )

    def axes(self, box: Box) -> Axes:
        """Return axes for a graph at *box*."""
        place = (
            box.x / self.width,
            1 - (box.y + box.height) / self.height,
            box.width / self.width,
            box.height / self.height,
        )
        axes = self._figure.add_axes(place, facecolor=PANEL)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.tick_params(colors=FAINT, labelsize=11 * 72 / _DPI, length=0)
        axes.grid(visible=True, color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        return axes

    def png(self) -> bytes:
        """Return the page as a small file."""
        self._agg.draw()  # type: ignore[no-untyped-call]
        pixels = bytes(self._agg.buffer_rgba())  # type: ignore[no-untyped-call]
        image = Image.frombuffer("RGBA", self._agg.get_width_height(), pixels).convert("RGB")
        file = BytesIO()
        image.quantize(_COLOURS_OF_A_FILE, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        return file.getvalue()


def fitted(words: str, room: float, size: float, *, is_code: bool = False) -> str:
    """Return what of *words* fits into *room* pixels, about; what is cut ends in an ellipsis."""
    most = max(1, int(room / (size * (0.645 if is_code else 0.56))))
    return words if len(words) <= most else words[: most - 1] + "…"


def _escaped(words: str) -> str:
    return words.replace("$", r"\$")

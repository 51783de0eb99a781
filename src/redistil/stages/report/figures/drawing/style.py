"""The look of every figure, and how it is written: equal data give equal bytes.

Colours are Okabe and Ito's, told apart by all common kinds of colour vision; dashes and marks
tell the same things apart in grey print.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from redistil.stages.report.numbers.rows import Line
from redistil.stages.report.numbers.statistics import Floats
from redistil.storage.tables import aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999"]
DASHES = ["-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)), (0, (8, 3))]
MARKS = ["o", "s", "^", "D", "v", "P", "X", "<", ">", "*"]
ABOVE, BELOW, INK = "#56B4E9", "#E69F00", "#222222"

_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # each text of an SVG repeats the whole list
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
    "svg.hashsalt": "redistil",  # else every run draws other ids
    "text.parse_math": False,  # a name with two dollar signs is a name
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of the report."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        yield


def panels(count: int, width: float, height: float, across: int) -> tuple["Figure", list["Axes"]]:
    """Return a figure of `count` panels of that size (inches), at most `across` in a row."""
    from matplotlib.figure import Figure

    columns = min(across, count)
    rows = -(-count // columns)
    size = (max(4.0, width * columns), height * rows + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, axes[:count]


def diverging() -> "Colormap":
    """Return colours from below (orange) over white to above (blue), as the LaTeX tables have."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("redistil", [BELOW, "#ffffff", ABOVE])


def pick(values: Sequence[Any], place: int) -> Any:
    """Return the value at a place, beginning again after the last."""
    return values[place % len(values)]


class Intervals(NamedTuple):
    """Values, and how far their intervals reach below and above them."""

    values: Floats
    reach: tuple[Floats, Floats]


def intervals(lines: Sequence[Line], group: str) -> Intervals:
    """Return the values of a group with their intervals."""
    rows = []
    for line in lines:
        on = line.groups[group]
        rows.append((on.value, on.low, on.high))
    value, low, high = np.array(rows).T
    return Intervals(value, (value - low, high - value))


def one_legend(figure: "Figure", axes: Iterable["Axes"], **where: Any) -> None:
    """Name each thing once, areas before lines, for all panels together."""
    named: dict[str, Any] = {}
    for panel in axes:
        handles, labels = panel.get_legend_handles_labels()
        for handle, label in zip(handles, labels, strict=True):
            named.setdefault(label, handle)
    ordered = sorted(named.items(), key=lambda item: hasattr(item[1], "get_linestyle"))
    labels = [label for label, _ in ordered]
    handles = [handle for _, handle in ordered]
    figure.legend(handles, labels, **where)


def note(text: str) -> "Figure":
    """Return a figure that says why there is nothing to show."""
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=(5, 1))
        figure.text(0.5, 0.5, text, ha="center", va="center", color=INK)
    return figure


_DRAWN = re.compile(r' (?:d|x|y)="[^"]*"')  # where an SVG draws something, in points
_FINE = re.compile(r"(\.\d\d)\d+")
_FONT = re.compile(r"font-family: [^;\"]*(?:; )?")
_NAME = re.compile(r' id="[A-Za-z0-9.]+_\d+"')  # of a group; what is drawn again has other names
_TURN = re.compile(r' transform="rotate\(-0 [^"]*"')  # by nothing


def save(figure: "Figure", path: Path) -> None:
    """Write the figure as `path`.svg and `path`.png, without dates or versions in them."""
    silent = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    for kind, metadata in silent.items():
        with aside(path.with_suffix(f".{kind}")) as partial, styled():
            figure.savefig(partial, format=kind, metadata=metadata, dpi=200)
            if kind == "svg":
                slim = _slim(partial.read_text(encoding="utf-8"))
                partial.write_text(slim, encoding="utf-8")


def _slim(svg: str) -> str:
    """Return an SVG that looks the same and is half as large, since a page carries several.

    Places to hundredths of a point, the font named once, no indentation, no names of groups.
    """
    font = _FONT.search(svg)
    svg = _DRAWN.sub(lambda match: _FINE.sub(r"\1", match[0]), svg)
    svg = _NAME.sub("", _TURN.sub("", re.sub(r"\n +", "\n", svg)))
    if font:
        svg = _FONT.sub("", svg).replace("<svg ", f'<svg style="{font[0].rstrip("; ")}" ', 1)
    return svg

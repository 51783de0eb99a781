"""Axes and legends that several figures share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from redistil.stages.report.figures.drawing.style import COLOURS, DASHES, MARKS, pick
from redistil.stages.report.numbers.rows import Line, by_system

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def log_axis(axes: "Axes", low: float, high: float) -> None:
    """Give a log axis round ticks with short names; over less than a factor of 5 it stays linear.

    Matplotlib's own names are formulas, which the report's style does not set.
    """
    if high < 5 * low:
        axes.xaxis.set_major_formatter(lambda value, _: counted(value))
        axes.locator_params(axis="x", nbins=4)
        return
    axes.set_xscale("log")
    ticks = _ticks(low, high)
    axes.set_xticks(ticks, [counted(tick) for tick in ticks])
    axes.minorticks_off()


def _ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times each power of ten in the range; powers alone where that is many."""
    ticks = []
    for power in range(int(np.floor(np.log10(low))), int(np.log10(high)) + 1):
        for multiple in (1, 2, 5):
            tick = multiple * 10.0**power
            if low / 1.2 <= tick <= high * 1.2:
                ticks.append(tick)
    return ticks if len(ticks) < 8 else [tick for tick in ticks if np.log10(tick) % 1 == 0]


def counted(number: float) -> str:
    """Return a count of parameters as papers write it: 17.4M, 561k."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"


def two_keys(axes: "Axes", losses: Sequence[str], marked: Sequence[str], lines: bool) -> None:
    """Name the colours (losses) and the marks (families or students) in the legend, apart."""
    for place, loss in enumerate(losses):
        style = pick(DASHES, place) if lines else "none"
        mark = "none" if lines else "o"
        colour = pick(COLOURS, place)
        axes.plot([], [], color=colour, linestyle=style, marker=mark, label=loss)
    for place, name in enumerate(marked):
        axes.plot([], [], color="#555555", linestyle="none", marker=pick(MARKS, place), label=name)


def first_stage_line(axes: "Axes", leaderboard: Sequence[Line], name: str, group: str) -> None:
    """Draw the first stage as a dashed line across."""
    value = by_system(leaderboard)[name].value(group)
    axes.axhline(value, color="#555555", linestyle="--", linewidth=1, label=f"{name} (first stage)")

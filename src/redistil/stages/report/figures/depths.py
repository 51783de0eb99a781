"""The headline when only the first n candidates are re-ranked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from redistil.stages.report.figures.drawing.axes import first_stage_line
from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.figures.drawing.style import (
    COLOURS,
    DASHES,
    MARKS,
    one_legend,
    panels,
    pick,
    styled,
)
from redistil.stages.report.numbers.rows import best
from redistil.storage.tables import DEPTHS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "The headline measure when only the first n candidates are re-ranked and the others keep their "
    "place behind them: the best student of each group with every loss, mean over seeds. Depth 0 "
    "is the first stage."
)


Values = dict[tuple[str, str, int], float]  # by system, dataset and depth


def draw(given: Given) -> "Figure | str":
    """Return a panel for each group of datasets, of its best student; a line for each loss."""
    if not given.depths:
        return "no sweep of depths given"
    values = _read(given)
    depths = sorted({depth for _, _, depth in values})
    groups = given.study["groups"]
    with styled():
        figure, axes_of = panels(len(groups), 3.4, 2.8, across=3)
        for group, axes in zip(groups, axes_of, strict=True):
            _panel(axes, given, values, depths, group)
        figure.supxlabel("candidates re-ranked", fontsize=9)
        one_legend(figure, axes_of, loc="outside upper center", ncols=4)
    return figure


def _panel(axes: "Axes", given: Given, values: Values, depths: Sequence[int], group: str) -> None:
    """Draw a group: its best student with every loss, and the first stage."""
    leaderboard = given.tables.leaderboard
    line = best(leaderboard, group)
    assert line is not None
    _lines(axes, given, values, depths, group, str(line.student))
    first_stage_line(axes, leaderboard, given.study["grid"]["first_stage"], group)
    axes.set_xticks(range(len(depths)), list(map(str, depths)), fontsize=7.5)
    axes.set_title(f"{group}: {line.student}")
    axes.set_ylabel(given.measure)


def _read(given: Given) -> Values:
    values: Values = {}
    for path in given.depths:
        for row in DEPTHS.read(path).to_pylist():
            values[row["system"], row["dataset"], row["depth"]] = row["value"]
    return values


def _lines(
    axes: "Axes", given: Given, values: Values, depths: Sequence[int], group: str, student: str
) -> None:
    """Draw a student's mean over seeds and datasets at each depth, a line for each loss."""
    grid = given.study["grid"]
    for place, loss in enumerate(grid["losses"]):
        means = []
        for depth in depths:
            at_depth = []
            for seed in grid["seeds"]:
                system = f"{student}/{loss}/{seed}"
                for dataset in given.study["groups"][group]:
                    value = values.get((system, dataset, depth))
                    if value is not None:  # a student may have fewer seeds than the grid
                        at_depth.append(value)
            means.append(float(np.mean(at_depth)) if at_depth else np.nan)
        if np.isnan(means).all():  # a loss may have fewer students than the grid
            continue
        axes.plot(
            range(len(depths)),
            means,
            color=pick(COLOURS, place),
            linestyle=pick(DASHES, place),
            marker=pick(MARKS, place),
            markersize=3.5,
            linewidth=1.2,
            label=loss,
        )

"""The headline when only the first n candidates are re-ranked."""

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
    from matplotlib.figure import Figure

CAPTION = (
    "The headline measure when only the first n candidates are re-ranked and the others keep their "
    "place behind them: the best student of each group with every loss, mean over seeds. Depth 0 "
    "is the first stage."
)


def draw(given: Given) -> "Figure | str":
    """Return a panel for each group of data sets, of its best student; a line for each loss."""
    if not given.depths:
        return "no sweep of depths given"
    values: dict[tuple[str, str, int], float] = {}
    for path in given.depths:
        for row in DEPTHS.read(path).to_pylist():
            values[row["system"], row["dataset"], row["depth"]] = row["value"]
    ticks = sorted({depth for _, _, depth in values})
    study, leaderboard = given.study, given.tables.leaderboard
    grid, groups = study["grid"], study["groups"]
    with styled():
        figure, axes_of = panels(len(groups), 3.4, 2.8, across=3)
        for (group, datasets), axes in zip(groups.items(), axes_of, strict=True):
            student = best(leaderboard, group)
            assert student is not None
            for place, loss in enumerate(grid["losses"]):
                systems = [f"{student.student}/{loss}/{seed}" for seed in grid["seeds"]]
                means = []
                for depth in ticks:
                    keys = [(name, dataset, depth) for name in systems for dataset in datasets]
                    means.append(np.mean([values.get(key, np.nan) for key in keys]))
                axes.plot(
                    range(len(ticks)),
                    means,
                    color=pick(COLOURS, place),
                    linestyle=pick(DASHES, place),
                    marker=pick(MARKS, place),
                    markersize=3.5,
                    linewidth=1.2,
                    label=loss,
                )
            first_stage_line(axes, leaderboard, grid["first_stage"], group)
            axes.set_xticks(range(len(ticks)), [str(tick) for tick in ticks], fontsize=7.5)
            axes.set_title(f"{group}: {student.student}")
            axes.set_ylabel(given.measure)
        figure.supxlabel("candidates re-ranked", fontsize=9)
        one_legend(figure, axes_of, loc="outside upper center", ncols=4)
    return figure

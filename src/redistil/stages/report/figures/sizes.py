"""The headline by the students' parameters, after Fig. 2 of arXiv 2603.03010."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from redistil.stages.report.figures.drawing.axes import first_stage_line, log_axis, two_keys
from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.figures.drawing.style import (
    COLOURS,
    DASHES,
    MARKS,
    intervals,
    one_legend,
    panels,
    pick,
    styled,
)
from redistil.stages.report.numbers.rows import Line, Size, by_system
from redistil.stages.report.numbers.statistics import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "The headline measure by the students' parameters. Colour is the loss, mark the family of "
    "networks; lines join the sizes of one family, bars are 95 % intervals over queries and seeds."
)


def draw(given: Given) -> "Figure | str":
    """Return the headline by parameters (log axis), a panel for each group of datasets."""
    sizes = given.tables.sizes
    parameters = sorted(size.parameters for size in sizes.values())
    if len(set(parameters)) < 2:
        return "fewer than two students of known size"
    smallest, largest = parameters[0], parameters[-1]
    grid, groups = given.study["grid"], list(given.study["groups"])
    families = _families(sizes)
    with styled():
        figure, axes_of = panels(len(groups), 3.4, 2.8, across=3)
        for group, axes in zip(groups, axes_of, strict=True):
            for place in range(len(grid["losses"])):
                # a little apart, so that intervals do not hide each other
                apart = (largest / smallest) ** (place / 150)
                _lines_of_loss(axes, given, families, group, place, apart)
            first_stage_line(axes, given.tables.leaderboard, grid["first_stage"], group)
            log_axis(axes, smallest, largest)
            axes.set_title(group)
            axes.set_ylabel(given.measure)
        figure.supxlabel("parameters", fontsize=9)
        two_keys(axes_of[0], grid["losses"], list(families), lines=True)
        one_legend(figure, axes_of, loc="outside upper center", ncols=4)
    return figure


def _families(sizes: Mapping[str, Size]) -> dict[str, list[str]]:
    """Return the students of each family, the smallest first."""
    families: dict[str, list[str]] = {}
    for student in sorted(sizes, key=lambda student: sizes[student].parameters):
        families.setdefault(sizes[student].family, []).append(student)
    return families


def _lines_of_loss(
    axes: "Axes",
    given: Given,
    families: Mapping[str, Sequence[str]],
    group: str,
    place: int,
    apart: float,
) -> None:
    """Draw the loss at a place of the grid, a line for each family; apart: a factor of sizes."""
    loss = given.study["grid"]["losses"][place]
    lines = by_system(given.tables.leaderboard)
    for mark, students in enumerate(families.values()):
        parameters, rows = [], []
        for student in students:
            line = lines.get(f"{student}/{loss}")
            if line:  # a loss may have fewer students than the grid
                parameters.append(given.tables.sizes[student].parameters)
                rows.append(line)
        if rows:
            _join(axes, np.array(parameters) * apart, rows, group, place, mark)


def _join(
    axes: "Axes", x: Floats, lines: Sequence[Line], group: str, colour: int, mark: int
) -> None:
    values, reach = intervals(lines, group)
    axes.errorbar(
        x,
        values,
        yerr=reach,
        color=pick(COLOURS, colour),
        linestyle=pick(DASHES, colour),
        marker=pick(MARKS, mark),
        markersize=4,
        linewidth=1.2,
        elinewidth=0.6,
    )

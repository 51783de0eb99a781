"""The headline of every student and loss as grouped bars, after Fig. 1 of arXiv 2603.03010."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.figures.drawing.style import (
    COLOURS,
    HATCHES,
    INK,
    intervals,
    one_legend,
    pick,
    styled,
)
from redistil.stages.report.numbers.rows import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "The headline measure of every loss and student, a panel for each group of data sets, with "
    "95 % intervals over queries and seeds. Lines across are the first stages and the teachers."
)
_BASELINES = {"first stage": "--", "teacher": ":"}


def draw(given: Given) -> "Figure":
    """Return grouped bars, loss x student with intervals, a panel for each group of data sets."""
    from matplotlib.figure import Figure

    study, leaderboard = given.study, given.tables.leaderboard
    grid, groups = study["grid"], list(study["groups"])
    bars_across = len(grid["students"]) * (len(grid["losses"]) + 1)
    width = min(14.0, max(6.5, 3.2 + 0.24 * bars_across))
    with styled():
        figure = Figure(figsize=(width, 2.5 * len(groups) + 0.6), layout="constrained")
        panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
        for axes, group in zip(panels, groups, strict=True):
            _panel(axes, leaderboard, grid, group)
            _baselines(axes, leaderboard, grid["first_stage"], group)
            axes.set_title(group)
            axes.set_ylabel(given.measure)
        panels[-1].set_xticks(range(len(grid["students"])), grid["students"])
        one_legend(figure, panels, loc="outside right upper")
    return figure


def _panel(axes: "Axes", board: Sequence[Line], grid: Mapping[str, Any], group: str) -> None:
    students, losses = grid["students"], grid["losses"]
    lines = {(line.student, line.loss): line for line in board}
    width = 0.84 / len(losses)
    for place, loss in enumerate(losses):
        values, reach = intervals([lines[student, loss] for student in students], group)
        axes.bar(
            np.arange(len(students)) + (place - (len(losses) - 1) / 2) * width,
            values,
            width * 0.92,
            yerr=reach,
            label=loss,
            color=pick(COLOURS, place),
            hatch=pick(HATCHES, place),
            edgecolor="white",
            linewidth=0.3,
            error_kw={"ecolor": INK, "elinewidth": 0.8},
        )
    axes.set_xlim(-0.55, len(students) - 0.45)
    axes.tick_params(axis="x", length=0)


def _baselines(axes: "Axes", board: Sequence[Line], reference: str, group: str) -> None:
    """Draw every first stage and teacher as a line across; what is re-ranked is the darkest."""
    for kind, dashes in _BASELINES.items():
        lines = [line for line in board if line.kind == kind]
        lines.sort(key=lambda line: (line.system != reference, line.system))
        for place, line in enumerate(lines):
            axes.axhline(
                line.value(group),
                label=f"{line.system} ({kind})",
                linestyle=dashes,
                linewidth=1.3,
                color=str(min(0.7, 0.1 + 0.3 * place)),
                zorder=3,
            )

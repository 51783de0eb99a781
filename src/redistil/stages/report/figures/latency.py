"""The headline by the time that one query waits, after the figure of arXiv 2010.02666."""

from typing import TYPE_CHECKING

from redistil.stages.report.figures.drawing.axes import log_axis, two_keys
from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.figures.drawing.style import (
    COLOURS,
    MARKS,
    one_legend,
    panels,
    pick,
    styled,
)
from redistil.stages.report.numbers.rows import taught

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "The headline measure by the median time in which one query is answered, its passages "
    "re-ranked with what a student can encode ahead already stored. Colour is the loss, mark the "
    "student; a line joins the losses of a student, which wait alike. A point is the mean over "
    "seeds."
)


def draw(given: Given) -> "Figure | str":
    """Return the headline by latency, a panel for each group of datasets."""
    waits = {one.student: one.median for one in given.latencies}
    if not waits:
        return "the study does not ask for latency"
    grid, groups = given.study["grid"], list(given.study["groups"])
    passages = given.latencies[0].passages
    with styled():
        figure, axes_of = panels(len(groups), 3.4, 2.8, across=3)
        for group, axes in zip(groups, axes_of, strict=True):
            _panel(axes, given, group, waits)
            axes.set_title(group)
            axes.set_ylabel(given.measure)
            axes.margins(0.1)
            log_axis(axes, min(waits.values()), max(waits.values()))
        figure.supxlabel(f"milliseconds for {passages:,} passages", fontsize=9)
        two_keys(axes_of[0], grid["losses"], grid["students"], lines=False)
        one_legend(figure, axes_of, loc="outside right upper")
    return figure


def _panel(axes: "Axes", given: Given, group: str, waits: dict[str, float]) -> None:
    grid = given.study["grid"]
    students = taught(grid, given.tables.leaderboard)
    for mark, (student, lines) in enumerate(students.items()):
        if student not in waits:
            continue
        values = [line.value(group) for line in lines]
        axes.vlines(waits[student], min(values), max(values), color="#999999", linewidth=0.8)
        for line, value in zip(lines, values, strict=True):
            axes.scatter(
                waits[student],
                value,
                color=pick(COLOURS, grid["losses"].index(line.loss)),
                marker=pick(MARKS, mark),
                s=26,
                zorder=2,
            )

"""The headline by what a training cost."""

from itertools import product
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
from redistil.stages.report.numbers import costs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "The headline measure by what a training cost on the machine that ran it: time, pairs of query "
    "and passage per second, and energy where the machine tells it. Colour is the loss, mark the "
    "student; a point is the mean over seeds. A training that starts from another's weights is "
    "shown with its own cost alone."
)


def draw(given: Given) -> "Figure | str":
    """Return the headline by what training cost."""
    return by_cost(given, "training") or "no cost.json beside the models"


def by_cost(given: Given, work: str) -> "Figure | None":
    """Return the headline by what a work cost, training or reranking; None where nobody knows.

    A row of panels for each group of datasets, a column for each amount that is known. Only
    students are drawn; a point is the mean over seeds.
    """
    spent = [row for row in given.tables.spent if row.kind == "student"]
    amounts = costs.amounts(given.study, spent, work)
    if not amounts:
        return None
    grid, units = given.study["grid"], list(amounts)
    name = work.replace("reranking", "re-ranking")
    panels_of = list(product(given.study["groups"], units))
    with styled():
        figure, axes_of = panels(len(panels_of), 3.4, 2.6, across=len(units))
        for (group, unit), axes in zip(panels_of, axes_of, strict=True):
            _points(axes, given, group, amounts[unit])
            axes.set_xlabel(f"{name} ({unit})")
        two_keys(axes_of[0], grid["losses"], grid["students"], lines=False)
        one_legend(figure, axes_of, loc="outside right upper")
        figure.supxlabel(costs.energy(spent, (work,)), fontsize=8)
    return figure


def _points(axes: "Axes", given: Given, group: str, amount: dict[str, float]) -> None:
    """Draw a group: a point for each student and loss whose amount is known."""
    grid = given.study["grid"]
    for line in given.tables.leaderboard:
        if line.kind == "student" and line.system in amount:
            axes.scatter(
                amount[line.system],
                line.value(group),
                color=pick(COLOURS, grid["losses"].index(line.loss)),
                marker=pick(MARKS, grid["students"].index(line.student)),
                s=26,
            )
    axes.set_title(group)
    axes.set_ylabel(given.measure)
    axes.margins(0.1)
    log_axis(axes, min(amount.values()), max(amount.values()))

"""Every student and loss as a forest plot: seeds, intervals, and the baselines as lines."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.figures.drawing.style import (
    COLOURS,
    INK,
    one_legend,
    panels,
    pick,
    styled,
)
from redistil.stages.report.numbers.rows import Line, of_kind, taught

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "The headline measure of every student and loss, a panel for each group of datasets. A dot is "
    "a seed, the upright stroke their mean. The thick line is the 95 % interval over queries "
    "alone, the thin one over queries and seeds. Lines down are the first stages, "
    "the teachers and the checkpoints of others."
)
_BASELINES = {"first stage": "--", "teacher": ":", "checkpoint": "-."}
_GAP = 0.6  # between students, in rows


def draw(given: Given) -> "Figure | str":
    """Return a panel for each group of datasets, a row for each student and loss."""
    groups, grid = list(given.study["groups"]), given.study["grid"]
    rows = _rows(given)
    if not rows:
        return "no student was trained"
    height = 0.19 * len(rows) + 0.25 * len(grid["students"]) + 0.9  # inches
    with styled():
        figure, axes_of = panels(len(groups), 4.4, height, across=2)
        for place, (group, axes) in enumerate(zip(groups, axes_of, strict=True)):
            _panel(axes, given, rows, group, named=place % 2 == 0)
        one_legend(figure, axes_of, loc="outside upper center", ncols=3)
    return figure


def _panel(axes: "Axes", given: Given, rows: Mapping[float, Line], group: str, named: bool) -> None:
    """Draw a group: the rows at their heights, and the baselines.

    named: whether the rows have names.
    """
    names = []
    for at, line in rows.items():
        names.append(f"{line.student}  {line.loss}" if named else "")
        _row(axes, given, at, line, group)
    _baselines(axes, given.tables.leaderboard, given.study["grid"]["first_stage"], group)
    axes.set_yticks(list(rows), names, fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(rows) + 0.7, -0.7)
    axes.set_title(group)
    axes.set_xlabel(given.measure)


def _rows(given: Given) -> dict[float, Line]:
    """Return the lines of the students by their height: those of one student stand together."""
    rows, at = {}, 0.0
    for lines in taught(given.study["grid"], given.tables.leaderboard).values():
        for line in lines:
            rows[at] = line
            at += 1
        at += _GAP
    return rows


def _seeds(given: Given, line: Line, group: str) -> list[float]:
    """Return a line's value on the group under each seed."""
    datasets = given.study["groups"][group]
    seeds = []
    for seed in given.study["grid"]["seeds"][: line.seeds]:
        total = 0.0
        for dataset in datasets:
            total += given.tables.cells[f"{line.system}/{seed}", dataset, given.measure]
        seeds.append(total / len(datasets))
    return seeds


def _row(axes: "Axes", given: Given, at: float, line: Line, group: str) -> None:
    colour = pick(COLOURS, given.study["grid"]["losses"].index(line.loss))
    seeds, on = _seeds(given, line, group), line.groups[group]
    axes.hlines(at, on.low, on.high, color=colour, linewidth=1)
    axes.hlines(at, on.queries_low, on.queries_high, color=colour, linewidth=3)
    axes.plot(seeds, [at] * len(seeds), "o", color="white", markersize=3.6, markeredgewidth=0.8,
              markeredgecolor=colour)  # fmt: skip
    axes.plot(on.value, at, "|", color=INK, markersize=9, markeredgewidth=1.8)


def _baselines(axes: "Axes", board: Sequence[Line], reference: str, group: str) -> None:
    """Draw every first stage and teacher as a line down; what is re-ranked is the darkest."""
    for kind, dashes in _BASELINES.items():
        lines = of_kind(board, kind)
        lines.sort(key=lambda line: (line.system != reference, line.system))
        for place, line in enumerate(lines):
            axes.axvline(
                line.value(group),
                label=f"{line.system} ({kind})",
                linestyle=dashes,
                linewidth=1.3,
                color=str(min(0.7, 0.1 + 0.3 * place)),
                zorder=0,
            )

"""The leaderboard as pictures: grouped bars, and the main table with its shading."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from redistil.stages.report.figures.style import (
    COLOURS,
    HATCHES,
    INK,
    diverging,
    interval,
    one_legend,
    pick,
    styled,
)
from redistil.stages.report.numbers import typeset
from redistil.stages.report.numbers.entries import Row
from redistil.study.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BASELINES = {"first stage": "--", "teacher": ":"}


def bars(leaderboard: Sequence[Row], study: Study) -> "Figure":
    """Return grouped bars, loss x student with intervals, a panel for each group of data sets.

    After Fig. 1 of arXiv 2603.03010, with the first stages and the teachers as lines across.
    """
    from matplotlib.figure import Figure

    grid, groups = study["grid"], list(study["groups"])
    bars_across = len(grid["students"]) * (len(grid["losses"]) + 1)
    width = min(14.0, max(6.5, 3.2 + 0.24 * bars_across))
    with styled():
        figure = Figure(figsize=(width, 2.5 * len(groups) + 0.6), layout="constrained")
        panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
        for axes, group in zip(panels, groups, strict=True):
            _panel(axes, leaderboard, grid["students"], grid["losses"], group)
            _lines(axes, leaderboard, grid["first_stage"], group)
            axes.set_title(group)
            axes.set_ylabel(study["measures"][0])
        panels[-1].set_xticks(range(len(grid["students"])), grid["students"])
        one_legend(figure, panels, loc="outside right upper")
    return figure


def _panel(
    axes: "Axes", board: Sequence[Row], students: Sequence[str], losses: Sequence[str], group: str
) -> None:
    found = {(row["student"], row["loss"]): row for row in board}
    width = 0.84 / len(losses)
    for place, loss in enumerate(losses):
        rows = [found[student, loss] for student in students]
        value, reach = interval(rows, group)
        axes.bar(
            np.arange(len(students)) + (place - (len(losses) - 1) / 2) * width,
            value,
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


def _lines(axes: "Axes", board: Sequence[Row], reference: str, group: str) -> None:
    """Draw every first stage and teacher as a line across; what is re-ranked is the darkest."""
    for kind, dashes in _BASELINES.items():
        rows = [row for row in board if row["kind"] == kind]
        rows.sort(key=lambda row: (row["system"] != reference, row["system"]))
        for place, row in enumerate(rows):
            axes.axhline(
                row[group],
                label=f"{row['system']} ({kind})",
                linestyle=dashes,
                linewidth=1.3,
                color=str(min(0.7, 0.1 + 0.3 * place)),
                zorder=3,
            )


def shaded(leaderboard: Sequence[Row], study: Study) -> "Figure":
    """Return the main table: students x losses, the best of a column bold, baselines above.

    A cell is shaded by how far it lies above (blue) or below (orange) its column's median.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    sheet = typeset.main(study, leaderboard)
    lines = [row for row in sheet.rows if row is not None]
    rules = [place - number for number, place in enumerate(_places_of_rules(sheet.rows))]
    colours, words = diverging(), sheet.words
    left = 2.9  # cells' widths that the names take
    with styled():
        size = (1.0 * (len(sheet.header) - words + left), 0.22 * len(lines) + 0.7)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.set(xlim=(-left, len(sheet.header) - words), ylim=(len(lines), -1.2))
        axes.set_axis_off()
        for place, name in enumerate(sheet.header[words:]):
            axes.text(place + 0.5, -0.4, name, ha="center", va="center", weight="bold", fontsize=8)
        for height in rules:
            axes.axhline(height, color="#999999", linewidth=0.5)
        for height, row in enumerate(lines):
            axes.text(-left, height + 0.5, row[0].text, va="center")
            axes.text(-left / 2, height + 0.5, row[1].text, va="center")
            for place, cell in enumerate(row[words:]):
                colour = colours(0.5 + cell.shade / 2)
                axes.add_patch(Rectangle((place, height), 1, 1, facecolor=colour, linewidth=0))
                weight = "bold" if cell.bold else "normal"
                middle = (place + 0.5, height + 0.5)
                axes.text(*middle, cell.text, ha="center", va="center", weight=weight)
    return figure


def _places_of_rules(rows: Sequence[Any]) -> list[int]:
    return [place for place, row in enumerate(rows) if row is None]

"""The main table as a figure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.figures.drawing.style import diverging, styled
from redistil.stages.report.numbers.sheets import Printed, Sheet, main

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "The main table: students and losses under the baselines. The best student of a column is "
    "bold; a cell is shaded by how far it lies above (blue) or below (orange) the median of its "
    "column."
)
_LEFT = 2.9  # cells' widths that the names take


def draw(given: Given) -> "Figure":
    """Return the main table: students x losses, the best of a column bold, baselines above."""
    from matplotlib.figure import Figure

    sheet = main(given.study, given.tables.leaderboard)
    rows = [row for row in sheet.rows if row is not None]
    columns = len(sheet.header) - sheet.words
    with styled():
        size = (1.0 * (columns + _LEFT), 0.22 * len(rows) + 0.7)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.set(xlim=(-_LEFT, columns), ylim=(len(rows), -1.2))
        axes.set_axis_off()
        _names_of_columns(axes, sheet.header[sheet.words :])
        for height in _heights_of_rules(sheet):
            axes.axhline(height, color="#999999", linewidth=0.5)
        for height, row in enumerate(rows):
            _row(axes, row, sheet.words, height)
    return figure


def _names_of_columns(axes: "Axes", names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        axes.text(place + 0.5, -0.4, name, ha="center", va="center", weight="bold", fontsize=8)


def _row(axes: "Axes", row: Sequence[Printed], words: int, height: int) -> None:
    """Draw a row: its names, then its cells, which follow the `words` first ones."""
    axes.text(-_LEFT, height + 0.5, row[0].text, va="center")
    axes.text(-_LEFT / 2, height + 0.5, row[1].text, va="center")
    for place, cell in enumerate(row[words:]):
        _cell(axes, cell, place, height)


def _cell(axes: "Axes", cell: Printed, place: int, height: int) -> None:
    from matplotlib.patches import Rectangle

    colour = diverging()(0.5 + cell.shade / 2)
    axes.add_patch(Rectangle((place, height), 1, 1, facecolor=colour, linewidth=0))
    weight = "bold" if cell.bold else "normal"
    axes.text(place + 0.5, height + 0.5, cell.text, ha="center", va="center", weight=weight)


def _heights_of_rules(sheet: Sheet) -> list[int]:
    """Return above how many rows each line of the table stands."""
    heights, rows = [], 0
    for row in sheet.rows:
        if row is None:
            heights.append(rows)
        else:
            rows += 1
    return heights

"""Losses against losses as a matrix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.figures.drawing.style import diverging, panels, styled
from redistil.stages.report.numbers.rows import Verdicts, Versus, of_group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Losses against losses. Colour: by how many points the loss of the row leads over that of the "
    "column, over all students of both. Text: for how many students it is better, the same (not "
    "distinguishable or equivalent) and worse, over queries and seeds, after Holm's correction."
)


def draw(given: Given) -> "Figure | str":
    """Return a panel for each group of datasets: blue leads, orange trails."""
    losses, groups = given.study["grid"]["losses"], list(given.study["groups"])
    versus = given.tables.versus
    if len(losses) < 2:
        return "a single loss: no pair to compare"
    longest_name = max(losses, key=len)
    size = 0.5 * len(losses) + 0.2 + 0.08 * len(longest_name)  # inches
    largest = max(abs(row.difference) for row in versus) or 1.0
    with styled():
        figure, axes_of = panels(len(groups), size + 0.5, size - 0.2, across=3)
        for group, axes in zip(groups, axes_of, strict=True):
            image = _matrix(axes, of_group(versus, group), losses, 100 * largest)
            axes.set_title(group)
        _colour_bar(figure, image, axes_of, f"row less column, {given.measure} in points")
    return figure


def _colour_bar(figure: "Figure", image: Any, axes_of: "Sequence[Axes]", label: str) -> None:
    bar = figure.colorbar(image, ax=axes_of, shrink=0.7, aspect=30, pad=0.02)
    bar.set_label(label)
    bar.outline.set_visible(False)


def _matrix(axes: "Axes", versus: Sequence[Versus], losses: Sequence[str], largest: float) -> Any:
    """Draw every loss against every other, and return the coloured image."""
    lead = np.full((len(losses), len(losses)), np.nan)
    for row in versus:
        one, other = losses.index(row.loss), losses.index(row.against)
        lead[one, other], lead[other, one] = 100 * row.difference, -100 * row.difference
        _write(axes, one, other, row.verdicts)
        _write(axes, other, one, row.verdicts.turned)
    image = axes.imshow(lead, cmap=diverging(), vmin=-largest, vmax=largest)
    _name_losses(axes, losses)
    return image


def _name_losses(axes: "Axes", losses: Sequence[str]) -> None:
    """Name rows and columns, without ticks or a frame."""
    axes.set_xticks(range(len(losses)), losses, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(losses)), losses)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _write(axes: "Axes", row: int, column: int, verdicts: Verdicts) -> None:
    axes.text(column, row, str(verdicts), ha="center", va="center", fontsize=7.5)

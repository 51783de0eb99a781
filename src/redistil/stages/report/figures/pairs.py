"""Losses against losses as a matrix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.figures.drawing.style import diverging, panels, styled
from redistil.stages.report.numbers.rows import Test
from redistil.stages.report.numbers.statistics import BETTER, EQUIVALENT, WORSE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Losses against losses. Colour: by how many points the loss of the row leads over that of the "
    "column, over all students. Text: for how many students it is better, not distinguishable and "
    "worse (paired t-test, Holm's correction). A frame: both were shown to be equivalent within "
    "the study's margin."
)


class Counts(NamedTuple):
    """For how many students one loss is better than another, not told from it, or worse."""

    better: int
    ties: int
    worse: int

    @property
    def mirrored(self) -> "Counts":
        """The counts of the other loss against this one."""
        return Counts(self.worse, self.ties, self.better)


def draw(given: Given) -> "Figure | str":
    """Return the matrix of the study's losses."""
    losses = given.study["grid"]["losses"]
    if len(losses) < 2:
        return "a single loss: no pair to compare"
    return matrix(given.tables.tests, losses, list(given.study["groups"]), given.measure)


def matrix(
    tests: Sequence[Test], losses: Sequence[str], groups: Sequence[str], measure: str
) -> "Figure":
    """Return losses against losses, a panel for each group of data sets.

    Colour: by how many points the loss of the row leads over that of the column, over all students
    (blue leads, orange trails). Text: for how many students it is better, not distinguishable and
    worse. A frame: the two were shown to be equivalent over all students.
    """
    longest_name = max(len(loss) for loss in losses)
    size = 0.5 * len(losses) + 0.2 + 0.08 * longest_name  # inches
    leads = [abs(test.difference) for test in tests if test.family == "loss pairs"]
    largest = max(leads, default=0.0) or 1.0
    with styled():
        figure, axes_of = panels(len(groups), size + 0.5, size - 0.2, across=3)
        for group, axes in zip(groups, axes_of, strict=True):
            here = [test for test in tests if test.group == group]
            image = _matrix(axes, here, losses, 100 * largest)
            axes.set_title(group)
        bar = figure.colorbar(image, ax=axes_of, shrink=0.7, aspect=30, pad=0.02)
        bar.set_label(f"row less column, {measure} in points")
        bar.outline.set_visible(False)
    return figure


def _matrix(axes: "Axes", tests: Sequence[Test], losses: Sequence[str], largest: float) -> Any:
    place = {loss: index for index, loss in enumerate(losses)}
    lead = np.full((len(losses), len(losses)), np.nan)
    for test in tests:
        if test.family == "loss pairs":
            one, other = place[test.system], place[test.against]
            lead[one, other], lead[other, one] = 100 * test.difference, -100 * test.difference
            if test.equivalence == EQUIVALENT:
                _frame(axes, one, other)
                _frame(axes, other, one)
    image = axes.imshow(lead, cmap=diverging(), vmin=-largest, vmax=largest)
    for (left, right), counts in _counts(tests).items():
        _write(axes, place[left], place[right], counts)
        _write(axes, place[right], place[left], counts.mirrored)
    axes.set_xticks(range(len(losses)), losses, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(losses)), losses)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def _frame(axes: "Axes", row: int, column: int) -> None:
    from matplotlib.patches import Rectangle

    corner = (column - 0.44, row - 0.44)
    axes.add_patch(Rectangle(corner, 0.88, 0.88, fill=False, linewidth=1.4))


def _write(axes: "Axes", row: int, column: int, counts: Counts) -> None:
    text = "/".join(map(str, counts))
    axes.text(column, row, text, ha="center", va="center", fontsize=7.5)


def _counts(tests: Sequence[Test]) -> dict[tuple[str, str], Counts]:
    """Return the verdicts of the students, counted, for each pair of losses."""
    verdicts: dict[tuple[str, str], list[str]] = {}
    for test in tests:
        if test.family == "pairs":
            pair = (test.system.partition("/")[2], test.against.partition("/")[2])
            verdicts.setdefault(pair, []).append(test.verdict)
    counts = {}
    for pair, words in verdicts.items():
        better, worse = words.count(BETTER), words.count(WORSE)
        counts[pair] = Counts(better, len(words) - better - worse, worse)
    return counts

"""Our values against the published ones."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.figures.drawing.style import (
    COLOURS,
    MARKS,
    one_legend,
    panels,
    pick,
    styled,
)
from redistil.stages.report.numbers.published import VERDICTS
from redistil.stages.report.numbers.rows import PublishedRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Our values against the published ones, a panel for each measure. On the line both are equal; "
    "colour and mark are the verdict, which docs/protocol.md explains."
)


def draw(given: Given) -> "Figure | str":
    """Return a panel for each measure, a dot for each published value."""
    by_measure: dict[str, list[PublishedRow]] = {}
    for row in given.tables.published:
        by_measure.setdefault(row.measure, []).append(row)
    if not by_measure:
        return "no published value has a counterpart"
    with styled():
        figure, axes_of = panels(len(by_measure), 3.3, 3.3, across=3)
        for (measure, rows), axes in zip(by_measure.items(), axes_of, strict=True):
            _panel(axes, rows)
            axes.set_title(measure)
            axes.set_xlabel("published")
            axes.set_ylabel("ours")
        one_legend(figure, axes_of, loc="outside upper center", ncols=3)
    return figure


def _panel(axes: "Axes", rows: Sequence[PublishedRow]) -> None:
    values = np.array([(row.ours, row.theirs) for row in rows])
    verdicts = np.array([row.verdict for row in rows])
    ends = (float(values.min()) - 0.02, float(values.max()) + 0.02)
    axes.plot(ends, ends, color="#999999", linewidth=0.8, zorder=1)
    for place, verdict in enumerate(VERDICTS):
        ours, theirs = values[verdicts == verdict].T
        if len(ours):
            mark = pick(MARKS, place)
            axes.scatter(
                theirs, ours, 16, pick(COLOURS, place), marker=mark, alpha=0.8, label=verdict
            )
    axes.set(xlim=ends, ylim=ends, aspect="equal")

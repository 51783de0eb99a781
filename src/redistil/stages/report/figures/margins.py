"""Histograms of the teachers' margins, positive less negative."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.figures.drawing.style import COLOURS, DASHES, panels, pick, styled
from redistil.stages.report.numbers.margins import Margins, agreement, margins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "By how much the teachers score a training pair's positive above its negative (raw logits), a "
    "panel for each set of negatives. The legend says how often the positive comes first, and how "
    "often a teacher orders a pair as the first named one does."
)


def draw(given: Given) -> "Figure | str":
    """Return the histograms of every teacher that scored labelled pairs.

    Teachers of one source share a panel. The legend gives how often a teacher puts the positive
    first. It gives how often it and the first named teacher order the pair alike.
    """
    by_source: dict[str, list[Margins]] = {}
    for taught in given.teachers:
        its = margins(taught.teacher, taught.scores, taught.file, taught.negatives)
        if its is not None:
            by_source.setdefault(its.negatives, []).append(its)
    return histograms(by_source) if by_source else "no teacher's scores of labelled pairs given"


def histograms(by_source: Mapping[str, Sequence[Margins]]) -> "Figure":
    """Return a panel for each set of negatives with the margins of its teachers."""
    with styled():
        figure, axes_of = panels(len(by_source), 4.6, 3.0, across=2)
        for (source, teachers), axes in zip(by_source.items(), axes_of, strict=True):
            _panel(axes, source, teachers)
    return figure


def _edges(teachers: Sequence[Margins]) -> list[float]:
    """Return the edges of 60 bins that hold zero and all but the extreme margins."""
    values = np.concatenate([its.values for its in teachers])
    low, high = np.quantile(values, [0.001, 0.999])
    edges: list[float] = np.linspace(min(low, 0), max(high, 0), 61).tolist()
    return edges


def _label(its: Margins, first: Margins) -> str:
    """Return how often a teacher puts the positive first, and orders a pair as the first does."""
    label = f"{its.teacher}: positive first on {its.ordered:.0%}"
    if its is not first:
        label += f", as {first.teacher} on {agreement(first, its):.0%}"
    return label


def _panel(axes: "Axes", source: str, teachers: Sequence[Margins]) -> None:
    edges = _edges(teachers)
    for place, its in enumerate(teachers):
        axes.hist(
            its.values.clip(edges[0], edges[-1]),
            edges,
            histtype="step",
            density=True,
            color=pick(COLOURS, place),
            linestyle=pick(DASHES, place),
            label=_label(its, teachers[0]),
        )
    axes.set_title(f"{source}, {len(teachers[0].values):,} pairs")
    axes.set_xlabel("margin (logits)")
    axes.set_yticks([])
    _line_at_zero(axes, 1.15 + 0.12 * len(teachers))  # space for the legend
    axes.legend(loc="upper left", fontsize=7.5)


def _line_at_zero(axes: "Axes", space: float) -> None:
    """Draw a line as high as the histograms; the axis becomes `space` times as high."""
    top = axes.get_ylim()[1]
    axes.vlines(0, 0, top, color="#999999", linewidth=0.8)
    axes.set_ylim(0, top * space)

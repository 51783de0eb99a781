"""The scores of positives and negatives by step, after the observation of arXiv 2010.02666."""

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

from redistil.stages.report.figures.curves import cells_of, last, means, thinned
from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.figures.drawing.style import COLOURS, one_legend, panels, pick, styled
from redistil.stages.report.numbers.statistics import Floats
from redistil.storage import lineage
from redistil.storage.tables import CURVE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "The mean raw scores that a student gives its training passages by step, a panel for each "
    "student, which has its own scale. The solid line is that of positives, the dashed one that of "
    "negatives; their distance is the margin. A line is the mean over seeds, as far as all of them "
    "went."
)


class Magnitudes(NamedTuple):
    """The mean scores of positives and of negatives at each of these steps."""

    steps: Floats
    positive: Floats
    negative: Floats


def draw(given: Given) -> "Figure | str":
    """Return the mean scores under every loss, a panel for each student."""
    training = given.study.training
    if not given.curves or training is None:
        return "no training curve given"
    names = [lineage.of(path).name for path in given.curves]
    cells, grid = cells_of(given.study, names), given.study["grid"]
    seeds: dict[tuple[str, str], list[Magnitudes]] = {}
    for name, path in zip(names, given.curves, strict=True):
        magnitudes = _magnitudes(path, training.log_every)
        seeds.setdefault((cells[name].student, cells[name].loss), []).append(magnitudes)
    with styled():
        figure, axes_of = panels(len(grid["students"]), 2.9, 2.2, across=3)
        for student, axes in zip(grid["students"], axes_of, strict=True):
            axes.set_title(student)
        for (student, loss), runs in seeds.items():
            axes = axes_of[grid["students"].index(student)]
            _lines(axes, _over_seeds(runs), loss, grid["losses"].index(loss))
        figure.supxlabel("step", fontsize=9)
        figure.supylabel("mean score (logits)", fontsize=9)
        one_legend(figure, axes_of, loc="outside upper center", ncols=4)
    return figure


def _magnitudes(path: Path, every: int) -> Magnitudes:
    """Return the mean scores of each stretch of so many steps that showed both kinds."""
    table = CURVE.read(path)
    both = pc.and_(table["positive_score"].is_valid(), table["negative_score"].is_valid())
    shown = table.filter(both)
    steps, positive, negative = (
        shown[name].to_numpy() for name in ("step", "positive_score", "negative_score")
    )
    if not len(steps):
        return Magnitudes(steps, positive, negative)
    return Magnitudes(last(steps, every), means(positive, every), means(negative, every))


def _over_seeds(runs: Sequence[Magnitudes]) -> Magnitudes:
    """Return the means of trainings at the steps that all of them have."""
    steps = reduce(np.intersect1d, [run.steps for run in runs])
    positive, negative = [], []
    for run in runs:
        is_shared = np.isin(run.steps, steps)
        positive.append(run.positive[is_shared])
        negative.append(run.negative[is_shared])
    return Magnitudes(steps, np.mean(positive, axis=0), np.mean(negative, axis=0))


def _lines(axes: "Axes", magnitudes: Magnitudes, loss: str, place: int) -> None:
    """Draw both scores under a loss in its colour."""
    if not len(magnitudes.steps):
        return
    steps, positive, negative = (thinned(values, most=12) for values in magnitudes)
    colour = pick(COLOURS, place)
    axes.plot(steps, positive, color=colour, linewidth=1.0, label=loss)
    axes.plot(steps, negative, color=colour, linewidth=1.0, linestyle="--")

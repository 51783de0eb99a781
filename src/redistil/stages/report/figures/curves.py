"""Training loss by step."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from redistil.errors import BadSettings
from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.figures.drawing.style import (
    COLOURS,
    DASHES,
    one_legend,
    panels,
    pick,
    styled,
)
from redistil.stages.report.numbers.statistics import Floats
from redistil.storage import lineage
from redistil.storage.tables import CURVE
from redistil.study import artefacts as studies
from redistil.study.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Training loss by step, a panel for each loss, which has its own scale. Lines of one colour "
    "are the seeds of one student."
)


class Curve(NamedTuple):
    """The steps of a training and the value at each."""

    steps: Floats
    values: Floats


def draw(given: Given) -> "Figure | str":
    """Return the training curves of every cell that was given."""
    training = given.study.training
    if not given.curves or training is None:
        return "no training curve given"
    runs, every = {}, training.log_every
    for path in given.curves:
        table = CURVE.read(path)
        steps, losses = table["step"].to_numpy(), table["loss"].to_numpy()
        runs[lineage.of(path).name] = Curve(last(steps, every), means(losses, every))
    return curves(runs, given.study, "training loss")


def curves(runs: Mapping[str, Curve], study: Study, label: str) -> "Figure":
    """Return curves by step, a panel for each loss: losses have scales of their own.

    runs: by the name of the cell; the seeds of one student share a colour. Raises BadSettings for
    a cell that the study does not have.
    """
    cells = cells_of(study, runs)
    students, losses = study["grid"]["students"], study["grid"]["losses"]
    with styled():
        figure, axes_of = panels(len(losses), 2.9, 2.2, across=3)
        for loss, axes in zip(losses, axes_of, strict=True):
            axes.set_title(loss)
        for name, curve in runs.items():
            cell = cells[name]
            axes = axes_of[losses.index(cell.loss)]
            _line(axes, curve, cell.student, students.index(cell.student))
        figure.supxlabel("step", fontsize=9)
        figure.supylabel(label, fontsize=9)
        one_legend(figure, axes_of, loc="outside upper center", ncols=4)
    return figure


def _line(axes: "Axes", curve: Curve, student: str, place: int) -> None:
    """Draw a curve in the colour of its student."""
    axes.plot(
        thinned(curve.steps),
        thinned(curve.values),
        color=pick(COLOURS, place),
        linestyle=pick(DASHES, place),
        linewidth=1.0,
        label=student,
    )


def cells_of(study: Study, names: Iterable[str]) -> dict[str, studies.Cell]:
    """Return the cells of a study by name; raises BadSettings if one of `names` is none."""
    cells = {cell.name: cell for cell in studies.grid_cells(study)}
    for name in names:
        if name not in cells:
            nearest = studies.nearest(name, cells)
            raise BadSettings(f"curves: the study has no cell {name!r}{nearest}")
    return cells


def thinned(values: Floats, most: int = 40) -> Floats:
    """Return at most `most` means of neighbouring values: a curve needs no more ink."""
    block = -(-len(values) // most)
    whole = len(values) // block * block
    return means(values[:whole], block)


def means(values: Floats, every: int) -> Floats:
    """Return the means of stretches of so many values; the last one may be shorter."""
    starts = np.arange(0, len(values), every)
    sizes = np.minimum(every, len(values) - starts)
    means: Floats = np.add.reduceat(np.asarray(values, dtype=float), starts) / sizes
    return means


def last(steps: Floats, every: int) -> Floats:
    """Return the last step of each of these stretches."""
    starts = np.arange(0, len(steps), every)
    ends: Floats = steps[np.minimum(starts + every, len(steps)) - 1]
    return ends

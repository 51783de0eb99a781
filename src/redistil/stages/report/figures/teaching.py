"""Figures about training: its curves, and the margins of the teachers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from redistil.errors import BadSettings
from redistil.stages.report.figures.style import COLOURS, DASHES, one_legend, panels, pick, styled
from redistil.stages.report.numbers.margins import Margins, agreement
from redistil.stages.report.numbers.statistics import Floats
from redistil.study import artefacts as studies
from redistil.study.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(runs: Mapping[str, tuple[Floats, Floats]], study: Study) -> "Figure":
    """Return the training curves, a panel for each loss: losses have scales of their own.

    runs: (steps, losses) by the name of the cell; the seeds of one student share a colour.
    Raises BadSettings for a cell that the study does not have.
    """
    cells = {cell.name: cell for cell in studies.grid_cells(study)}
    for name in runs:
        if name not in cells:
            raise BadSettings(
                f"curves: the study has no cell {name!r}{studies.nearest(name, cells)}"
            )
    students, losses = study["grid"]["students"], study["grid"]["losses"]
    with styled():
        figure, axes_of = panels(len(losses), 2.9, 2.2, across=3)
        by_loss = dict(zip(losses, axes_of, strict=True))
        for loss, axes in by_loss.items():
            axes.set_title(loss)
        for name, curve in runs.items():
            place = students.index(cells[name].student)
            by_loss[cells[name].loss].plot(
                *(_thinned(values) for values in curve),
                color=pick(COLOURS, place),
                linestyle=pick(DASHES, place),
                linewidth=1.0,
                label=cells[name].student,
            )
        figure.supxlabel("step", fontsize=9)
        figure.supylabel("training loss", fontsize=9)
        one_legend(figure, axes_of, loc="outside upper center", ncols=4)
    return figure


def _thinned(values: Floats, most: int = 40) -> Floats:
    """Return at most `most` means of neighbouring values: a curve needs no more ink."""
    block = -(-len(values) // most)
    whole = len(values) // block * block
    means: Floats = np.asarray(values[:whole], dtype=float).reshape(-1, block).mean(axis=1)
    return means


def points(curve: pa.Table) -> tuple[Floats, Floats]:
    """Return the steps and losses of a training curve."""
    return curve["step"].to_numpy(), curve["loss"].to_numpy()


def margins(taught: Sequence[Margins]) -> "Figure":
    """Return histograms of the teachers' margins, positive less negative, a panel for each source.

    taught: teachers of one source follow each other. The legend gives how often a teacher puts the
    positive first, and how often it and the first named teacher order the pair alike.
    """
    sources = dict.fromkeys(found.negatives for found in taught)
    with styled():
        figure, axes_of = panels(len(sources), 4.6, 3.0, across=2)
        for source, axes in zip(sources, axes_of, strict=True):
            here = [found for found in taught if found.negatives == source]
            ends = np.quantile(np.concatenate([found.values for found in here]), [0.001, 0.999])
            edges = np.linspace(min(ends[0], 0), max(ends[1], 0), 61).tolist()
            for place, found in enumerate(here):
                alike = (
                    f", as {here[0].teacher} on {agreement(here[0], found):.0%}" if place else ""
                )
                axes.hist(
                    found.values.clip(edges[0], edges[-1]),
                    edges,
                    histtype="step",
                    density=True,
                    color=pick(COLOURS, place),
                    linestyle=pick(DASHES, place),
                    label=f"{found.teacher}: positive first on {found.ordered:.0%}{alike}",
                )
            axes.set_title(f"{source}, {len(here[0].values):,} pairs")
            axes.set_xlabel("margin (logits)")
            axes.set_yticks([])
            top = axes.get_ylim()[1]
            axes.vlines(0, 0, top, color="#999999", linewidth=0.8)
            axes.set_ylim(0, top * (1.15 + 0.12 * len(here)))  # room for the legend
            axes.legend(loc="upper left", fontsize=7.5)
    return figure

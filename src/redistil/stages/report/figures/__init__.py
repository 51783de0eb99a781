"""The figures of a study, as SVG and PNG."""

from redistil.stages.report.figures.comparing import matrix, scatter
from redistil.stages.report.figures.grouped import bars, shaded
from redistil.stages.report.figures.spending import cost, depths, sizes
from redistil.stages.report.figures.style import note, save
from redistil.stages.report.figures.teaching import curves, margins, points

__all__ = [
    "bars", "cost", "curves", "depths", "margins", "matrix", "note", "points", "save", "scatter",
    "shaded", "sizes",
]  # fmt: skip

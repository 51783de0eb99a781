"""The figures of a study, as SVG and PNG."""

from redistil.report.figures.comparing import matrix, scatter
from redistil.report.figures.grouped import bars, shaded
from redistil.report.figures.spending import cost, depths, sizes
from redistil.report.figures.style import note, save
from redistil.report.figures.teaching import curves, margins, points

__all__ = [
    "bars", "cost", "curves", "depths", "margins", "matrix", "note", "points", "save", "scatter",
    "shaded", "sizes",
]  # fmt: skip

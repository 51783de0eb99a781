"""The validation of each training by step."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from redistil.stages.report.figures.curves import Curve, curves
from redistil.stages.report.figures.drawing.given import Given
from redistil.storage import lineage
from redistil.storage.tables import VALIDATION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    "The validation of each training by step, the mean over its validation sets, a panel for each "
    "loss. Lines of one colour are the seeds of one student."
)


def draw(given: Given) -> "Figure | str":
    """Return the validations of every cell that has some."""
    runs, measures = {}, dict[str, None]()
    for path in given.validations:
        rows = VALIDATION.read(path).to_pylist()
        if rows:
            runs[lineage.of(path).name] = _curve(path)
            measures[rows[0]["measure"]] = None
    if not runs:
        return "no training was validated"
    return curves(runs, given.study, f"validation, {' and '.join(measures)}")


def _curve(path: Path) -> Curve:
    """Return the mean over the validation sets at each step."""
    values: dict[int, list[float]] = {}
    for row in VALIDATION.read(path).to_pylist():
        values.setdefault(row["step"], []).append(row["value"])
    means = [float(np.mean(at_step)) for at_step in values.values()]
    return Curve(np.array(list(values)), np.array(means))

"""What a training leaves beside its weights: curve and validations."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from redistil.learning.history import Checkpoint, History, Point
from redistil.storage.lineage import Made
from redistil.storage.tables import CURVE, VALIDATION
from redistil.study.recipes import Recipe, Validated


def save(
    student: Any,
    history: History,
    recipe: Recipe,
    state: Checkpoint,
    out: Path,
    made: Made,
) -> None:
    """Write the chosen weights, the curve and the validations."""
    best, how = history.best, recipe.validation
    (out / "last.safetensors").unlink(missing_ok=True)  # of a training before this one
    if best and how and how.keep == "best" and best.step < len(history.points):
        student.save(out)
        (out / "model.safetensors").replace(out / "last.safetensors")
        student.load_state_dict(state.best_weights(best.step))
    student.save(out)
    CURVE.write(curve(history.points, recipe.log_every), out / "curve.parquet", made)
    VALIDATION.write(validations(history, how), out / "validation.parquet", made)


def curve(points: Sequence[Point], every: int) -> pa.Table:
    """Return the training curve: the means over stretches of `every` steps, at their last step."""
    rows = []
    for start in range(0, len(points), every):
        stretch = points[start : start + every]
        row: dict[str, Any] = {"step": stretch[-1].step + 1}
        for name in ("loss", "gradient_norm", "learning_rate"):
            row[name] = float(np.mean([getattr(point, name) for point in stretch]))
        rows.append(row)
    return pa.Table.from_pylist(rows, CURVE.schema)


def validations(history: History, how: Validated | None) -> pa.Table:
    """Return the value of every dataset at every validation; no row where there was none."""
    rows = []
    for validation in history.validations:
        for dataset, value in validation.values.items():
            row = {"step": validation.step, "dataset": dataset, "value": value}
            rows.append(row | {"measure": how.measure if how else ""})
    return pa.Table.from_pylist(rows, VALIDATION.schema)

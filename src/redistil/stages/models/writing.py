"""What a training leaves beside its weights: curve and validations."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.torch import load_file

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
        student.load_state_dict(load_file(state.best_of(best.step)))
    student.save(out)
    CURVE.write(curve(history.points, recipe.log_every), out / "curve.parquet", made)
    VALIDATION.write(validations(history, how), out / "validation.parquet", made)


def curve(points: Sequence[Point], every: int) -> pa.Table:
    """Return the training curve: the means over stretches of `every` steps, at their last step."""
    stretches = [points[start : start + every] for start in range(0, len(points), every)]
    columns: dict[str, Any] = {"step": [part[-1].step + 1 for part in stretches]}
    for name in ("loss", "gradient_norm", "learning_rate"):
        columns[name] = [float(np.mean([getattr(p, name) for p in part])) for part in stretches]
    return CURVE.rows(columns)


def validations(history: History, how: Validated | None) -> pa.Table:
    """Return the value of every dataset at every validation; no row where there was none."""
    steps, datasets, values = [], [], []
    for one in history.validations:
        for dataset, value in one.values.items():
            steps.append(one.step)
            datasets.append(dataset)
            values.append(value)
    measures = [how.measure if how else ""] * len(steps)
    columns = {"step": steps, "dataset": datasets, "measure": measures, "value": values}
    return VALIDATION.rows(columns)

"""Files that a training leaves beside its weights: curve and validations."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

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
    CURVE.write(curve(history.points), out / "curve.parquet", made)
    VALIDATION.write(validations(history, how), out / "validation.parquet", made)


def curve(points: Sequence[Point]) -> pa.Table:
    """Return the training curve: a row for every step, counted from 1."""
    rows: list[dict[str, Any]] = []
    for point in points:
        rows.append(asdict(point) | {"step": point.step + 1})
    return pa.Table.from_pylist(rows, CURVE.schema)


def validations(history: History, how: Validated | None) -> pa.Table:
    """Return the value of every dataset at every validation; no row where there was none."""
    rows = []
    for validation in history.validations:
        for dataset, value in validation.values.items():
            row = {"step": validation.step, "dataset": dataset, "value": value}
            rows.append(row | {"measure": how.measure if how else ""})
    return pa.Table.from_pylist(rows, VALIDATION.schema)

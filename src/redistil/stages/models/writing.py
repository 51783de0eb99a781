"""What a training leaves beside its weights: curve and validations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.torch import load_file

from redistil.learning.history import Checkpoint, History, Point
from redistil.storage.lineage import Made
from redistil.storage.tables import CURVE, VALIDATION


def save(
    student: Any,
    history: History,
    asked: Mapping[str, Any] | None,
    every: int,
    state: Checkpoint,
    out: Path,
    made: Made,
) -> None:
    """Write the chosen weights, the curve and the validations.

    asked: the recipe's `validation`; every: its `log_every`.
    """
    best = history.best
    (out / "last.safetensors").unlink(missing_ok=True)  # of a training before this one
    if best and asked and asked["keep"] == "best" and best.step < len(history.points):
        student.save(out)
        (out / "model.safetensors").replace(out / "last.safetensors")
        student.load_state_dict(load_file(state.best_of(best.step)))
    student.save(out)
    CURVE.write(curve(history.points, every), out / "curve.parquet", made)
    VALIDATION.write(validations(history, asked), out / "validation.parquet", made)


def curve(points: Sequence[Point], every: int) -> pa.Table:
    """Return the training curve: the means over stretches of `every` steps, at their last step."""
    stretches = [points[start : start + every] for start in range(0, len(points), every)]
    return CURVE.rows(
        {
            "step": [part[-1].step + 1 for part in stretches],
            **{
                name: [float(np.mean([getattr(p, name) for p in part])) for part in stretches]
                for name in ("loss", "gradient_norm", "learning_rate")
            },
        }
    )


def validations(history: History, asked: Mapping[str, Any] | None) -> pa.Table:
    """Return the value of every data set at every validation; no row where there was none."""
    found = [
        (one.step, name, value) for one in history.validations for name, value in one.values.items()
    ]
    return VALIDATION.rows(
        {
            "step": [step for step, _, _ in found],
            "dataset": [name for _, name, _ in found],
            "measure": [asked["measure"] if asked else ""] * len(found),
            "value": [value for _, _, value in found],
        }
    )

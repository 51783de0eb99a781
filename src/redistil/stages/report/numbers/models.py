"""The sizes of the trained models."""

import json
from collections.abc import Iterable
from math import prod
from pathlib import Path

from redistil.errors import BadTable
from redistil.stages.report.numbers.rows import Size
from redistil.storage import lineage
from redistil.study import artefacts as studies
from redistil.study.study import Study

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def sizes(study: Study, records: Iterable[Path]) -> dict[str, Size]:
    """Return the size of each student, from the model beside a record.

    A student whose weights are not there, only their record, is left out.
    """
    students = {}
    for cell in studies.grid_cells(study):
        students[cell.name] = cell.student
    by_student: dict[str, Size] = {}
    for record in records:
        weights = record.parent / WEIGHTS
        student = students.get(lineage.of(record).name)
        if student is not None and student not in by_student and weights.exists():
            config = json.loads(lineage.checked(record.parent / CONFIG).read_text(encoding="utf-8"))
            by_student[student] = Size(count(weights), config.get("model_type", student))
    return by_student


def count(weights: Path) -> int:
    """Return how many numbers a safetensors file holds, from its header."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="numpy") as tensors:
            shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise BadTable(f"{weights} is not a readable safetensors file ({error})") from None
    return sum(map(prod, shapes))

"""What the report reads beside the trained models: how large they are."""

import json
import struct
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

from redistil.errors import BadTable
from redistil.storage import lineage
from redistil.study import artefacts as studies
from redistil.study.study import Study

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def sizes(study: Study, records: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return the `parameters` and the `family` of each student, from the model beside a record.

    The family is what transformers calls the network: bert, electra, modernbert. A student whose
    weights are not there, only their record, is left out.
    """
    students = {cell.name: cell.student for cell in studies.grid_cells(study)}
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        weights = record.parent / WEIGHTS
        student = students.get(lineage.of(record).name)
        if student is not None and student not in found and weights.exists():
            config = json.loads((record.parent / CONFIG).read_text(encoding="utf-8"))
            found[student] = {
                "parameters": count(weights),
                "family": config.get("model_type", student),
            }
    return found


def count(weights: Path) -> int:
    """Return how many numbers a safetensors file holds, from its header."""
    try:
        with weights.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(min(length, weights.stat().st_size)))
        return sum(prod(t["shape"]) for name, t in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise BadTable(f"{weights} is not a readable safetensors file ({error})") from None

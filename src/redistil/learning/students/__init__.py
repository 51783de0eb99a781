"""The architectures a student can have, one file each, behind one interface."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redistil.errors import BadSource
from redistil.learning.students.cat import Cat
from redistil.learning.students.colbert import Colbert
from redistil.learning.students.dot import Dot
from redistil.learning.students.interface import Kept, Student
from redistil.learning.students.linear import LinearCat
from redistil.learning.students.prettr import Prettr
from redistil.learning.students.tk import Tk

__all__ = ["ARCHITECTURES", "Kept", "Student", "adopt", "load", "new"]

ARCHITECTURES: dict[str, Any] = {
    "cat": Cat,
    "cat-linear": LinearCat,
    "dot": Dot,
    "colbert": Colbert,
    "prettr": Prettr,
    "tk": Tk,
}


def new(recipe: Mapping[str, Any], backbone: Path, seed: int) -> Any:
    """Return an untrained student of the recipe's architecture on a backbone."""
    return ARCHITECTURES[recipe["architecture"]].new(backbone, recipe, seed)


def adopt(settings: Mapping[str, Any], checkpoint: Path) -> Any:
    """Return the re-ranker in a checkpoint of others, read with the lengths that are declared."""
    return ARCHITECTURES[settings["architecture"]].adopt(checkpoint, settings)


def load(folder: Path) -> Any:
    """Return the model of a folder that `train` or `adopt` wrote."""
    from redistil.storage import lineage

    record = folder / lineage.SIDECAR
    if not record.exists():
        raise BadSource(
            f"{folder} is not a trained model: it has no {record.name}; train it, or check the path"
        )
    made = lineage.of(folder)
    architecture = made.settings.get("architecture")
    if architecture not in ARCHITECTURES:
        raise BadSource(f"{folder} is not a trained model but {made.who}: check the path")
    return ARCHITECTURES[architecture].load(folder)

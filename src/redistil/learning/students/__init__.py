"""The architectures a student can have, one file each, behind one interface."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from torch import Tensor

from redistil.errors import BadSource
from redistil.learning.students.cat import Cat, lengths_in
from redistil.storage.ragged import Tokens


class Student(Protocol):
    """The interface of every architecture; each is an `nn.Module` too."""

    def lengths_of(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> list[int]:
        """Return how many tokens each pair costs the model."""

    def score(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> Tensor:
        """Return the raw logits [N] of N pairs of token ids (no special tokens, not yet cut)."""

    def for_scoring(self, precision: str) -> Self:
        """Return a snapshot that only scores, faster, with weights in `precision`."""

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), configuration and tokenizer into `folder`."""


ARCHITECTURES = {"cat": Cat}


def new(recipe: Mapping[str, Any], backbone: Path, seed: int) -> Any:
    """Return an untrained student of the recipe's architecture on a backbone."""
    architecture = ARCHITECTURES[recipe["architecture"]]
    return architecture.new(backbone, lengths_in(recipe), seed, recipe["pair_form"])


def adopt(settings: Mapping[str, Any], checkpoint: Path) -> Any:
    """Return the re-ranker in a checkpoint of others, read with the lengths that are declared."""
    architecture = ARCHITECTURES[settings["architecture"]]
    return architecture.adopt(checkpoint, lengths_in(settings), settings["pair_form"])


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

"""The architectures a student can have, one file each, behind one interface."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor

from redistil.ragged import Tokens
from redistil.students.cat import Cat


class Student(Protocol):
    """What every architecture can do; each is an `nn.Module` too."""

    def lengths_of(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> list[int]:
        """Return how many tokens each pair costs the model."""

    def score(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> Tensor:
        """Return the raw logits [N] of N pairs of token ids (no special tokens, not yet cut)."""

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), configuration and tokenizer into `folder`."""


ARCHITECTURES = {"cat": Cat}

"""The interface of every student: what training, scoring and validation ask of an architecture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor, nn

from redistil.learning.batches import budget_on
from redistil.learning.optimise import Group
from redistil.learning.pairs import Pairs
from redistil.storage.ragged import Tokens


@dataclass(frozen=True)
class Kept:
    """Numbers that a student computes of a passage before it knows the query.

    rows: one row of numbers for a text, or one for each of its tokens; width: numbers in a row;
    search: the inner product of two rows is the score, so that the rows may be indexed.
    """

    rows: Literal["text", "token"]
    width: int
    search: bool


class Student(Protocol):
    """The interface of every architecture; each is an `nn.Module` too.

    kept: what it computes of a passage alone, None where it reads query and passage together. A
    student with `kept` is an `Apart` as well. network: the module that may be compiled.
    """

    kept: Kept | None
    network: Any

    @property
    def budget(self) -> int:
        """How many padded tokens one forward pass has where the weights are."""

    def costs(self, pairs: Pairs) -> list[int]:
        """Return how many tokens each pair costs the model."""

    def scores(self, pairs: Pairs) -> Tensor:
        """Return the raw score of each pair [N]; gradients flow back from it."""

    def groups(self) -> list[Group]:
        """Return all weights that are trained, by their learning rates."""

    def for_scoring(self, precision: str) -> Self:
        """Return a snapshot that only scores, faster, with weights in `precision`."""

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), configuration and tokenizer into `folder`."""


class Base(nn.Module):
    """The parts of the interface that most architectures share."""

    kept: Kept | None = None
    network: Any

    def scores(self, pairs: Pairs) -> Tensor:
        """Return the raw score of each pair [N]."""
        raise NotImplementedError

    def score(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> Tensor:
        """Return the raw scores [N] of N queries, each with one passage."""
        return self.scores(Pairs.aligned(queries, passages))

    def groups(self) -> list[Group]:
        """Return all weights in one group, at the rate of the schedule."""
        return [Group([weight for weight in self.parameters() if weight.requires_grad], 1.0)]

    @property
    def width(self) -> int:
        """How many numbers the state of a token has."""
        width: int = self.network.config.hidden_size
        return width

    @property
    def budget(self) -> int:
        """How many padded tokens one forward pass has where the weights are."""
        return budget_on(self.device.type, self.width)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

"""What goes through a model together, and in which order: pure, and a function of its arguments.

The batch of a step depends on the seed and the step alone, so a training that is resumed needs no
state of a loader. A batch is split into micro-batches by length, so that little is padded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from redistil.ragged import Tokens
from redistil.seeds import generator

Rows = npt.NDArray[np.int64]


@lru_cache(maxsize=2)
def _epoch(size: int, seed: int, epoch: int) -> Rows:
    return generator(seed, "order", epoch).permutation(size)


def step_rows(size: int, batch: int, seed: int, step: int) -> Rows:
    """Return the rows [batch] of step `step` (from 0): shuffled passes over `size` rows."""
    places = np.arange(step * batch, (step + 1) * batch)
    return np.array([_epoch(size, seed, int(p) // size)[int(p) % size] for p in places])


def by_budget(lengths: Sequence[int] | Rows, budget: int) -> Iterator[Rows]:
    """Yield positions, longest texts first, in groups of at most `budget` padded tokens.

    A single text longer than the budget is a group of its own.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    start = 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        end = start + max(budget // longest, 1)
        yield order[start:end]
        start = end


@dataclass(frozen=True)
class PairTemplate:
    """How a tokenizer joins a query and a passage: `before` q `between` p `after`.

    types: the token type of [before, q, between, p, after], or None where the model has none.
    Found by asking the tokenizer itself, so every family keeps its own form.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: tuple[tuple[int, ...], int, tuple[int, ...], int, tuple[int, ...]] | None
    pad: int

    @property
    def special(self) -> int:
        """How many special tokens a pair has."""
        return len(self.before) + len(self.between) + len(self.after)

    def cut(
        self,
        query: Tokens,
        passage: Tokens,
        query_length: int,
        passage_length: int,
        pair_length: int,
    ) -> tuple[Tokens, Tokens]:
        """Return both sides under their caps, then the passage under what the pair leaves it."""
        query = query[:query_length]
        room = max(pair_length - self.special - len(query), 0)
        return query, passage[: min(passage_length, room)]

    def join(self, query: Tokens, passage: Tokens) -> npt.NDArray[np.int64]:
        """Return the input ids of a pair."""
        return np.concatenate([self.before, query, self.between, passage, self.after]).astype(
            np.int64
        )

    def type_ids(self, query: Tokens, passage: Tokens) -> npt.NDArray[np.int64]:
        """Return the token type ids of a pair."""
        assert self.types is not None
        before, q, between, p, after = self.types
        return np.concatenate(
            [before, np.full(len(query), q), between, np.full(len(passage), p), after]
        ).astype(np.int64)


def padded(sequences: Sequence[npt.NDArray[np.int64]], pad: int) -> npt.NDArray[np.int64]:
    """Return sequences as [N, longest], filled with `pad` on the right."""
    out = np.full((len(sequences), max(map(len, sequences))), pad, np.int64)
    for row, sequence in enumerate(sequences):
        out[row, : len(sequence)] = sequence
    return out

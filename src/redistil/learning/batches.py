"""What goes through a model together, and in which order: pure, and a function of its arguments.

The batch of a step depends on the seed and the step alone, so a training that is resumed needs no
state of a loader. A batch is split into micro-batches by length, so that little is padded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from redistil.seeds import generator
from redistil.storage.ragged import Tokens

Rows = npt.NDArray[np.int64]


@lru_cache(maxsize=2)
def _epoch(size: int, seed: int, epoch: int) -> Rows:
    return generator(seed, "order", epoch).permutation(size)


def step_rows(size: int, batch: int, seed: int, step: int) -> Rows:
    """Return the rows [batch] of step `step` (from 0): shuffled passes over `size` rows."""
    places = np.arange(step * batch, (step + 1) * batch)
    return np.array([_epoch(size, seed, int(p) // size)[int(p) % size] for p in places])


def rows_shown(size: int, batch: int, seed: int, steps: int) -> Rows | None:
    """Return which of `size` rows any of `steps` steps shows, ascending; None stands for all."""
    if steps * batch >= size:
        return None
    shown: Rows = np.sort(_epoch(size, seed, 0)[: steps * batch])
    return shown


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

    def kept(
        self, query: Rows, passage: Rows, query_length: int, passage_length: int, pair_length: int
    ) -> tuple[Rows, Rows]:
        """Return how many of N sizes stay under their caps, a passage's under what the pair leaves.

        query, passage: tokens of each side; the lengths are caps, pair_length with special tokens.
        """
        query = np.minimum(query, query_length)
        room = np.maximum(pair_length - self.special - query, 0)
        return query, np.minimum(passage, np.minimum(passage_length, room))

    def join(
        self, queries: Sequence[Tokens], passages: Sequence[Tokens]
    ) -> tuple[Rows, Rows, Rows | None]:
        """Return ids, mask and token types of N pairs, [N, longest], padded on the right."""
        count = len(queries)
        before, between, after = (
            [np.array(part, np.int64)] * count for part in (self.before, self.between, self.after)
        )
        parts: list[Sequence[npt.NDArray[Any]]] = [before, queries, between, passages, after]
        sizes = np.array([[len(tokens) for tokens in part] for part in parts]).reshape(5, count)
        ends = sizes.cumsum(0)
        shape = count, int(ends[-1].max(initial=0))
        ids = np.full(shape, self.pad, np.int64)
        mask = (np.arange(shape[1]) < ends[-1][:, None]).astype(np.int64)
        types = None if self.types is None else np.zeros(shape, np.int64)
        kinds: Sequence[int | tuple[int, ...]] = self.types or (0,) * 5
        for part, size, end, kind in zip(parts, sizes, ends, kinds, strict=True):
            rows = np.repeat(np.arange(count), size)
            columns = np.arange(size.sum()) + np.repeat(end - size.cumsum(), size)
            ids[rows, columns] = np.concatenate(part)
            if types is not None:
                types[rows, columns] = kind if isinstance(kind, int) else list(kind) * count
        return ids, mask, types


def padded(sequences: Sequence[npt.NDArray[np.int64]], pad: int) -> npt.NDArray[np.int64]:
    """Return sequences as [N, longest], filled with `pad` on the right."""
    out = np.full((len(sequences), max(map(len, sequences))), pad, np.int64)
    for row, sequence in enumerate(sequences):
        out[row, : len(sequence)] = sequence
    return out

"""Batches: which examples go through a model together, and in which order. Pure functions.

The batch of a step depends on the seed and the step alone, so a resumed training needs no
state of a loader. A batch is split into micro-batches by length, so that little is padded.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from redistil.seeds import generator

Rows = npt.NDArray[np.int64]

# padded tokens in one forward pass, which bounds the memory whatever the lengths: on a CPU as many
# as its caches keep, on a GPU as many as keep it busy
BUDGET = {"cpu": 2048, "cuda": 1 << 16}
# numbers in the states of a layer that a CPU's caches keep: narrow models read more
CACHED = 1 << 19


@lru_cache(maxsize=2)
def _epoch(size: int, seed: int, epoch: int) -> Rows:
    return generator(seed, "order", epoch).permutation(size)


def step_rows(size: int, batch: int, seed: int, step: int) -> Rows:
    """Return the rows [batch] of step `step` (from 0): shuffled passes over `size` rows."""
    rows = np.empty(batch, np.int64)
    for number in range(batch):
        epoch, place = divmod(step * batch + number, size)
        rows[number] = _epoch(size, seed, epoch)[place]
    return rows


def rows_shown(size: int, batch: int, seed: int, steps: int) -> Rows | None:
    """Return which of `size` rows any of `steps` steps shows, ascending; None stands for all."""
    if steps * batch >= size:
        return None
    shown: Rows = np.sort(_epoch(size, seed, 0)[: steps * batch])
    return shown


def budget_on(device: str, width: int) -> int:
    """Return how many padded tokens one forward pass of a model has on a kind of device.

    width: numbers in the state of a token.
    """
    if device == "cpu":
        return max(BUDGET["cpu"], CACHED // width)
    return BUDGET.get(device, BUDGET["cuda"])


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


def padded(sequences: Sequence[npt.NDArray[np.int64]], pad: int) -> npt.NDArray[np.int64]:
    """Return sequences as [N, longest], filled with `pad` on the right."""
    longest = max(map(len, sequences))
    rows = np.full((len(sequences), longest), pad, np.int64)
    for row, sequence in enumerate(sequences):
        rows[row, : len(sequence)] = sequence
    return rows

"""Training examples: a query with a pool of passages, of which each step shows a few.

Pure: rows of token files, grades and teacher scores in; the batch of a step out, as a function of
the seed and the step alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from redistil.learning.batches import Rows, step_rows
from redistil.seeds import generator

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Examples:
    """N queries; the pool of query n is [offsets[n], offsets[n + 1]) of the flat arrays.

    queries [N] and passages [P] are rows of token files; relevance [P] are grades; teacher [P] are
    raw logits, or None for labels only. Of a file with more examples than a training shows, only
    those are held: size is how many there are, numbers [N] which of them these are, ascending.
    in_batch: the passages of the other queries of a step are shown too, as not relevant.
    """

    queries: Rows
    offsets: Rows
    passages: Rows
    relevance: npt.NDArray[np.int32]
    teacher: npt.NDArray[np.float32] | None
    size: int
    numbers: Rows | None = None
    in_batch: bool = False

    def batch(self, size: int, width: int, seed: int, step: int) -> "Batch":
        """Return the batch of a step: `size` queries with up to `width` passages each.

        With `in_batch` each query also has those of all others, but for its own relevant ones.
        """
        rows = step_rows(self.size, size, seed, step)
        if self.numbers is not None:
            rows = np.searchsorted(self.numbers, rows)
        rng = generator(seed, "documents", step)  # the name of the stream: the draws hang on it
        values = self.relevance if self.teacher is None else self.teacher
        lists = []
        for row in rows:
            places = self._shown(int(row), width, rng)
            positive = _positive(self.relevance[places])
            lists.append(_List(self.passages[places], values[places], positive))
        if self.in_batch:
            lists = self._widened(rows, lists)
        sizes = np.array([len(shown.passages) for shown in lists])
        mask = np.arange(sizes.max()) < sizes[:, None]
        targets = np.zeros(mask.shape, np.float32)
        targets[mask] = np.concatenate([shown.targets for shown in lists])
        queries = np.repeat(self.queries[rows], sizes)
        passages = np.concatenate([shown.passages for shown in lists])
        positive = np.concatenate([shown.positive for shown in lists])
        return Batch(queries, passages, targets, mask, positive)

    def _widened(self, rows: Rows, lists: Sequence["_List"]) -> list["_List"]:
        """Return the lists of a step, each with the passages of the others at its end."""
        every = np.unique(np.concatenate([shown.passages for shown in lists]))
        wide = []
        for row, shown in zip(rows, lists, strict=True):
            pool = slice(self.offsets[row], self.offsets[row + 1])
            relevant = self.passages[pool][self.relevance[pool] > 0]
            others = np.setdiff1d(every, np.concatenate([shown.passages, relevant]))
            no_targets = np.zeros(len(others), shown.targets.dtype)
            passages = np.concatenate([shown.passages, others])
            targets = np.concatenate([shown.targets, no_targets])
            positive = np.concatenate([shown.positive, np.zeros(len(others), bool)])
            wide.append(_List(passages, targets, positive))
        return wide

    def _shown(self, row: int, width: int, rng: np.random.Generator) -> Rows:
        """Return places in the pool: one relevant passage if there is any, then others.

        Where labels are learnt, the other relevant ones are left out: they are no negatives.
        """
        pool = np.arange(self.offsets[row], self.offsets[row + 1])
        relevant = pool[self.relevance[pool] > 0]
        if not len(relevant):
            return _some(pool, width, rng)
        first = rng.choice(relevant, 1)
        rest = pool[self.relevance[pool] <= 0] if self.teacher is None else pool[pool != first]
        return np.concatenate([first, _some(rest, width - 1, rng)])


def _some(pool: Rows, count: int, rng: np.random.Generator) -> Rows:
    return pool if len(pool) <= count else np.sort(rng.choice(pool, count, replace=False))


def _positive(relevance: npt.NDArray[np.int32]) -> Flags:
    """Return which passages of a list are relevant; of one without any, the first."""
    flags: Flags = relevance > 0
    if not flags.any():
        flags[:1] = True
    return flags


class _List(NamedTuple):
    """Passages of a query, as rows of token files, their targets, and which are positives."""

    passages: Rows
    targets: npt.NDArray[Any]
    positive: Flags


class Means(NamedTuple):
    """The mean scores of positives and of negatives, None where there are none."""

    positive: float | None
    negative: float | None


@dataclass(frozen=True)
class Batch:
    """The pairs of a step, flat in the order of the mask [B, D], and their targets [B, D].

    positive: which pairs are positives. Where a list has no relevant passage, it is the first: a
    ranking that nobody judged has its best there.
    """

    queries: Rows
    passages: Rows
    targets: npt.NDArray[np.float32]
    mask: Flags
    positive: Flags

    def means(self, scores: npt.NDArray[np.float32]) -> Means:
        """Return the mean scores of the positives and of the negatives, of the scores of pairs."""
        return Means(_mean(scores[self.positive]), _mean(scores[~self.positive]))


def _mean(scores: npt.NDArray[np.float32]) -> float | None:
    return float(scores.mean(dtype=np.float64)) if len(scores) else None

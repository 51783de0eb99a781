"""Training examples: a query with a pool of passages, of which each step shows a few.

Pure: rows of token files, grades and teacher scores in; the batch of a step out, as a function of
the seed and the step alone.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from redistil.learning.batches import Rows, step_rows
from redistil.seeds import generator


@dataclass(frozen=True)
class Examples:
    """N queries; the pool of query n is [offsets[n], offsets[n + 1]) of the flat arrays.

    queries [N] and passages [P] are rows of token files; relevance [P] are grades; teacher [P] are
    raw logits, or None for labels only. Of a file with more examples than a training shows, only
    those are held: size is how many there are, numbers [N] which of them these are, ascending.
    """

    queries: Rows
    offsets: Rows
    passages: Rows
    relevance: npt.NDArray[np.int32]
    teacher: npt.NDArray[np.float32] | None
    size: int
    numbers: Rows | None = None

    def batch(self, size: int, width: int, seed: int, step: int) -> "Batch":
        """Return the batch of a step: `size` queries with up to `width` passages each."""
        rows = step_rows(self.size, size, seed, step)
        if self.numbers is not None:
            rows = np.searchsorted(self.numbers, rows)
        rng = generator(seed, "documents", step)  # the name of the stream: the draws hang on it
        pools = []
        for row in rows:
            pools.append(self._shown(int(row), width, rng))
        sizes = np.array([len(pool) for pool in pools])
        mask = np.arange(sizes.max()) < sizes[:, None]
        shown = np.concatenate(pools)
        values = self.relevance if self.teacher is None else self.teacher
        targets = np.zeros(mask.shape, np.float32)
        targets[mask] = values[shown]
        queries = np.repeat(self.queries[rows], sizes)
        return Batch(queries, self.passages[shown], targets, mask)

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


@dataclass(frozen=True)
class Batch:
    """The pairs of a step, flat in the order of the mask [B, D], and their targets [B, D]."""

    queries: Rows
    passages: Rows
    targets: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]

"""Training examples: a query with a pool of passages, of which each step shows a few.

Pure: rows of token files, grades and teacher scores in; the batch of a step out, as a function of
the seed and the step alone.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from redistil.batches import Rows, step_rows
from redistil.seeds import generator


@dataclass(frozen=True)
class Examples:
    """N queries; the pool of query n is [offsets[n], offsets[n + 1]) of the flat arrays.

    queries [N] and passages [P] are rows of token files; relevance [P] are grades; teacher [P] are
    raw logits, or None for labels only.
    """

    queries: Rows
    offsets: Rows
    passages: Rows
    relevance: npt.NDArray[np.int32]
    teacher: npt.NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.queries)

    def batch(self, size: int, documents: int, seed: int, step: int) -> "Batch":
        """Return the batch of a step: `size` queries with up to `documents` passages each."""
        rows = step_rows(len(self), size, seed, step)
        rng = generator(seed, "documents", step)
        shown = [self._shown(int(row), documents, rng) for row in rows]
        mask = np.zeros((size, max(map(len, shown))), bool)
        targets = np.zeros(mask.shape, np.float32)
        values = self.relevance if self.teacher is None else self.teacher
        for place, flat in enumerate(shown):
            mask[place, : len(flat)] = True
            targets[place, : len(flat)] = values[flat]
        flat = np.concatenate(shown)
        queries = np.repeat(self.queries[rows], [len(part) for part in shown])
        return Batch(queries, self.passages[flat], targets, mask)

    def _shown(self, row: int, documents: int, rng: np.random.Generator) -> Rows:
        """Return places in the pool: one relevant passage if there is any, then others.

        Where labels are learnt, the other relevant ones are left out: they are no negatives.
        """
        pool = np.arange(self.offsets[row], self.offsets[row + 1])
        relevant = pool[self.relevance[pool] > 0]
        if not len(relevant):
            return _some(pool, documents, rng)
        first = rng.choice(relevant, 1)
        rest = pool[self.relevance[pool] <= 0] if self.teacher is None else pool[pool != first]
        return np.concatenate([first, _some(rest, documents - 1, rng)])


def _some(pool: Rows, count: int, rng: np.random.Generator) -> Rows:
    return pool if len(pool) <= count else np.sort(rng.choice(pool, count, replace=False))


@dataclass(frozen=True)
class Batch:
    """The pairs of a step, flat in the order of the mask [B, D], and their targets [B, D]."""

    queries: Rows
    passages: Rows
    targets: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]


def teacher_of(
    wanted: tuple[Rows, Rows], known: tuple[Rows, Rows], scores: npt.NDArray[np.float32], width: int
) -> tuple[npt.NDArray[np.float32], int]:
    """Return the score of each wanted (query, passage) pair, and how many have none.

    Joined on both rows, never on position; width: an upper bound of the passage rows.
    """
    keys = known[0] * width + known[1]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    asked = wanted[0] * width + wanted[1]
    if not len(keys):
        return np.zeros(len(asked), np.float32), len(asked)
    places = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    missing = int((keys[places] != asked).sum())
    return scores[order][places], missing

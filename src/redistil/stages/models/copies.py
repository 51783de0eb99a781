"""Negatives that a student reads as it reads a positive: their texts differ beyond its cap.

Pure: rows of a token file, pools and grades in; grades out.
"""

import numpy as np
import numpy.typing as npt

from redistil.learning.batches import Rows
from redistil.storage.ragged import Ragged

Grades = npt.NDArray[np.int32]
Keys = npt.NDArray[np.uint64]

SPREAD = np.uint64(0x9E3779B97F4A7C15)  # parts the keys of one text in several pools


def graded(tokens: Ragged, cap: int, sizes: Rows, passages: Rows, grades: Grades) -> Grades:
    """Return the grades of pools, in which a copy of a positive has its grade.

    tokens: of all passages, of which a student reads the first `cap`. sizes: of the pools;
    passages: their rows of `tokens`, one pool after the other. A passage without a token is no
    copy.
    """
    keys = _keys(tokens, cap, sizes, passages)
    is_positive = grades > 0
    positives, first = np.unique(keys[is_positive], return_index=True)
    if not len(positives):
        return grades
    place = np.searchsorted(positives, keys).clip(max=len(positives) - 1)
    is_copy = (positives[place] == keys) & ~is_positive & (tokens.lengths()[passages] > 0)
    return np.where(is_copy, grades[is_positive][first][place], grades)


def firsts(tokens: Ragged, cap: int, passages: Rows) -> Rows:
    """Return for each passage the first row of `tokens` that a student reads as it reads this."""
    rows, places = np.unique(passages, return_inverse=True)
    _, first, twin = np.unique(_hashes(tokens, cap, rows), return_index=True, return_inverse=True)
    first_rows: Rows = rows[first][twin][places]
    return first_rows


def _hashes(tokens: Ragged, cap: int, rows: Rows) -> Keys:
    """Return a number for each of these rows: equal for equal tokens, as far as they are read."""
    texts = (hash(tokens[row][:cap].tobytes()) for row in rows)
    return np.fromiter(texts, np.int64, len(rows)).astype(np.uint64)


def _keys(tokens: Ragged, cap: int, sizes: Rows, passages: Rows) -> Keys:
    """Return a number for each passage of a pool: equal for equal tokens within the pool."""
    rows, places = np.unique(passages, return_inverse=True)
    hashes = _hashes(tokens, cap, rows)
    pools = np.repeat(np.arange(len(sizes), dtype=np.uint64), sizes)
    keys: Keys = hashes[places] + pools * SPREAD
    return keys

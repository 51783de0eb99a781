"""Stretches of equal keys, one after the other: the queries of a run, a triple, a list.

Pure: arrays in, arrays out. Keys are whole numbers from 0.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


def stretches(keys: npt.NDArray[np.integer[Any]]) -> tuple[Indices, Indices]:
    """Return where each stretch of equal keys starts, and how long it is."""
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    return starts, np.diff(starts, append=len(keys))


def positions(keys: npt.NDArray[np.integer[Any]]) -> Indices:
    """Return 1, 2, ... within each stretch of equal keys."""
    starts, lengths = stretches(keys)
    places: Indices = np.arange(len(keys)) - np.repeat(starts, lengths) + 1
    return places

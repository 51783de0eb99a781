"""The known ids of a collection as small integers, and back: what tens of millions of rows need.

Pure: arrays in, arrays out.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int32]

DENSE = 16  # a table from number to code may have so many places for each id


class Identifiers:
    """Ids, sorted by their bytes. The code of an id is its place, so codes sort as ids do.

    numeric: every id is a plain decimal number ("7", never "007"), so that ids can be read as
    numbers, which is several times faster.
    """

    def __init__(self, ids: pa.Array | pa.ChunkedArray) -> None:
        self._table: Codes | None = None
        numbers = _numbers(ids)
        if numbers is None:
            placed = pa.chunked_array([ids]) if isinstance(ids, pa.Array) else ids
            placed = placed.take(pc.sort_indices(placed)).combine_chunks()
            self._ids = placed.filter(pa.array(_new(placed)))
            return
        numbers = np.sort(numbers)  # np.unique hashes: twenty times slower
        numbers = _by_digits(numbers[_new(numbers)])
        self._ids = pa.array(numbers).cast(pa.string())
        self._table = np.full(int(numbers.max()) + 1, -1, np.int32)
        self._table[numbers] = np.arange(len(numbers), dtype=np.int32)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def numeric(self) -> bool:
        return self._table is not None

    def codes(self, ids: pa.Array | pa.ChunkedArray) -> Codes:
        """Return the code of each id, given as text or, if `numeric`, as int32; -1 is unknown."""
        if pa.types.is_integer(ids.type):
            assert self._table is not None
            numbers = np.asarray(ids)
            known = (numbers >= 0) & (numbers < len(self._table))
            return np.where(known, self._table[np.where(known, numbers, 0)], np.int32(-1))
        found = pc.index_in(ids, value_set=self._ids)
        return np.asarray(pc.fill_null(found, -1)).astype(np.int32, copy=False)

    def find(self, ids: pa.Array | pa.ChunkedArray) -> Codes:
        """Return the code of each id, given as text, reading it as a number where all are."""
        numbers = _plain(ids) if self.numeric and len(ids) else None
        return self.codes(ids if numbers is None else pa.array(numbers))

    def ids(self, codes: npt.NDArray[np.integer]) -> pa.Array:
        """Return the ids that codes stand for."""
        return self._ids.take(pa.array(codes))


def _numbers(ids: pa.Array | pa.ChunkedArray) -> Codes | None:
    """Return ids as numbers, if all are plain decimal ones and a table of them is not too large."""
    numbers = _plain(ids)
    if numbers is None or not len(numbers) or numbers.max() >= DENSE * len(numbers):
        return None
    return numbers


def _plain(ids: pa.Array | pa.ChunkedArray) -> Codes | None:
    """Return ids as numbers, if all are plain decimal ones."""
    try:
        numbers = np.asarray(ids.cast(pa.int32()))
    except pa.ArrowInvalid:
        return None
    if len(numbers) and numbers.min() < 0:
        return None
    # a number that is not spelled plainly ("007") is spelled longer
    spelled = pc.sum(pc.binary_length(ids)).as_py()
    return numbers if spelled == int(_log10(numbers).sum()) + len(numbers) else None


def _log10(numbers: Codes) -> npt.NDArray[np.int64]:
    """Return the digits of each number beyond the first."""
    powers = 10 ** np.arange(1, 10)
    return np.searchsorted(powers, numbers, side="right")


def _new(values: Any) -> npt.NDArray[np.bool_]:
    """Return where sorted values differ from the one before."""
    if isinstance(values, pa.Array):
        later = pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    else:
        later = values[1:] != values[:-1]
    return np.concatenate([np.ones(min(len(values), 1), bool), later])


def _by_digits(numbers: Codes) -> Codes:
    """Return distinct numbers in the order of their decimal spelling: 1, 10, 2."""
    digits = _log10(numbers)
    aligned = numbers.astype(np.int64) * 10 ** (digits.max() - digits)
    return numbers[np.argsort(aligned * 16 + digits)]

"""Training triples that a collection brings along: a random sample of them."""

import logging
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadSource
from redistil.seeds import generator
from redistil.stages.corpora import irds
from redistil.stages.corpora.entries import progress
from redistil.storage.lineage import Made
from redistil.storage.tables import TRIPLES

SLACK = 1.5  # rows held at a time, of those that are kept

_log = logging.getLogger(__name__)


def export_docpairs(
    name: str,
    at_most: int,
    seed: int,
    out: Path,
    made: Made,
    leave_out: Collection[str] = (),
) -> None:
    """Write `at_most` training triples of an id of ir_datasets, drawn under `seed`.

    Every row of the file is as likely as any other: its first rows may be those of few queries.
    What the file repeats may be repeated. They are written in the order of all triples, and each
    training shuffles them itself. leave_out: queries not used. Raises BadSource when there is no
    row.
    """
    made = made.reading(*irds.sources({"irds": name}))
    batches = progress(irds.docpairs(name), "batches of docpairs")
    rows, read, left_out = sample(batches, at_most, seed, pa.array(sorted(leave_out), pa.string()))
    if not len(rows):
        raise BadSource(f"{name}: ir_datasets has no docpair in it that may be used: fetch it anew")
    with TRIPLES.writer(out, made) as write:
        write(rows.combine_chunks().sort_by(list(TRIPLES.order)))
    _log.info("%s: %d triples of %d", name, len(rows), read)
    if left_out:
        _log.warning("%s: %d triples are of queries that a test set has: left out", name, left_out)


class _Least:
    """Of rows that each have a number, the `count` with the least."""

    def __init__(self, count: int) -> None:
        self.count, self.bound = count, 1.0
        self._rows: list[pa.Table] = []
        self._numbers: list[npt.NDArray[np.float64]] = []

    def add(self, rows: pa.Table, numbers: npt.NDArray[np.float64]) -> None:
        self._rows.append(rows)
        self._numbers.append(numbers)
        if sum(map(len, self._numbers)) > SLACK * self.count:
            self._cut()

    def rows(self) -> pa.Table:
        """Return the rows, in the order they came."""
        self._cut()
        return pa.concat_tables(self._rows)

    def _cut(self) -> None:
        """Let go of all rows but those with the least numbers, and bound what may still come."""
        numbers = np.concatenate(self._numbers)
        if len(numbers) <= self.count:
            return
        self.bound = float(np.partition(numbers, self.count - 1)[self.count - 1])
        for place, each in enumerate(self._numbers):
            least = each <= self.bound
            self._rows[place] = self._rows[place].filter(pa.array(least))
            self._numbers[place] = each[least]


class Sample(NamedTuple):
    """Random rows, how many were read, and how many left out."""

    rows: pa.Table
    read: int
    left_out: int


def sample(batches: Iterable[pa.Table], at_most: int, seed: int, leave_out: pa.Array) -> Sample:
    """Return `at_most` random rows of all batches without the queries to leave out.

    Every row gets a random number from the stream of its batch, and those with the least are kept.
    Held are at most SLACK times the rows that are kept, and a batch: once there are enough, what
    comes is mostly let go at once.
    """
    kept, read, left_out = _Least(at_most), 0, 0
    for place, batch in enumerate(batches):
        numbers = generator(seed, "docpairs", place).random(len(batch))
        usable = np.asarray(pc.invert(pc.is_in(batch["query_id"], leave_out)))
        read += len(batch)
        left_out += int((~usable).sum())
        chosen = np.flatnonzero(usable & (numbers <= kept.bound))
        kept.add(batch.take(pa.array(chosen)), numbers[chosen])
    rows = kept.rows() if read else TRIPLES.schema.empty_table()
    return Sample(rows, read, left_out)

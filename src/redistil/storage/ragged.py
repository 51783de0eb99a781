"""Token files: ragged token ids, written as a stream, read as a memory map.

An Arrow IPC file with the columns `id` and `tokens`, in record batches of `BATCH` rows (the last
may be shorter). Opening it copies nothing: a row is a view into the page cache. So a corpus of
any size costs a process only the rows that it reads.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redistil.errors import BadTable
from redistil.storage import digests, lineage
from redistil.storage.identifiers import Places
from redistil.storage.lineage import Made
from redistil.storage.tables import aside

BATCH = 1 << 16
SCHEMA = pa.schema([("id", pa.string()), ("tokens", pa.large_list(pa.field("token", pa.int32())))])

Tokens = npt.NDArray[np.int32]


@contextmanager
def writer(path: Path, made: Made) -> Iterator[Callable[[list[str], list[list[int]]], None]]:
    """Give a function that appends (ids, tokens); the file appears complete or not at all."""
    schema = SCHEMA.with_metadata({lineage.KEY: made.dumps()})
    footer = {digests.KEY: digests.BLANK.decode()}
    with aside(path) as partial:
        with (
            pa.OSFile(str(partial), "wb") as sink,
            pa.ipc.new_file(sink, schema, metadata=footer) as out,
        ):
            waiting: list[pa.RecordBatch] = []

            def append(ids: list[str], tokens: list[list[int]]) -> None:
                columns = [pa.array(ids, pa.string()), _column(tokens)]
                waiting.append(pa.record_batch(columns, schema=schema))
                _write_batches(out, waiting, at_least=BATCH)

            yield append
            _write_batches(out, waiting, at_least=1)
        digests.seal(partial)


def _write_batches(
    out: pa.ipc.RecordBatchFileWriter, waiting: list[pa.RecordBatch], at_least: int
) -> None:
    """Write batches of `BATCH` rows while `at_least` rows wait; the rest stays in `waiting`."""
    while waiting and sum(map(len, waiting)) >= at_least:
        rows = pa.Table.from_batches(waiting).combine_chunks().to_batches()[0]
        first = np.arange(min(BATCH, len(rows)))
        # take, not slice: a slice would be written with the tokens behind it
        out.write_batch(rows.take(pa.array(first)))
        waiting[:] = [rows.slice(BATCH)]


def _column(tokens: Sequence[Sequence[int]]) -> pa.LargeListArray:
    """Return rows of token ids as a column: pyarrow itself takes twenty times as long."""
    offsets = np.zeros(len(tokens) + 1, np.int64)
    np.cumsum(list(map(len, tokens)), out=offsets[1:])
    values = np.fromiter(chain.from_iterable(tokens), np.int32, offsets[-1])
    return pa.LargeListArray.from_arrays(offsets, values, type=SCHEMA.field("tokens").type)


class Ragged:
    """The rows of a token file, by position; `rows` finds positions by id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._batches = _batches(path)
        self._offsets: list[npt.NDArray[np.int64]] = []
        self._values: list[Tokens] = []
        for batch in self._batches:
            self._offsets.append(batch["tokens"].offsets.to_numpy())
            self._values.append(batch["tokens"].values.to_numpy())

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    def __getitem__(self, row: int) -> Tokens:
        """Return the token ids of a row, without special tokens."""
        batch, local = divmod(int(row), BATCH)
        start, end = self._offsets[batch][local : local + 2]
        tokens: Tokens = self._values[batch][start:end]
        return tokens

    def lengths(self) -> npt.NDArray[np.int64]:
        """Return the number of tokens of every row."""
        if not self._offsets:
            return np.zeros(0, np.int64)
        return np.concatenate(list(map(np.diff, self._offsets)))

    def ids(self) -> pa.ChunkedArray:
        """Return the ids in row order."""
        return pa.chunked_array([batch["id"] for batch in self._batches], pa.string())

    @cached_property
    def _places(self) -> Places:
        return Places(self.ids(), self.path)

    def rows(self, ids: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """Return the row of each id; BadTable naming the first that has none."""
        if not len(ids):
            return np.zeros(0, np.int64)
        return self._places.of(ids)


def _batches(path: Path) -> list[pa.RecordBatch]:
    """Return the batches of a token file, mapped into memory; BadTable if it is none."""
    digests.check_if_sealed(path)
    try:
        file = pa.ipc.open_file(pa.memory_map(str(path)))
        batches = list(map(file.get_batch, range(file.num_record_batches)))
    except (pa.ArrowException, OSError) as error:
        raise BadTable(
            f"{path} is not a readable token file ({error}): {digests.again(path)}"
        ) from None
    if lineage.KEY in (file.schema.metadata or {}):
        digests.check(path)
    if file.schema.remove_metadata() != SCHEMA:
        raise BadTable(f"{path} is not a token file: wanted id and tokens, got {file.schema.names}")
    if any(len(batch) != BATCH for batch in batches[:-1]):
        raise BadTable(f"{path} is not a token file: wanted pieces of {BATCH} rows")
    return batches


def with_rows(pairs: pa.Table, queries: Ragged, passages: Ragged) -> pa.Table:
    """Return pairs (query_id, doc_id) with their rows in two token files, for `rows_of`."""
    query_rows = queries.rows(pairs["query_id"])
    passage_rows = passages.rows(pairs["doc_id"])
    placed = pairs.append_column("query_row", pa.array(query_rows))
    return placed.append_column("passage_row", pa.array(passage_rows))


def rows_of(pairs: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rows that `with_rows` gave to pairs: of queries, and of passages."""
    return pairs["query_row"].to_numpy(), pairs["passage_row"].to_numpy()

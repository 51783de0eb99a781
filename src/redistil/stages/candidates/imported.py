"""A run from elsewhere as a first stage, however long: 500 passages of half a million queries."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from redistil.errors import BadTable
from redistil.stages.candidates.cut import first
from redistil.stages.candidates.judged import Judged
from redistil.storage.lineage import Made
from redistil.storage.scratch import scratch
from redistil.storage.tables import RUN
from redistil.storage.trec import pairs

ROWS = 1 << 20  # rows ranked and written at a time, whole queries of them


def import_run(
    source: Path, qrels: Path, out: Path, made: Made, *, drop_identical: bool, least_success: float
) -> None:
    """Write a TREC or Parquet run as a table: ranks anew from its scores, in canonical order.

    A (query, passage) that occurs twice is refused, and a run that finds nothing, as by `Judged`.
    """
    judged = Judged(qrels, least_success)
    with RUN.writer(out, made) as write, _by_query(source, out) as blocks:
        for block in blocks:
            write(judged.passing(RUN.check(first(block, len(block), drop_identical), str(source))))
        judged.conclude(str(source))


@contextmanager
def _by_query(source: Path, out: Path) -> Iterator[Iterator[pa.Table]]:
    """Give the pairs of a run in blocks of whole queries, sorted by query_id.

    The run is copied beside the output as uncompressed Arrow and mapped into memory, so that the
    stretches of each query can be picked up in any order: what is held is one block and the list of
    stretches. A run file keeps a query in one stretch; one that does not is sorted all the same.
    """
    with scratch(out) as folder:
        copy = folder / "run.arrow"
        stretches = _copied(source, copy)
        with pa.memory_map(str(copy)) as mapped:
            yield _blocks(pa.ipc.open_file(mapped), stretches)


def _copied(source: Path, copy: Path) -> pa.Table:
    """Copy the pairs of a run; return its stretches (query_id, batch, start, length), sorted."""
    found: list[pa.Table] = []
    with pa.OSFile(str(copy), "wb") as sink, tqdm(unit="row", unit_scale=True, delay=1) as bar:
        out = None
        filled = (piece.combine_chunks() for piece in pairs(source) if len(piece))
        for number, rows in enumerate(filled):
            out = out or pa.ipc.new_file(sink, rows.schema)
            out.write_batch(pa.RecordBatch.from_arrays(_columns(rows), schema=rows.schema))
            found.append(_stretches(rows["query_id"], number))
            bar.update(len(rows))
        if out is not None:
            out.close()
    if not found:
        raise BadTable(f"{source}: wanted a run, got no row at all")
    return pa.concat_tables(found).sort_by("query_id")


def _columns(rows: pa.Table) -> list[pa.Array]:
    return [column.combine_chunks() for column in rows.columns]


def _stretches(query_ids: pa.ChunkedArray, batch: int) -> pa.Table:
    runs = pc.run_end_encode(query_ids.combine_chunks())
    ends = runs.run_ends.to_numpy()
    starts = [0, *ends[:-1].tolist()]
    return pa.table(
        {
            "query_id": runs.values,
            "batch": pa.repeat(pa.scalar(batch, pa.int32()), len(ends)),
            "start": pa.array(starts, pa.int32()),
            "length": pa.array(ends - starts, pa.int32()),
        }
    )


def _blocks(file: pa.ipc.RecordBatchFileReader, stretches: pa.Table) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    held, last = 0, None
    for query_id, batch, start, length in _rows(stretches):
        if held >= ROWS and query_id != last:
            yield pa.Table.from_batches(waiting).combine_chunks()
            waiting, held = [], 0
        waiting.append(file.get_batch(batch).slice(start, length))
        held, last = held + length, query_id
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()


def _rows(stretches: pa.Table) -> Iterator[tuple[str, int, int, int]]:
    for some in stretches.to_batches(max_chunksize=1 << 16):
        yield from zip(*(column.to_pylist() for column in some.columns), strict=True)

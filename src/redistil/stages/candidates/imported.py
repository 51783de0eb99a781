"""A run from elsewhere as a first stage, however long: 500 passages of half a million queries."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from tqdm import tqdm

from redistil.errors import BadTable
from redistil.stages.candidates.cut import first
from redistil.stages.candidates.judged import Judged
from redistil.storage.lineage import Made
from redistil.storage.pieces import in_pieces, in_row_groups
from redistil.storage.sql import Database, database
from redistil.storage.tables import RUN
from redistil.storage.trec import pairs

ROWS = 1 << 20  # rows ranked and written at a time, whole queries of them
THREADS = 2  # that sort


def import_run(
    source: Path, qrels: Path, out: Path, made: Made, *, drop_identical: bool, least_success: float
) -> None:
    """Write a TREC or Parquet run as a table: ranks anew from its scores, in canonical order.

    A (query, passage) that occurs twice is refused, and a run that finds nothing, as by `Judged`.
    """
    judged = Judged(qrels, least_success)
    with (
        database(out, THREADS) as run,
        RUN.writer(out, made) as write,
        in_row_groups(RUN, write) as append,
    ):
        for piece in _by_query(source, run):
            ranked = first(piece, len(piece), drop_identical)
            append(judged.passing(RUN.check(ranked, str(source))))
        judged.conclude(str(source))


def _by_query(source: Path, run: Database) -> Iterator[pa.Table]:
    """Yield the pairs of a run in pieces of whole queries, sorted by query_id."""
    count = 0
    with tqdm(unit="row", unit_scale=True, delay=1) as bar:
        for rows in pairs(source):
            run.add("run", rows)
            count += len(rows)
            bar.update(len(rows))
    if not count:
        raise BadTable(f"{source}: wanted a run, got no row at all")
    yield from in_pieces(run.rows("FROM run ORDER BY query_id, doc_id, score"), ROWS)

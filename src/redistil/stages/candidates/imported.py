"""A run from elsewhere as a first stage, however long: 500 passages of half a million queries."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from redistil.errors import BadTable
from redistil.stages.candidates.judged import Judged
from redistil.storage.lineage import Made
from redistil.storage.orders import ORDER, Order
from redistil.storage.pieces import in_pieces, in_row_groups
from redistil.storage.sql import Database, database
from redistil.storage.tables import QRELS, RUN, numbered
from redistil.storage.trec import pairs

ROWS = 1 << 20  # rows ranked and written at a time, whole queries of them
THREADS = 2  # that sort
IDS = {"queries": "query_id", "passages": "doc_id"}

_log = logging.getLogger(__name__)


def import_run(
    source: Path, qrels: Path, out: Path, made: Made, *, drop_identical: bool, least_success: float
) -> None:
    """Write a TREC or Parquet run as a table: ranked anew by its scores, ties by its own ranks.

    Refused are a (query, passage) that occurs twice and ranks that contradict the scores; a run of
    other queries or passages than the judged ones; one that finds nothing, as by `Judged`.
    """
    judged, order, met = Judged(qrels, least_success), Order(), _Met(qrels)
    with (
        database(out, THREADS) as run,
        RUN.writer(out, made) as write,
        in_row_groups(RUN, write) as append,
    ):
        for piece in _by_query(source, run):
            rows = piece.sort_by(ORDER)
            order.add(rows)
            met.add(rows)
            if drop_identical:
                rows = rows.filter(pc.not_equal(rows["query_id"], rows["doc_id"]))
            append(judged.passing(RUN.check(numbered(rows), str(source))))
        order.refuse(str(source))
        met.refuse(source)
        judged.conclude(str(source))
    for line in order.said():
        _log.warning("%s: %s", source, line)


class _Met:
    """Which kinds of ids a run shares with judgements, as its pieces pass by."""

    def __init__(self, qrels: Path) -> None:
        self._qrels = qrels
        rows = QRELS.read(qrels)
        self._unmet = {kind: rows[name].unique() for kind, name in IDS.items() if len(rows)}
        self._first: dict[str, str] = {}

    def add(self, rows: pa.Table) -> None:
        """Look for ids that are judged; what was found once is not looked for again."""
        for kind, judged_ids in list(self._unmet.items()):
            ids = rows[IDS[kind]]
            self._first.setdefault(kind, ids[0].as_py())
            if pc.any(pc.is_in(ids, judged_ids)).as_py():
                del self._unmet[kind]

    def refuse(self, source: Path) -> None:
        """Raise BadTable where no query, or no passage, is a judged one: every value would be 0."""
        for kind, judged_ids in self._unmet.items():
            raise BadTable(
                f"{source}: none of its {kind} is judged (first: {self._first[kind]!r}; in "
                f"{self._qrels}: {judged_ids[0].as_py()!r}): give a run of this dataset"
            )


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
    yield from in_pieces(run.rows("FROM run ORDER BY query_id, doc_id, score, rank"), ROWS)

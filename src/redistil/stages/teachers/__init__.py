"""Teacher scores: one raw logit for each (query, passage), whoever gave it.

Computed by a trained cross-encoder or BM25, averaged into an ensemble, or imported from a published
file.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from redistil.machine import costs
from redistil.machine.energy import Meter, Note
from redistil.machine.hardware import commit
from redistil.storage.lineage import Made
from redistil.storage.pieces import in_pieces
from redistil.storage.pools import pairs_by_query
from redistil.storage.shards import Shards
from redistil.storage.tables import TEACHER_SCORES

SHARD = 1 << 16  # pairs scored and written together, and lost at most when a job is killed
COST = ".cost.json"  # in the place of a file's suffix: what it cost
KEY = ["query_id", "doc_id"]
IN_ORDER = [("query_id", "ascending"), ("doc_id", "ascending")]
NOTHING = pa.table(dict.fromkeys(KEY, pa.array([], pa.string())))


def score(
    model: Path,
    tokens: tuple[Path, Path],
    over: Sequence[Path],
    out: Path,
    made: Made,
    precision: str,
    processes: Any,
) -> None:
    """Write the raw logit of each distinct pair of `over` (triples or lists) under `model`.

    Deals shards of queries out to the processes. A job that was killed goes on where it stopped.
    Time and energy are written beside `out`, to a file of that name with .cost.json.
    """
    from redistil.learning.scoring import score_pairs
    from redistil.learning.students import load
    from redistil.machine.processes import check_precision
    from redistil.storage.ragged import Ragged, rows_of

    source = commit() if processes.first else ""
    check_precision(precision, processes.device)
    queries, passages = map(Ragged, tokens)
    student = load(model).to(processes.device)
    shards = Shards(TEACHER_SCORES, out, made)
    count = 0
    note = Note.beside(out.with_suffix(COST), made.fingerprint) if processes.first else None
    with Meter(processes.gpus if processes.first else (), note=note) as meter:
        for number, pairs in enumerate(in_pieces(_placed(over, queries, passages), SHARD)):
            count += 1
            is_ours = number % processes.count == processes.rank
            if is_ours and not shards.has(number):
                scores = score_pairs(student, queries, passages, rows_of(pairs), precision)
                scored = pairs.select(KEY).append_column("score", pa.array(scores))
                TEACHER_SCORES.write(scored, shards.path(number), made)
        processes.wait()
        spent = meter.spent()
    if processes.first:
        pairs_scored = shards.join(count)
        costs.account(spent, pairs_scored, processes, source, out.with_suffix(COST))


def _placed(over: Sequence[Path], queries: Any, passages: Any) -> Iterator[pa.Table]:
    """Yield the distinct pairs with their rows in two token files."""
    from redistil.storage.ragged import with_rows

    for pairs in distinct_pairs(over):
        yield with_rows(pairs, queries, passages)


def distinct_pairs(files: Sequence[Path]) -> Iterator[pa.Table]:
    """Yield every (query_id, doc_id) that some triples or lists name, once and in order.

    Merges the files by query: one piece of each is held.
    """
    waiting = []
    for path in files:
        waiting.append(_Waiting(NOTHING, pairs_by_query(path)).filled())
    while waiting := _with_rows_left(waiting):
        # a piece never parts a query: no file has more rows of the queries up to this one
        last = min(each.last for each in waiting)
        taken, left = [], []
        for each in waiting:
            count = pc.sum(pc.less_equal(each.rows["query_id"], last)).as_py()
            taken.append(each.rows.slice(0, count))
            left.append(each.without(count).filled())
        distinct = pa.concat_tables(taken).group_by(KEY).aggregate([])
        yield distinct.sort_by(IN_ORDER)
        waiting = left


class _Waiting(NamedTuple):
    """Rows of a file that nobody took yet, and the pieces that follow."""

    rows: pa.Table
    pieces: Iterator[pa.Table]

    @property
    def last(self) -> str:
        """The last query of the rows."""
        query_id: str = self.rows["query_id"][-1].as_py()
        return query_id

    def without(self, count: int) -> "_Waiting":
        """Return the same without the first rows."""
        return self._replace(rows=self.rows.slice(count))

    def filled(self) -> "_Waiting":
        """Return the same with the next piece, if no row is left."""
        return self if len(self.rows) else self._replace(rows=next(self.pieces, NOTHING))


def _with_rows_left(waiting: Sequence[_Waiting]) -> list[_Waiting]:
    return [each for each in waiting if len(each.rows)]

"""Teacher scores: one raw logit for each (query, passage), whoever gave it.

Computed by a trained cross-encoder, averaged into an ensemble, or imported from a published file.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from redistil.storage.lineage import Made
from redistil.storage.pieces import in_pieces
from redistil.storage.pools import pairs_by_query
from redistil.storage.shards import Shards
from redistil.storage.tables import TEACHER_SCORES

SHARD = 1 << 16  # pairs scored and written together, and lost at most when a job is killed
KEY = ["query_id", "doc_id"]
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

    Goes through the queries in shards, dealt out to the processes; what a killed job had finished
    is not scored again.
    """
    from redistil.learning.scoring import score_pairs
    from redistil.learning.students import load
    from redistil.machine.processes import check_precision
    from redistil.storage.ragged import Ragged, rows_of, with_rows

    check_precision(precision, processes.device)
    queries, passages = map(Ragged, tokens)
    student = load(model).to(processes.device)
    found = (with_rows(some, [(queries, passages)]) for some in distinct_pairs(over))
    shards, count = Shards(TEACHER_SCORES, out, made), 0
    for number, pairs in enumerate(in_pieces(found, SHARD)):
        count += 1
        if number % processes.count == processes.rank and not shards.has(number):
            (rows,) = rows_of(pairs, 1)
            scores = score_pairs(student, queries, passages, rows, precision)
            scored = pairs.select(KEY).append_column("score", pa.array(scores))
            TEACHER_SCORES.write(scored, shards.path(number), made)
    processes.wait()
    if processes.first:
        shards.join(count)


def distinct_pairs(files: Sequence[Path]) -> Iterator[pa.Table]:
    """Yield every (query_id, doc_id) that some triples or lists name, once and in order.

    The files are merged by query: a piece of each is all that is held.
    """
    sources = [pairs_by_query(path) for path in files]
    waiting = [(source, next(source, NOTHING)) for source in sources]
    while waiting := [(source, rows) for source, rows in waiting if len(rows)]:
        # a piece never parts a query: up to this one, no file has more to come
        last = min(rows["query_id"][-1].as_py() for _, rows in waiting)
        cuts = [pc.sum(pc.less_equal(rows["query_id"], last)).as_py() for _, rows in waiting]
        parts = [(*part, cut) for part, cut in zip(waiting, cuts, strict=True)]
        found = pa.concat_tables(rows.slice(0, cut) for _, rows, cut in parts)
        yield found.group_by(KEY).aggregate([]).sort_by([(name, "ascending") for name in KEY])
        waiting = [
            (source, rows.slice(cut) if cut < len(rows) else next(source, NOTHING))
            for source, rows, cut in parts
        ]

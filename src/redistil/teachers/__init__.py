"""Teacher scores: one raw logit for each (query, passage), whoever gave it.

Computed by a trained cross-encoder, averaged into an ensemble, or imported from a published file.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadTable
from redistil.lineage import Made
from redistil.shards import Shards
from redistil.tables import LISTS, TEACHER_SCORES, TRIPLES, in_pieces

SHARD = 1 << 16  # pairs scored and written together, and lost at most when a job is killed


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
    from redistil.processes import check_precision
    from redistil.ragged import Ragged, rows_of, with_rows
    from redistil.scoring import score_pairs
    from redistil.students import load

    check_precision(precision, processes.device)
    queries, passages = map(Ragged, tokens)
    student = load(model).to(processes.device)
    found = with_rows(distinct_pairs(over), [(queries, passages)])
    shards, count = Shards(TEACHER_SCORES, out, made), 0
    for number, pairs in enumerate(in_pieces([found], SHARD)):
        count += 1
        if number % processes.count == processes.rank and not shards.has(number):
            (rows,) = rows_of(pairs, 1)
            scores = score_pairs(student, queries, passages, rows, precision)
            scored = pairs.select(["query_id", "doc_id"]).append_column("score", pa.array(scores))
            TEACHER_SCORES.write(scored, shards.path(number), made)
    processes.wait()
    if processes.first:
        shards.join(count)


def distinct_pairs(files: Sequence[Path]) -> pa.Table:
    """Return every (query_id, doc_id) that some triples or lists name, once."""
    found = pa.concat_tables([part for path in files for part in _pairs_of(path)])
    return (
        found.group_by(["query_id", "doc_id"])
        .aggregate([])
        .sort_by([("query_id", "ascending"), ("doc_id", "ascending")])
    )


def _pairs_of(path: Path) -> Iterator[pa.Table]:
    try:
        rows = TRIPLES.read(path)
    except BadTable:
        lists = LISTS.read(path)
        yield pa.table(
            {
                "query_id": lists["query_id"].take(pc.list_parent_indices(lists["doc_ids"])),
                "doc_id": pc.list_flatten(lists["doc_ids"]),
            }
        )
        return
    for side in ("positive_id", "negative_id"):
        yield pa.table({"query_id": rows["query_id"], "doc_id": rows[side]})

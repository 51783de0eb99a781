"""Teacher scores: one raw logit for each (query, passage), whoever gave it.

Computed by a trained cross-encoder, averaged into an ensemble, or imported from a published file.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadTable, UserError
from redistil.lineage import Made
from redistil.shards import Shards
from redistil.tables import LISTS, TEACHER_SCORES, TRIPLES, aside, in_pieces
from redistil.trec import read_columns, read_run

Floats = npt.NDArray[np.float32]

SHARD = 1 << 16  # pairs scored and written together, and lost at most when a job is killed

SCORED_TRIPLES = ("positive_score", "negative_score", "query_id", "positive_id", "negative_id")


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


def average(members: Sequence[Path], out: Path, made: Made) -> list[str]:
    """Write the plain mean of raw logits, the ensemble of arXiv 2010.02666; tell how they agree.

    Raises UserError when the members did not score the same pairs: a missing one would silently
    change the mean.
    """
    tables = [TEACHER_SCORES.read(path) for path in members]
    for path, table in zip(members, tables, strict=True):
        if not table.select(["query_id", "doc_id"]).equals(
            tables[0].select(["query_id", "doc_id"])
        ):
            raise UserError(
                f"{path} and {members[0]} scored different pairs: score the same triples or lists "
                "with every member"
            )
    scores = np.stack([table["score"].to_numpy() for table in tables])
    mean = scores.mean(axis=0, dtype=np.float64).astype(np.float32)
    TEACHER_SCORES.write(tables[0].set_column(2, "score", pa.array(mean)), out, made)
    return [
        f"{path}: mean {row.mean():.3f}, spread {row.std():.3f}, correlation with the ensemble "
        f"{_correlation(row, mean):.3f}"
        for path, row in zip(members, scores, strict=True)
    ]


def _correlation(left: Floats, right: Floats) -> float:
    """Return Pearson's r; 0 where one side does not vary."""
    if not (np.ptp(left) and np.ptp(right)):
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])


def import_scores(source: Path, scores: Path, pairs: Path, made: Made, form: str) -> None:
    """Write the teacher scores of a published file, and the triples or lists that it scores.

    form: "scored-triples" (five columns: positive score, negative score, query, positive,
    negative; Zenodo 4068216) or "trec" (a run whose score is the teacher's; Zenodo 12528410).
    Both files appear, or neither. Raises BadTable when a pair has two different scores.
    """
    if form == "trec":
        rows = read_run(source)
        table, pools = LISTS, _lists(rows)
    else:
        triples = read_columns(source, SCORED_TRIPLES, "\t")
        table, pools = TRIPLES, triples.select(TRIPLES.schema.names)
        rows = _pair_scores(triples, source)
    with aside(scores) as first, aside(pairs) as second:
        TEACHER_SCORES.write(rows.select(TEACHER_SCORES.schema.names), first, made)
        table.write(pools, second, made)


def _lists(rows: pa.Table) -> pa.Table:
    """Return each query's passages, best first, none of them marked relevant.

    A teacher's ranking says nothing of judgements.
    """
    ordered = rows.sort_by(
        [("query_id", "ascending"), ("score", "descending"), ("doc_id", "descending")]
    )
    lists = ordered.group_by("query_id", use_threads=False).aggregate([("doc_id", "list")])
    doc_ids = lists["doc_id_list"].to_pylist()
    return LISTS.rows(
        {
            "query_id": lists["query_id"].combine_chunks(),
            "doc_ids": doc_ids,
            "relevances": [[0] * len(ids) for ids in doc_ids],
        }
    )


def _pair_scores(triples: pa.Table, source: Path) -> pa.Table:
    """Return the score of each distinct pair, which every triple that has the pair must share."""
    sides = [
        pa.table(
            [triples["query_id"], triples[f"{side}_id"], triples[f"{side}_score"]],
            names=TEACHER_SCORES.schema.names,
        )
        for side in ("positive", "negative")
    ]
    found = (
        pa.concat_tables(sides)
        .group_by(["query_id", "doc_id"])
        .aggregate([("score", "min"), ("score", "max")])
    )
    differing = found.filter(pc.not_equal(found["score_min"], found["score_max"]))
    if len(differing):
        first = differing.slice(0, 1).to_pylist()[0]
        raise BadTable(
            f"{source}: {len(differing)} of {len(found)} pairs have different scores (first: query "
            f"{first['query_id']!r}, passage {first['doc_id']!r}): which one is the teacher's?"
        )
    return found.select(["query_id", "doc_id", "score_min"]).rename_columns(
        TEACHER_SCORES.schema.names
    )

"""Teacher scores: one raw logit for each (query, passage), whoever gave it.

Computed by a trained cross-encoder, averaged into an ensemble, or imported from a published file.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadTable, UserError
from redistil.lineage import Made
from redistil.tables import LISTS, TEACHER_SCORES, TRIPLES
from redistil.trec import read_columns, read_run

SCORED_TRIPLES = ("positive_score", "negative_score", "query_id", "positive_id", "negative_id")


def score(
    model: Path,
    tokens: tuple[Path, Path],
    over: Sequence[Path],
    out: Path,
    made: Made,
    precision: str,
    device: object,
) -> None:
    """Write the raw logit of each distinct pair of `over` (triples or lists) under `model`."""
    from redistil.ragged import Ragged
    from redistil.scoring import score_pairs
    from redistil.students import load

    queries, passages = map(Ragged, tokens)
    pairs = distinct_pairs(over)
    rows = queries.rows(pairs["query_id"]), passages.rows(pairs["doc_id"])
    scores = score_pairs(load(model).to(device), queries, passages, rows, precision)
    TEACHER_SCORES.write(pairs.append_column("score", pa.array(scores)), out, made)


def distinct_pairs(files: Sequence[Path]) -> pa.Table:
    """Return every (query_id, doc_id) that some triples or lists name, once."""
    found = pa.concat_tables([part for path in files for part in _pairs_of(path)])
    return found.group_by(["query_id", "doc_id"]).aggregate([]).sort_by(
        [("query_id", "ascending"), ("doc_id", "ascending")]
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
        if not table.select(["query_id", "doc_id"]).equals(tables[0].select(["query_id", "doc_id"])):
            raise UserError(
                f"{path} and {members[0]} scored different pairs: score the same triples or lists "
                "with every member"
            )
    scores = np.stack([table["score"].to_numpy() for table in tables])
    mean = scores.mean(axis=0, dtype=np.float64).astype(np.float32)
    TEACHER_SCORES.write(tables[0].set_column(2, "score", pa.array(mean)), out, made)
    agreement = np.corrcoef(scores)
    return [
        f"{path}: mean {row.mean():.3f}, spread {row.std():.3f}, correlation with the ensemble "
        f"{np.corrcoef(row, mean)[0, 1]:.3f}"
        for path, row in zip(members, scores, strict=True)
        if np.isfinite(agreement).all()
    ]


def import_scores(source: Path, scores: Path, pairs: Path, made: Made, form: str) -> None:
    """Write the teacher scores of a published file, and the triples or lists that it scores.

    form: "scored-triples" (five columns: positive score, negative score, query, positive,
    negative; Zenodo 4068216) or "trec" (a run whose score is the teacher's; Zenodo 12528410).
    """
    if form == "trec":
        rows = read_run(source)
        ordered = rows.sort_by(
            [("query_id", "ascending"), ("score", "descending"), ("doc_id", "descending")]
        )
        lists = ordered.group_by("query_id", use_threads=False).aggregate([("doc_id", "list")])
        # a teacher's ranking says nothing of judgements: no passage is marked relevant
        zeros = [[0] * len(ids) for ids in lists["doc_id_list"]]
        LISTS.write(
            LISTS.rows(
                {
                    "query_id": lists["query_id"].combine_chunks(),
                    "doc_ids": lists["doc_id_list"].to_pylist(),
                    "relevances": zeros,
                }
            ),
            pairs,
            made,
        )
    else:
        triples = read_columns(source, SCORED_TRIPLES, "\t")
        TRIPLES.write(triples.select(TRIPLES.schema.names), pairs, made)
        sides = [
            pa.table(
                {
                    "query_id": triples["query_id"],
                    "doc_id": triples[f"{side}_id"],
                    "score": triples[f"{side}_score"],
                }
            )
            for side in ("positive", "negative")
        ]
        # a pair that occurs in several triples carries the same score each time
        rows = (
            pa.concat_tables(sides)
            .group_by(["query_id", "doc_id"])
            .aggregate([("score", "min")])
            .rename_columns({"score_min": "score"})
        )
    TEACHER_SCORES.write(rows.select(TEACHER_SCORES.schema.names), scores, made)

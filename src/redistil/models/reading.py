"""What a training reads: examples with their teacher's scores, candidates to validate on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadTable
from redistil.examples import Examples, teacher_of
from redistil.ragged import Ragged
from redistil.tables import LISTS, QRELS, RUN, TEACHER_SCORES, TRIPLES, top
from redistil.validation import Judged


@dataclass(frozen=True)
class Dataset:
    """A data set to validate on: candidates, qrels, and token files of queries and passages."""

    name: str
    candidates: Path
    qrels: Path
    queries: Path
    passages: Path


def judged_candidates(
    dataset: Dataset, tokens: tuple[Ragged, Ragged], asked: Mapping[str, Any]
) -> Judged:
    """Return the first `depth` candidates of each judged query, with their grades."""
    qrels = QRELS.read(dataset.qrels).sort_by(
        [("query_id", "ascending"), ("relevance", "descending")]
    )
    ids = pc.unique(qrels["query_id"])
    run = top(RUN.read(dataset.candidates), asked["depth"])
    run = run.filter(pc.is_in(run["query_id"], ids))
    if not len(run):
        raise BadTable(
            f"{dataset.candidates} has no candidates for the judged queries of {dataset.qrels}: "
            "are both of one dataset?"
        )
    keys = ["query_id", "doc_id"]
    # a join keeps no order: the place of each candidate brings it back
    run = run.append_column("place", pa.array(np.arange(len(run))))
    grades = run.join(qrels, keys=keys).sort_by("place")["relevance"]
    starts = np.searchsorted(
        pc.index_in(qrels["query_id"], ids).to_numpy(), np.arange(len(ids) + 1)
    )
    relevance = qrels["relevance"].to_numpy().astype(np.float64)
    order = pc.array_sort_indices(run["doc_id"], order="descending").to_numpy()
    last = np.empty(len(run), np.int64)
    last[order] = np.arange(len(run))
    queries, passages = tokens
    return Judged(
        query=pc.index_in(run["query_id"], ids).to_numpy().astype(np.int64),
        queries=queries.rows(run["query_id"]),
        passages=passages.rows(run["doc_id"]),
        grade=pc.fill_null(grades, 0).to_numpy().astype(np.float64),
        last=last,
        ideal=tuple(relevance[a:b] for a, b in zip(starts[:-1], starts[1:], strict=True)),
        relevant_from=asked["datasets"][dataset.name],
    )


def read_examples(
    queries: Ragged, passages: Ragged, negatives: Path, teacher: Path | None
) -> Examples:
    """Return triples or lists as rows of the token files, with a teacher's scores if there is one.

    Raises BadTable when a pair has no score, or an id no tokens.
    """
    query_ids, doc_ids, offsets, relevance = _pools(negatives)
    query_rows, passage_rows = queries.rows(query_ids), passages.rows(doc_ids)
    scores = None
    if teacher is not None:
        rows = TEACHER_SCORES.read(teacher)
        # a teacher may have scored collections beyond this one: what is not wanted is not looked up
        rows = rows.filter(pc.is_in(rows["query_id"], pc.unique(query_ids)))
        known = queries.rows(rows["query_id"]), passages.rows(rows["doc_id"])
        wanted = np.repeat(query_rows, np.diff(offsets)), passage_rows
        scores, missing = teacher_of(wanted, known, rows["score"].to_numpy(), len(passages))
        if missing:
            raise BadTable(
                f"{teacher} has no score for {missing} of {len(passage_rows)} pairs of "
                f"{negatives}: score them with this teacher first"
            )
    return Examples(query_rows, offsets, passage_rows, relevance, scores)


def _pools(path: Path) -> tuple[pa.ChunkedArray, pa.Array, Any, Any]:
    """Return query ids [N], doc ids [P], offsets [N + 1] and relevances [P]."""
    try:
        rows = LISTS.read(path)
    except BadTable:
        triples = TRIPLES.read(path)
        if not len(triples):
            raise BadTable(f"{path} has no triple to train on") from None
        sides = [triples["positive_id"].to_numpy(), triples["negative_id"].to_numpy()]
        docs = pa.array(np.stack(sides, axis=1).ravel(), pa.string())
        offsets = np.arange(0, len(docs) + 1, 2)
        return triples["query_id"], docs, offsets, np.tile(np.array([1, 0], np.int32), len(triples))
    if not len(rows):
        raise BadTable(f"{path} has no list to train on")
    sizes = pc.list_value_length(rows["doc_ids"]).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    docs = pc.list_flatten(rows["doc_ids"]).combine_chunks()
    return rows["query_id"], docs, offsets, pc.list_flatten(rows["relevances"]).to_numpy()

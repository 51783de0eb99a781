"""What a training reads: examples with their teacher's scores, candidates to validate on."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadTable
from redistil.learning.batches import Rows, rows_shown
from redistil.learning.examples import Examples
from redistil.learning.validation import Judged
from redistil.storage.pools import Pools, pools
from redistil.storage.ragged import Ragged
from redistil.storage.tables import LISTS, QRELS, RUN, TRIPLES, top
from redistil.study.recipes import Recipe, Validated


@dataclass(frozen=True)
class Dataset:
    """A dataset to validate on: candidates, qrels, and token files of queries and passages."""

    name: str
    candidates: Path
    qrels: Path
    queries: Path
    passages: Path


def judged_candidates(dataset: Dataset, tokens: tuple[Ragged, Ragged], how: Validated) -> Judged:
    """Return the first `depth` candidates of each judged query, with their grades."""
    qrels = QRELS.read(dataset.qrels).sort_by(
        [("query_id", "ascending"), ("relevance", "descending")]
    )
    ids = pc.unique(qrels["query_id"])
    run = top(RUN.read(dataset.candidates), how.depth)
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
        relevant_from=how.datasets[dataset.name],
    )


def read_examples(
    queries: Ragged, passages: Ragged, negatives: Path, teacher: Path | None, recipe: Recipe
) -> Examples:
    """Return triples or lists as rows of the token files, with a teacher's scores if there is one.

    Reads the files in pieces and keeps what the steps of the recipe show: 200,000 steps of 32
    triples need a sixth of the 40 million of arXiv 2010.02666. Raises BadTable when a pair has no
    score, or an id no tokens.
    """
    kind, size = _examples_of(negatives)
    if not size:
        raise BadTable(f"{negatives} has no {kind} to train on")
    shown = rows_shown(size, recipe.batch, recipe.seed, recipe.steps)
    parts: list[_Part] = []
    start = 0
    for piece in pools(negatives, teacher):
        end = start + len(piece.query_id)
        here = None if shown is None else shown[(shown >= start) & (shown < end)] - start
        parts.append(_some(piece, here, queries, passages))
        start = end
    sizes = np.concatenate([part.sizes for part in parts])
    return Examples(
        queries=np.concatenate([part.queries for part in parts]),
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        passages=np.concatenate([part.passages for part in parts]),
        relevance=np.concatenate([part.relevance for part in parts]),
        teacher=np.concatenate([part.scores for part in parts]) if teacher else None,
        size=size,
        numbers=shown,
    )


def _examples_of(path: Path) -> tuple[str, int]:
    try:
        return "list", LISTS.count(path)
    except BadTable:
        return "triple", TRIPLES.count(path)


class _Part(NamedTuple):
    """Pools as rows of token files: queries [n], sizes [n], and the flat columns."""

    queries: Rows
    sizes: Rows
    passages: Rows
    relevance: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]


def _some(piece: Pools, chosen: Rows | None, queries: Ragged, passages: Ragged) -> _Part:
    """Return the chosen pools of a piece, all for None."""
    sizes, scores = np.diff(piece.offsets), piece.scores
    if scores is None:
        scores = np.zeros(0, np.float32)
    query_id, doc_id, relevance = piece.query_id, piece.doc_id, piece.relevance
    if chosen is not None:
        kept = np.zeros(len(sizes), bool)
        kept[chosen] = True
        flat = np.repeat(kept, sizes)
        query_id, doc_id = query_id.filter(pa.array(kept)), doc_id.filter(pa.array(flat))
        relevance, scores = relevance[flat], scores[flat] if len(scores) else scores
        sizes = sizes[kept]
    return _Part(
        queries.rows(query_id).astype(np.int32),
        sizes,
        passages.rows(doc_id).astype(np.int32),
        relevance,
        scores,
    )

"""Inputs of a training: examples with their teacher's scores, candidates to validate on."""

import logging
from collections.abc import Iterator
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
from redistil.stages.models import copies
from redistil.storage.pools import Pools, pools
from redistil.storage.ragged import Ragged
from redistil.storage.tables import LISTS, QRELS, RUN, TRIPLES, top
from redistil.study.recipes import Recipe, Validated

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """A dataset to validate on: candidates, qrels, and token files of queries and passages."""

    name: str
    candidates: Path
    qrels: Path
    queries: Path
    passages: Path


@dataclass(frozen=True)
class Inputs:
    """The files of a training: what it starts from, learns from and is validated on.

    backbone: the folder of a checkpoint, whose tokens `queries` and `passages` are. negatives:
    triples or lists. predecessor: the folder of the trained model, encoder and head, to start
    from; without it a training starts from the backbone with a head drawn from the seed.
    """

    backbone: Path
    queries: Path
    passages: Path
    negatives: Path
    teacher: Path | None = None
    predecessor: Path | None = None
    datasets: tuple[Dataset, ...] = ()


class TokenFiles(NamedTuple):
    """The token files of queries and passages, under one tokenizer."""

    queries: Ragged
    passages: Ragged

    @classmethod
    def of(cls, queries: Path, passages: Path) -> "TokenFiles":
        return cls(Ragged(queries), Ragged(passages))


def judged_candidates(dataset: Dataset, tokens: TokenFiles, how: Validated) -> Judged:
    """Return the first `depth` candidates of each judged query, with their grades."""
    qrels = QRELS.read(dataset.qrels).sort_by(
        [("query_id", "ascending"), ("relevance", "descending")]
    )
    ids = pc.unique(qrels["query_id"])
    run = _candidates(dataset, ids, how.depth)
    return Judged(
        query=pc.index_in(run["query_id"], ids).to_numpy().astype(np.int64),
        queries=tokens.queries.rows(run["query_id"]),
        passages=tokens.passages.rows(run["doc_id"]),
        grade=_grades(run, qrels),
        last=_places_from_last(run["doc_id"]),
        ideal=_ideal(qrels, ids),
        relevant_from=how.datasets[dataset.name],
    )


def _candidates(dataset: Dataset, query_ids: pa.Array, depth: int) -> pa.Table:
    """Return the first `depth` candidates of each of these queries."""
    run = top(RUN.read(dataset.candidates), depth)
    run = run.filter(pc.is_in(run["query_id"], query_ids))
    if not len(run):
        raise BadTable(
            f"{dataset.candidates} has no candidates for the judged queries of {dataset.qrels}: "
            "are both of one dataset?"
        )
    return run


def _grades(run: pa.Table, qrels: pa.Table) -> npt.NDArray[np.float64]:
    """Return the grade of each candidate, 0 where nobody judged."""
    # a join keeps no order: the place of each candidate brings it back
    placed = run.append_column("place", pa.array(np.arange(len(run))))
    graded = placed.join(qrels, keys=["query_id", "doc_id"]).sort_by("place")
    grades: npt.NDArray[np.int32] = pc.fill_null(graded["relevance"], 0).to_numpy()
    return grades.astype(np.float64)


def _places_from_last(doc_ids: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the place of each id in their descending order, which breaks ties."""
    order = pc.array_sort_indices(doc_ids, order="descending").to_numpy()
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def _ideal(qrels: pa.Table, ids: pa.Array) -> tuple[npt.NDArray[np.float64], ...]:
    """Return the grades of every query's judgements, highest first, as `qrels` has them."""
    query = pc.index_in(qrels["query_id"], ids).to_numpy()
    starts = np.searchsorted(query, np.arange(1, len(ids)))
    relevance = qrels["relevance"].to_numpy().astype(np.float64)
    return tuple(np.split(relevance, starts))


def read_examples(
    tokens: TokenFiles, negatives: Path, teacher: Path | None, recipe: Recipe
) -> Examples:
    """Return triples or lists as rows of the token files, with a teacher's scores if there is one.

    Reads the files in pieces and keeps what the steps of the recipe show: 200,000 steps of 32
    triples need a sixth of the 40 million of arXiv 2010.02666. Without a teacher, a negative whose
    tokens are those of a positive, as far as the student reads, is a positive too: it is shown as
    no negative, and counted. Raises BadTable when a pair has no score, or an id no tokens.
    """
    kind, size = _examples_of(negatives)
    if not size:
        raise BadTable(f"{negatives} has no {kind} to train on")
    shown = rows_shown(size, recipe.batch, recipe.seed, recipe.steps)
    parts = [_part(piece, tokens) for piece in _pieces(negatives, teacher, shown)]
    whole = _Part(*map(np.concatenate, zip(*parts, strict=True)))
    relevance = whole.relevance if teacher else _relevance(whole, tokens.passages, recipe)
    passages = whole.passages
    if recipe.in_batch:
        # of copies one stands for all: a copy of its positive is no negative of a query
        passages = copies.firsts(tokens.passages, recipe["passage_length"], passages)
    return Examples(
        queries=whole.queries,
        offsets=np.concatenate([[0], np.cumsum(whole.sizes)]),
        passages=passages,
        relevance=relevance,
        teacher=whole.scores if teacher else None,
        size=size,
        numbers=shown,
        in_batch=recipe.in_batch,
    )


def _relevance(whole: "_Part", passages: Ragged, recipe: Recipe) -> npt.NDArray[np.int32]:
    """Return the grades of all passages; those of copies are the grades of their positives."""
    cap: int = recipe["passage_length"]
    graded = copies.graded(passages, cap, whole.sizes, whole.passages, whole.relevance)
    count = int((graded != whole.relevance).sum())
    if count:
        _log.warning(
            "%d of %d passages have the first %d tokens of a positive: they are no negatives",
            count,
            len(graded),
            cap,
        )
    return graded


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


def _part(piece: Pools, tokens: TokenFiles) -> _Part:
    """Return pools with the rows of their tokens in place of ids."""
    no_scores = np.zeros(0, np.float32)
    return _Part(
        tokens.queries.rows(piece.query_id).astype(np.int32),
        np.diff(piece.offsets),
        tokens.passages.rows(piece.doc_id).astype(np.int32),
        piece.relevance,
        no_scores if piece.scores is None else piece.scores,
    )


def _pieces(negatives: Path, teacher: Path | None, shown: Rows | None) -> Iterator[Pools]:
    """Yield the pools at the rows that are shown, all for None, piece by piece."""
    start = 0
    for piece in pools(negatives, teacher):
        end = start + len(piece.query_id)
        if shown is None:
            yield piece
        else:
            here = shown[(shown >= start) & (shown < end)]
            yield _chosen(piece, here - start)
        start = end


def _chosen(piece: Pools, rows: Rows) -> Pools:
    """Return the pools of a piece at these rows."""
    sizes = np.diff(piece.offsets)
    kept = np.zeros(len(sizes), bool)
    kept[rows] = True
    flat = np.repeat(kept, sizes)
    return Pools(
        piece.query_id.filter(pa.array(kept)),
        piece.doc_id.filter(pa.array(flat)),
        np.concatenate([[0], np.cumsum(sizes[kept])]),
        piece.relevance[flat],
        None if piece.scores is None else piece.scores[flat],
    )

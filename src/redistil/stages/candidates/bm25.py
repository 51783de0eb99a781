"""BM25 as a first stage."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

from redistil.learning.lexical import Index, Scores
from redistil.stages.candidates.cut import first
from redistil.stages.candidates.judged import Judged
from redistil.storage.lineage import Made
from redistil.storage.tables import QUERIES, RUN

TOGETHER = 256  # queries ranked and written at once

_log = logging.getLogger(__name__)


class Hits(NamedTuple):
    """Passages that a query retrieves, by their rows, with their scores."""

    rows: npt.NDArray[np.int64]
    scores: Scores


def retrieve_bm25(
    passages: Path,
    queries: Path,
    qrels: Path,
    out: Path,
    made: Made,
    *,
    k1: float,
    b: float,
    stemmer: str,
    depth: int,
    drop_identical: bool,
    least_success: float,
) -> None:
    """Write the `depth` best passages of each query under BM25 (Lucene's variant).

    A passage without any word of the query is no candidate. Raises BadSource, as `Judged` does,
    when too few queries find a relevant passage.
    """
    texts = QUERIES.read(queries)
    index = Index(passages, k1=k1, b=b, stemmer=stemmer)
    query_ids = texts["query_id"].combine_chunks()
    words = index.words(texts["text"].to_pylist())
    _warn_without_words(query_ids, words)
    keep = depth + int(drop_identical)
    judged = Judged(qrels, least_success)
    with (
        RUN.writer(out, made) as write,
        tqdm(total=len(words), unit="query", desc="retrieving", delay=1) as bar,
    ):
        for start in range(0, len(words), TOGETHER):
            some = words[start : start + TOGETHER]
            hits = [_best(index.scores(query), keep) for query in some]
            pairs = _pairs(query_ids.slice(start, len(hits)), index.doc_ids, hits)
            write(judged.passing(first(pairs, depth, drop_identical)))
            bar.update(len(hits))
        judged.conclude(made.name)


def _warn_without_words(query_ids: pa.Array, words: Sequence[Sequence[str]]) -> None:
    """Log the queries that have no word at all, or none but stop words."""
    empty = [place for place, query in enumerate(words) if not query]
    if empty:
        _log.warning(
            "BM25: %d of %d queries have no word but stop words (first: %r): no candidate for them",
            len(empty),
            len(words),
            query_ids[empty[0]].as_py(),
        )


def _best(scores: Scores, keep: int) -> Hits:
    """Return the `keep` passages of highest score above 0, and all that tie with the last."""
    rows = np.flatnonzero(scores > 0)
    if len(rows) > keep:
        last = np.partition(scores[rows], -keep)[-keep]
        rows = rows[scores[rows] >= last]
    return Hits(rows, scores[rows])


def _pairs(query_ids: pa.Array, doc_ids: pa.Array, hits: Sequence[Hits]) -> pa.Table:
    """Return the hits of consecutive queries as scored pairs."""
    counts = [len(each.rows) for each in hits]
    queries = np.repeat(np.arange(len(hits)), counts)
    rows = np.concatenate([each.rows for each in hits])
    scores = np.concatenate([each.scores for each in hits])
    return pa.table(
        {
            "query_id": query_ids.take(pa.array(queries)),
            "doc_id": doc_ids.take(pa.array(rows)),
            "score": pa.array(scores, pa.float32()),
        }
    )

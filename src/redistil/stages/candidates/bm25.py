"""BM25 as a first stage."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

from redistil.learning.lexical import Index, Scores
from redistil.stages.candidates.judged import Judged
from redistil.storage.cut import Candidates, first
from redistil.storage.lineage import Made
from redistil.storage.tables import QUERIES, RUN

TOGETHER = 256  # queries ranked and written at once

_log = logging.getLogger(__name__)


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
    index = Index(passages, k1=k1, b=b, stemmer=stemmer)
    texts = QUERIES.read(queries)
    query_ids = texts["query_id"].combine_chunks()
    words = index.words(texts["text"].to_pylist())
    _warn_without_words(query_ids, words)
    keep = depth + int(drop_identical)
    judged = Judged(qrels, least_success)
    with RUN.writer(out, made) as write:
        for start, candidates in _batches(index, words, keep):
            pairs = candidates.pairs(query_ids.slice(start, TOGETHER), index.doc_ids)
            write(judged.passing(first(pairs, depth, drop_identical)))
        judged.conclude(made.name)


def _warn_without_words(query_ids: pa.Array, words: Sequence[Sequence[str]]) -> None:
    """Log the queries that have no word left to search by."""
    empty = [place for place, query in enumerate(words) if not query]
    if empty:
        _log.warning(
            "BM25: %d of %d queries have no word, or stop words alone (first: %r): no candidate "
            "for them",
            len(empty),
            len(words),
            query_ids[empty[0]].as_py(),
        )


def _batches(
    index: Index, words: Sequence[list[str]], keep: int
) -> Iterator[tuple[int, Candidates]]:
    """Yield the candidates of `TOGETHER` queries, and the row of the first of these."""
    with tqdm(total=len(words), unit="query", desc="retrieving", delay=1) as bar:
        for start in range(0, len(words), TOGETHER):
            some = words[start : start + TOGETHER]
            yield start, _candidates(index, some, keep)
            bar.update(len(some))


def _candidates(index: Index, queries: Sequence[list[str]], keep: int) -> Candidates:
    """Return the best passages of queries in words, as `_best` chooses them."""
    query, passage, score = [], [], []
    for row, words in enumerate(queries):
        scores = index.scores(words)
        best = _best(scores, keep)
        query.append(np.full(len(best), row, np.int32))
        passage.append(best)
        score.append(scores[best])
    return Candidates(np.concatenate(query), np.concatenate(passage), np.concatenate(score))


def _best(scores: Scores, keep: int) -> npt.NDArray[np.int64]:
    """Return the rows of the `keep` highest scores above 0, and all that tie with the last."""
    rows = np.flatnonzero(scores > 0)
    if len(rows) > keep:
        last = np.partition(scores[rows], -keep)[-keep]
        rows = rows[scores[rows] >= last]
    return rows

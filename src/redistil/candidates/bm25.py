"""BM25 as a first stage."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

from redistil.candidates.cut import first
from redistil.candidates.judged import Judged
from redistil.lineage import Made
from redistil.tables import PASSAGES, QUERIES, RUN

TOGETHER = 256  # queries ranked and written at once


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

    A passage without any word of the query is no candidate. A run that finds nothing is refused, as
    by `Judged`.
    """
    import bm25s
    import Stemmer

    texts, asked = PASSAGES.read(passages), QUERIES.read(queries)
    options = {"stemmer": Stemmer.Stemmer(stemmer), "stopwords": "en", "show_progress": False}
    index = bm25s.BM25(k1=k1, b=b, method="lucene")
    index.index(bm25s.tokenize(texts["text"].to_pylist(), **options), show_progress=False)
    keep = depth + int(drop_identical)
    doc_ids, query_ids = texts["doc_id"].combine_chunks(), asked["query_id"].combine_chunks()
    words = bm25s.tokenize(asked["text"].to_pylist(), return_ids=False, **options)
    judged = Judged(qrels, least_success)
    with RUN.writer(out, made) as write:
        for start in tqdm(range(0, len(words), TOGETHER), unit=f"{TOGETHER} queries", delay=1):
            found = []
            for query in words[start : start + TOGETHER]:
                scores = index.get_scores_from_ids(index.get_tokens_ids(query))
                rows = _best(scores, keep)
                found.append((rows, scores[rows]))
            pairs = _pairs(query_ids.slice(start, len(found)), doc_ids, found)
            write(judged.passing(first(pairs, depth, drop_identical)))
        judged.conclude(made.name)


Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]  # rows of passages, scores


def _pairs(query_ids: pa.Array, doc_ids: pa.Array, found: Sequence[Found]) -> pa.Table:
    owners = np.repeat(np.arange(len(found)), [len(rows) for rows, _ in found])
    return pa.table(
        {
            "query_id": query_ids.take(pa.array(owners)),
            "doc_id": doc_ids.take(pa.array(np.concatenate([rows for rows, _ in found]))),
            "score": pa.array(np.concatenate([scores for _, scores in found]), pa.float32()),
        }
    )


def _best(scores: npt.NDArray[np.float32], keep: int) -> npt.NDArray[np.int64]:
    """Return the rows of the `keep` highest scores above 0, and all that tie with the last."""
    rows = np.flatnonzero(scores > 0)
    if len(rows) > keep:
        rows = rows[scores[rows] >= np.partition(scores[rows], -keep)[-keep]]
    return rows

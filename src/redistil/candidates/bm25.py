"""BM25 as a first stage."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redistil.candidates.cut import first
from redistil.lineage import Made
from redistil.tables import PASSAGES, QUERIES, RUN


def retrieve_bm25(
    passages: Path,
    queries: Path,
    out: Path,
    made: Made,
    *,
    k1: float,
    b: float,
    stemmer: str,
    depth: int,
    drop_identical: bool,
) -> None:
    """Write the `depth` best passages of each query under BM25 (Lucene's variant).

    A passage without any word of the query is no candidate.
    """
    import bm25s
    import Stemmer

    texts, asked = PASSAGES.read(passages), QUERIES.read(queries)
    options = {"stemmer": Stemmer.Stemmer(stemmer), "stopwords": "en", "show_progress": False}
    index = bm25s.BM25(k1=k1, b=b, method="lucene")
    index.index(bm25s.tokenize(texts["text"].to_pylist(), **options), show_progress=False)
    keep = depth + int(drop_identical)
    doc_ids = texts["doc_id"].combine_chunks()
    found: list[pa.Table] = []
    words = bm25s.tokenize(asked["text"].to_pylist(), return_ids=False, **options)
    for query_id, query in zip(asked["query_id"], words, strict=True):
        scores = index.get_scores_from_ids(index.get_tokens_ids(query))
        rows = _best(scores, keep)
        found.append(
            pa.table(
                {
                    "query_id": pa.repeat(query_id, len(rows)),
                    "doc_id": doc_ids.take(pa.array(rows)),
                    "score": pa.array(scores[rows], pa.float32()),
                }
            )
        )
    RUN.write(first(pa.concat_tables(found), depth, drop_identical), out, made)


def _best(scores: npt.NDArray[np.float32], keep: int) -> npt.NDArray[np.int64]:
    """Return the rows of the `keep` highest scores above 0, and all that tie with the last."""
    rows = np.flatnonzero(scores > 0)
    if len(rows) > keep:
        rows = rows[scores[rows] >= np.partition(scores[rows], -keep)[-keep]]
    return rows

"""BM25 as a first stage."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from redistil.candidates.cut import TIES, first
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
    """Write the `depth` best passages of each query under BM25 (Lucene's variant)."""
    import bm25s
    import Stemmer

    texts, asked = PASSAGES.read(passages), QUERIES.read(queries)
    options = {"stemmer": Stemmer.Stemmer(stemmer), "stopwords": "en", "show_progress": False}
    index = bm25s.BM25(k1=k1, b=b, method="lucene")
    index.index(bm25s.tokenize(texts["text"].to_pylist(), **options), show_progress=False)
    keep = min(depth + TIES + int(drop_identical), len(texts))
    words = bm25s.tokenize(asked["text"].to_pylist(), **options)
    found, scores = index.retrieve(words, k=keep, show_progress=False)
    matched = scores > 0  # a passage without any word of the query is no candidate
    pairs = pa.table(
        {
            "query_id": asked["query_id"].combine_chunks().take(pa.array(np.nonzero(matched)[0])),
            "doc_id": texts["doc_id"].combine_chunks().take(pa.array(found[matched].astype(np.int64))),
            "score": pa.array(scores[matched], pa.float32()),
        }
    )
    RUN.write(first(pairs, depth, drop_identical), out, made)

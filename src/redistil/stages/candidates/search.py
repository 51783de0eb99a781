"""Exact search over more sparse vectors than fit in memory: piece by piece, the best merged.

sparse_dot_topn searches a piece; it keeps the best of each query as it multiplies. Passages that
tie with the last kept one are kept too, so the result does not depend on where pieces end. Nor do
the scores: the terms of a pair are added in the order of the query, whatever the piece.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse
from sparse_dot_topn import sp_matmul_topn
from tqdm import tqdm

from redistil.storage.cut import NOTHING, Candidates, joined
from redistil.storage.stretches import stretches
from redistil.storage.tables import VECTORS

PIECE = 1 << 26  # postings searched at once, half a GB: some 560,000 passages of SPLADE
TOGETHER = 1024  # queries multiplied at once
TIES = 16  # passages beyond the depth, so that ties at the cut are seen


class Index(NamedTuple):
    """An inverted index [vocabulary, D], and the doc_ids of its D passages."""

    postings: sparse.csr_matrix
    doc_ids: pa.Array


def search(
    queries: sparse.csr_matrix, indexes: Iterable[Index], keep: int, threads: int
) -> tuple[Candidates, pa.Array]:
    """Return each query's `keep` best passages and all that tie with the last, and the doc_ids.

    queries: [Q, vocabulary]; indexes: `pieces` of a corpus, in order. A score is an inner product
    in float32; a passage that shares no term with the query is none of its candidates.
    """
    starts = range(0, queries.shape[0], TOGETHER)
    best = dict.fromkeys(starts, NOTHING)
    doc_ids: list[pa.Array] = [pa.array([], pa.string())]
    passages = 0
    for number, index in enumerate(indexes, 1):
        bar_options = {"total": queries.shape[0], "desc": f"searching piece {number}"}
        with tqdm(unit="query", unit_scale=True, delay=1, **bar_options) as bar:
            for start in starts:
                block = queries[start : start + TOGETHER]
                hits = top(block, index.postings, keep, threads).moved(start, passages)
                best[start] = cut(joined(best[start], hits), keep)
                bar.update(block.shape[0])
        doc_ids.append(index.doc_ids)
        passages += len(index.doc_ids)
    return joined(NOTHING, *best.values()), pa.concat_arrays(doc_ids)


def pieces(vectors: Iterable[Path], vocabulary: int) -> Iterator[Index]:
    """Yield the shards of a corpus as inverted indexes of some `PIECE` postings each."""
    held: list[pa.RecordBatch] = []
    postings = 0
    for path in vectors:
        for batch in VECTORS.batches(path):
            held.append(batch)
            postings += len(batch["terms"].flatten())
            if postings >= PIECE:
                yield _inverted(held, vocabulary)
                postings = 0
    if held:
        yield _inverted(held, vocabulary)


def _inverted(held: list[pa.RecordBatch], vocabulary: int) -> Index:
    """Turn batches of vectors into an inverted index; `held` is emptied to free its memory."""
    vectors = pa.Table.from_batches(held)
    held.clear()
    lengths = pc.list_value_length(vectors["terms"]).to_numpy()
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    terms = pc.list_flatten(vectors["terms"]).to_numpy()
    weights = pc.list_flatten(vectors["weights"]).to_numpy()
    doc_ids = vectors["doc_id"].combine_chunks()
    del vectors
    rows = sparse.csr_matrix((weights, terms, starts), shape=(len(doc_ids), vocabulary))
    return Index(rows.T.tocsr(), doc_ids)


def top(
    queries: sparse.csr_matrix, index: sparse.csr_matrix, keep: int, threads: int, ties: int = TIES
) -> Candidates:
    """Return every hit that scores no less than its query's `keep`-th best."""
    size = min(keep + ties, index.shape[1])
    hits = sp_matmul_topn(queries, index, top_n=size, n_threads=threads, sort=True)
    candidates = _candidates(hits)
    if size < index.shape[1]:
        tied = _tied(hits, size, keep)
        if len(tied):  # a tie may go on beyond the last hit: these queries get more
            again = top(queries[tied], index, keep, threads, ties * 8)
            others = candidates.at(~np.isin(candidates.query, tied))
            candidates = joined(others, again._replace(query=tied[again.query]))
    return cut(candidates, keep)


def _candidates(hits: sparse.csr_matrix) -> Candidates:
    counts = np.diff(hits.indptr)
    rows = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return Candidates(rows, hits.indices.astype(np.int64), hits.data)


def _tied(hits: sparse.csr_matrix, size: int, keep: int) -> npt.NDArray[np.int32]:
    """Return the queries with `size` hits, the last of which scores as the `keep`-th does."""
    full = np.flatnonzero(np.diff(hits.indptr) == size).astype(np.int32)
    ends = hits.indptr[full + 1] - 1
    tied: npt.NDArray[np.int32] = full[hits.data[ends] == hits.data[ends - (size - keep)]]
    return tied


def cut(candidates: Candidates, keep: int) -> Candidates:
    """Return the candidates, sorted, that score no less than their query's `keep`-th best."""
    candidates = candidates.at(np.lexsort((-candidates.score, candidates.query)))
    starts, lengths = stretches(candidates.query)
    last = candidates.score[starts + np.minimum(lengths, keep) - 1]
    return candidates.at(candidates.score >= np.repeat(last, lengths))

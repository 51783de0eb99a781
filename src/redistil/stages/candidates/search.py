"""Exact search over more sparse vectors than fit in memory: piece by piece, the bests merged.

A piece is searched with sparse_dot_topn, which keeps the best of each query as it multiplies. What
ties with the last that is kept is kept too, so the answer does not hang on where pieces end. Nor do
the scores: a pair's terms are added up in the order of the query's, whatever piece it lies in.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse
from sparse_dot_topn import sp_matmul_topn
from tqdm import tqdm

from redistil.storage.stretches import stretches
from redistil.storage.tables import VECTORS

PIECE = 1 << 26  # postings searched at once, half a GB: some 560,000 passages of SPLADE
TOGETHER = 1024  # queries multiplied at once
TIES = 16  # passages asked for beyond the depth, before ties at the cut are looked for


Index = tuple[sparse.csr_matrix, pa.Array]  # [vocabulary, D], and the doc_ids of its D passages


class Candidates(NamedTuple):
    """Scored pairs, query by query, scores downwards: rows of the queries and of the passages."""

    query: npt.NDArray[np.int32]
    passage: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]

    def at(self, where: npt.NDArray[np.generic]) -> "Candidates":
        """Return the candidates at these positions, or where it is true."""
        return Candidates(self.query[where], self.passage[where], self.score[where])


NOTHING = Candidates(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float32))


def search(
    queries: sparse.csr_matrix, indexes: Iterable[Index], keep: int, threads: int
) -> tuple[Candidates, pa.Array]:
    """Return each query's `keep` best passages and all that tie with the last, and the doc_ids.

    queries: [Q, vocabulary]; indexes: `pieces` of a corpus, in order. A score is an inner product
    in float32; a passage that shares no term with the query is none of its candidates.
    """
    blocks = [queries[start : start + TOGETHER] for start in range(0, queries.shape[0], TOGETHER)]
    best = [NOTHING] * len(blocks)
    seen: list[pa.Array] = []
    with tqdm(unit="query", unit_scale=True, desc="searching", delay=1) as bar:
        for index, ids in indexes:
            before = sum(map(len, seen))
            for number, block in enumerate(blocks):
                found = top(block, index, keep, threads)
                moved = found._replace(passage=found.passage + before)
                best[number] = cut(joined(best[number], moved), keep)
                bar.update(block.shape[0])
            seen.append(ids)
    for number, candidates in enumerate(best):
        best[number] = candidates._replace(query=candidates.query + np.int32(number * TOGETHER))
    return joined(NOTHING, *best), pa.concat_arrays(seen) if seen else pa.array([], pa.string())


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
    """Turn batches of vectors into an inverted index; they are let go of as soon as they can."""
    ids = pa.concat_arrays([batch["doc_id"] for batch in held])
    lengths = np.concatenate([np.diff(batch["terms"].offsets.to_numpy()) for batch in held])
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    terms = np.concatenate([batch["terms"].flatten().to_numpy() for batch in held])
    weights = np.concatenate([batch["weights"].flatten().to_numpy() for batch in held])
    held.clear()
    rows = sparse.csr_matrix((weights, terms, starts), shape=(len(ids), vocabulary))
    return rows.T.tocsr(), ids


def top(
    queries: sparse.csr_matrix, index: sparse.csr_matrix, keep: int, threads: int, ties: int = TIES
) -> Candidates:
    """Return every hit that scores no less than its query's `keep`-th best."""
    size = min(keep + ties, index.shape[1])
    found = sp_matmul_topn(queries, index, top_n=size, n_threads=threads, sort=True)
    counts = np.diff(found.indptr)
    full = np.flatnonzero((counts == size) & (size < index.shape[1]))
    ends = found.indptr[full + 1] - 1
    tied = full[found.data[ends] == found.data[ends - (size - keep)]]
    rows = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    candidates = Candidates(rows, found.indices.astype(np.int64), found.data)
    if len(tied):  # a tie may go on beyond what was asked for: ask these queries for more
        again = top(queries[tied], index, keep, threads, ties * 8)
        others = candidates.at(~np.isin(candidates.query, tied))
        candidates = joined(others, again._replace(query=tied.astype(np.int32)[again.query]))
    return cut(candidates, keep)


def joined(*parts: Candidates) -> Candidates:
    """Return the candidates of all parts, in the order given."""
    query, passage, score = zip(*parts, strict=True)
    return Candidates(np.concatenate(query), np.concatenate(passage), np.concatenate(score))


def cut(candidates: Candidates, keep: int) -> Candidates:
    """Return the candidates, sorted, that score no less than their query's `keep`-th best."""
    candidates = candidates.at(np.lexsort((-candidates.score, candidates.query)))
    starts, lengths = stretches(candidates.query)
    last = candidates.score[starts + np.minimum(lengths, keep) - 1]
    return candidates.at(candidates.score >= np.repeat(last, lengths))

"""Exact search by inner product over more vectors than fit in memory: block by block, best kept.

torch multiplies a block of passages with all queries. faiss keeps the best of each query in a heap
that goes from block to block: nothing is merged. Passages that tie with the last kept one are kept
too, so that ids alone order ties. Every product has the shape of a whole block, and shards end
where blocks do: scores are the same to the bit however many shards there are.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from tqdm import tqdm

from redistil.errors import BadSource
from redistil.learning import students
from redistil.learning.scoring import encoded
from redistil.machine.processes import check_precision, device_of
from redistil.stages.retrieved.embed import BLOCK
from redistil.storage import states
from redistil.storage.cut import NOTHING, Candidates, first, joined
from redistil.storage.lineage import Made
from redistil.storage.ragged import Ragged
from redistil.storage.states import Stored
from redistil.storage.tables import RUN

QUERIES = 1 << 14  # queries answered in one pass over the vectors
TOGETHER = 1024  # queries multiplied at once
TIES = 16  # passages beyond the depth, so that ties at the cut are seen

Floats = npt.NDArray[np.float32]


def search(
    model: Path,
    tokens: Path,
    out: Path,
    vectors: Sequence[Path],
    made: Made,
    *,
    precision: str,
    depth: int,
    drop_identical: bool,
    threads: int,
) -> None:
    """Write the `depth` passages of highest inner product with each query, exactly.

    vectors: the shards of the corpus, in order. Raises Stale where they are not this model's, and
    BadSource where a product of the model is not its score.
    """
    check_precision(precision, device_of("cpu"))
    states.check_tokens(model, tokens)
    student = students.load(model).eval()
    if student.kept is None or not student.kept.search:
        raise BadSource(
            f"{model}: its score is no inner product of two vectors, so that no index can be "
            "searched: name a student with one vector for each text"
        )
    stores = list(map(Stored, vectors))
    states.check_stores(model, stores)
    doc_ids = pa.concat_arrays([chunk for stored in stores for chunk in stored.ids().chunks])
    texts = Ragged(tokens)
    query_ids = texts.ids().combine_chunks()
    scoring = student.for_scoring(precision)
    keep = depth + int(drop_identical)
    faiss.omp_set_num_threads(threads)
    with RUN.writer(out, made) as write, torch.inference_mode():
        for start in range(0, len(texts), QUERIES):
            rows = range(start, min(start + QUERIES, len(texts)))
            encoded_queries = encoded(scoring, "query", list(map(texts.__getitem__, rows)))
            candidates = best(encoded_queries.values.float().numpy(), stores, keep)
            pairs = candidates.pairs(query_ids.slice(start, len(rows)), doc_ids)
            write(first(pairs, depth, drop_identical))


def best(queries: Floats, stores: Sequence[Stored], keep: int, ties: int = TIES) -> Candidates:
    """Return every passage that scores no less than its query's `keep`-th best.

    queries: [Q, width]; the rows of passages count on from store to store.
    """
    total = sum(map(len, stores))
    size = min(keep + ties, total)
    if not size:
        return NOTHING
    scores, rows = _heaped(queries, stores, size)
    last = scores[:, min(keep, size) - 1]
    candidates = _candidates(scores, rows, scores >= last[:, None])
    tied = np.flatnonzero(scores[:, -1] == last).astype(np.int32)
    if size == total or not len(tied):
        return candidates
    # a tie may go on beyond the last one kept: these queries get more
    again = best(queries[tied], stores, keep, ties * 8)
    others = candidates.at(~np.isin(candidates.query, tied))
    return joined(others, again._replace(query=tied[again.query]))


def _candidates(
    scores: Floats, rows: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_]
) -> Candidates:
    query = np.nonzero(kept)[0].astype(np.int32)
    return Candidates(query, rows[kept], scores[kept])


def _heaped(
    queries: Floats, stores: Sequence[Stored], size: int
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the `size` best scores of each query, best first, and the rows of their passages."""
    scores = np.empty((len(queries), size), np.float32)
    rows = np.empty((len(queries), size), np.int64)
    heaps: Any = faiss.float_minheap_array_t()
    heaps.nh, heaps.k = len(queries), size
    heaps.val, heaps.ids = faiss.swig_ptr(scores), faiss.swig_ptr(rows)
    heaps.heapify()
    query_vectors = torch.from_numpy(queries)
    products = torch.empty(min(TOGETHER, len(queries)), BLOCK)
    total = sum(map(len, stores))
    passed = 0
    with tqdm(total=total, unit="passage", unit_scale=True, delay=1) as bar:
        for block, count in _blocks(stores, queries.shape[1]):
            for start in range(0, len(queries), TOGETHER):
                part = query_vectors[start : start + TOGETHER]
                torch.mm(part, block.T, out=products[: len(part)])
                block_scores = np.ascontiguousarray(products[: len(part), :count].numpy())
                heaps.addn(count, faiss.swig_ptr(block_scores), passed, start, len(part))
            passed += count
            bar.update(count)
    heaps.reorder()
    return scores, rows


def _blocks(stores: Sequence[Stored], width: int) -> Iterator[tuple[torch.Tensor, int]]:
    """Yield vectors [BLOCK, width] in one piece of memory, and how many of them are passages."""
    block = np.zeros((BLOCK, width), np.float32)
    whole = torch.from_numpy(block)
    for stored in stores:
        filled = 0
        for rows in stored.rows():
            block[filled : filled + len(rows)] = rows
            filled += len(rows)
            if filled == BLOCK:
                yield whole, filled
                filled = 0
        if filled:
            yield whole, filled

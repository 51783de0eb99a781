"""SPLADE as a first stage: passages are encoded once, exact search answers the queries."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from scipy import sparse
from tqdm import tqdm

from redistil.errors import BadSource
from redistil.learning.batches import by_budget
from redistil.learning.splade import Splade
from redistil.stages.candidates.judged import Judged
from redistil.stages.candidates.search import pieces, search
from redistil.storage.cut import first
from redistil.storage.lineage import Made
from redistil.storage.ragged import Ragged
from redistil.storage.tables import RUN, VECTORS

BUDGET = 4096  # padded tokens in one forward pass of the encoder
WINDOW = 8192  # passages encoded and written together
QUERIES = 1 << 14  # queries answered in one pass over the vectors

_log = logging.getLogger(__name__)


def encode(
    checkpoint: Path,
    tokens: Path,
    out: Path,
    made: Made,
    *,
    passage_length: int,
    shard: int,
    shards: int,
    device: torch.device,
) -> None:
    """Write the sparse vector of every passage of a shard, in the order of the token file.

    shard: which of `shards` parts of the file, from 0. Parts end where windows end: the passages
    encoded together, and so the last digit of a weight, do not depend on the number of shards.
    Raises BadSource if every vector is empty: the sign of a badly loaded encoder.
    """
    encoder = Splade.load(checkpoint).to(device).eval()
    texts = Ragged(tokens)
    doc_ids = texts.ids().combine_chunks()
    part = _rows_of_shard(len(texts), shard, shards)
    empty = 0
    with (
        VECTORS.writer(out, made) as write,
        tqdm(total=len(part), unit="passage", mininterval=2) as bar,
    ):
        for rows in _windows(part, WINDOW):
            vectors = _vectors(encoder, texts, rows, passage_length)
            empty += _empty(vectors)
            write(_vector_rows(doc_ids.slice(rows.start, len(rows)), vectors))
            bar.update(len(rows))
        _refuse_empty(empty, len(part), f"passages of {tokens}")


def _rows_of_shard(rows: int, shard: int, shards: int) -> range:
    """Return the rows of one of `shards` parts, in whole windows."""
    windows = -(-rows // WINDOW)
    start = windows * shard // shards * WINDOW
    end = windows * (shard + 1) // shards * WINDOW
    return range(min(start, rows), min(end, rows))


def _windows(rows: range, size: int) -> Iterator[range]:
    """Yield consecutive rows `size` at a time; the last may be fewer."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _vectors(encoder: Splade, texts: Ragged, rows: range, longest: int) -> sparse.csr_matrix:
    """Return the vectors of some texts as a sparse matrix [len(rows), vocabulary]."""
    tokens = list(map(texts.__getitem__, rows))
    lengths = [min(len(text) + encoder.special, longest) for text in tokens]
    blocks, order = [], []
    with torch.inference_mode():
        for group in by_budget(lengths, BUDGET):
            dense = encoder.vectors([tokens[place] for place in group], longest)
            blocks.append(sparse.csr_matrix(dense.cpu().numpy()))
            order.append(group)
    stacked = sparse.vstack(blocks).tocsr()
    return stacked[np.argsort(np.concatenate(order))]


def _vector_rows(ids: pa.Array, vectors: sparse.csr_matrix) -> pa.Table:
    vectors.sort_indices()
    offsets = pa.array(vectors.indptr, pa.int32())
    terms = pa.ListArray.from_arrays(offsets, pa.array(vectors.indices, pa.int32()))
    weights = pa.ListArray.from_arrays(offsets, pa.array(vectors.data, pa.float32()))
    terms = terms.cast(VECTORS.schema.field("terms").type)
    weights = weights.cast(VECTORS.schema.field("weights").type)
    return pa.table([ids, terms, weights], schema=VECTORS.schema)


def retrieve(
    checkpoint: Path,
    tokens: Path,
    qrels: Path,
    out: Path,
    vectors: Sequence[Path],
    made: Made,
    *,
    query_length: int,
    depth: int,
    drop_identical: bool,
    least_success: float,
    threads: int,
) -> None:
    """Write the `depth` passages of highest inner product with each query, exactly.

    vectors: the shards of the corpus, in order. Raises BadSource if the vectors of all queries
    are empty; also, as `Judged` does, when too few queries find a relevant passage.
    """
    encoder = Splade.load(checkpoint).eval()
    texts = Ragged(tokens)
    judged = Judged(qrels, least_success)
    query_ids = texts.ids().combine_chunks()
    keep = depth + int(drop_identical)
    empty = 0
    with RUN.writer(out, made) as write:
        for rows in _windows(range(len(texts)), QUERIES):
            queries = _vectors(encoder, texts, rows, query_length)
            empty += _empty(queries)
            indexes = pieces(vectors, queries.shape[1])
            candidates, doc_ids = search(queries, indexes, keep, threads)
            pairs = candidates.pairs(query_ids.slice(rows.start, len(rows)), doc_ids)
            write(judged.passing(first(pairs, depth, drop_identical)))
        _refuse_empty(empty, len(texts), f"queries of {tokens}")
        judged.conclude(made.name)


def _empty(vectors: sparse.csr_matrix) -> int:
    return int((np.diff(vectors.indptr) == 0).sum())


def _refuse_empty(empty: int, texts: int, what: str) -> None:
    if empty and empty == texts:
        raise BadSource(
            f"all {empty} vectors of the {what} are empty: the encoder was not loaded as a "
            "masked-LM checkpoint, or was not trained"
        )
    if empty:
        _log.warning("%d of %d %s have an empty vector", empty, texts, what)

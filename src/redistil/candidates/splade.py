"""SPLADE as a first stage: passages encoded once, queries answered by exact search."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from scipy import sparse
from sparse_dot_topn import sp_matmul_topn
from tqdm import tqdm

from redistil.batches import by_budget
from redistil.candidates.cut import TIES, first
from redistil.errors import BadSource
from redistil.lineage import Made
from redistil.ragged import Ragged
from redistil.splade import Splade
from redistil.tables import RUN, VECTORS

BUDGET = 4096  # padded tokens in one forward pass of the encoder
WINDOW = 8192  # passages encoded and written together


def encode(
    checkpoint: Path,
    tokens: Path,
    out: Path,
    made: Made,
    *,
    passage_length: int,
    device: torch.device,
) -> None:
    """Write the sparse vector of every passage, in the order of the token file."""
    encoder, texts = Splade.load(checkpoint).to(device).eval(), Ragged(tokens)
    ids = texts.ids().combine_chunks()
    with (
        VECTORS.writer(out, made) as write,
        tqdm(total=len(texts), unit="passage", mininterval=2) as bar,
    ):
        for start in range(0, len(texts), WINDOW):
            rows = range(start, min(start + WINDOW, len(texts)))
            vectors = _vectors(encoder, texts, rows, passage_length)
            write(_vector_rows(ids.slice(start, len(rows)), vectors))
            bar.update(len(rows))


def _vectors(encoder: Splade, texts: Ragged, rows: range, longest: int) -> sparse.csr_matrix:
    """Return the vectors of some texts as a sparse matrix [len(rows), vocabulary]."""
    tokens = [texts[row] for row in rows]
    lengths = [min(len(t) + encoder.special, longest) for t in tokens]
    found, order = [], []
    with torch.inference_mode():
        for group in by_budget(lengths, BUDGET):
            dense = encoder.vectors([tokens[i] for i in group], longest)
            found.append(sparse.csr_matrix(dense.cpu().numpy()))
            order.append(group)
    stacked = sparse.vstack(found).tocsr()
    return stacked[np.argsort(np.concatenate(order))]


def _vector_rows(ids: pa.Array, vectors: sparse.csr_matrix) -> pa.Table:
    vectors.sort_indices()
    offsets = pa.array(vectors.indptr, pa.int32())
    columns = [
        pa.ListArray.from_arrays(offsets, pa.array(vectors.indices, pa.int32())),
        pa.ListArray.from_arrays(offsets, pa.array(vectors.data, pa.float32())),
    ]
    types = [VECTORS.schema.field(name).type for name in ("terms", "weights")]
    cast = [column.cast(kind) for column, kind in zip(columns, types, strict=True)]
    return pa.table([ids, *cast], schema=VECTORS.schema)


def retrieve(
    checkpoint: Path,
    tokens: Path,
    vectors: Path,
    out: Path,
    made: Made,
    *,
    query_length: int,
    depth: int,
    drop_identical: bool,
    threads: int,
) -> None:
    """Write the `depth` passages of highest inner product with each query, exactly.

    Refuses an encoder whose vectors are all empty: a badly loaded checkpoint looks like that.
    """
    encoder, texts = Splade.load(checkpoint).eval(), Ragged(tokens)
    queries = _vectors(encoder, texts, range(len(texts)), query_length)
    _refuse_empty(queries, "queries")
    shards = (
        _top(queries, shard, ids, depth + TIES + int(drop_identical), threads)
        for shard, ids in _shards(vectors, queries.shape[1])
    )
    best = pa.concat_tables([_pairs(texts.ids(), *shard) for shard in shards])
    RUN.write(first(best, depth, drop_identical), out, made)


def _refuse_empty(vectors: sparse.csr_matrix, what: str) -> None:
    empty = int((np.diff(vectors.indptr) == 0).sum())
    if vectors.shape[0] and empty == vectors.shape[0]:
        raise BadSource(
            f"all {empty} vectors of the {what} are empty: the encoder was not loaded as a "
            "masked-LM checkpoint, or was not trained"
        )


def _shards(path: Path, vocabulary: int) -> Iterator[tuple[sparse.csr_matrix, pa.Array]]:
    for batch in VECTORS.batches(path):
        terms, weights = batch["terms"], batch["weights"]
        matrix = sparse.csr_matrix(
            (
                weights.flatten().to_numpy(),
                terms.flatten().to_numpy(),
                terms.offsets.to_numpy() - terms.offsets[0].as_py(),
            ),
            shape=(len(batch), vocabulary),
        )
        yield matrix, batch["doc_id"]


def _top(
    queries: sparse.csr_matrix, shard: sparse.csr_matrix, ids: pa.Array, keep: int, threads: int
) -> tuple[sparse.csr_matrix, pa.Array]:
    return sp_matmul_topn(queries, shard.T.tocsr(), top_n=keep, n_threads=threads, sort=True), ids


def _pairs(query_ids: pa.ChunkedArray, top: sparse.csr_matrix, doc_ids: pa.Array) -> pa.Table:
    rows = np.repeat(np.arange(top.shape[0]), np.diff(top.indptr))
    return pa.table(
        {
            "query_id": query_ids.combine_chunks().take(pa.array(rows)),
            "doc_id": doc_ids.take(pa.array(top.indices)),
            "score": pa.array(top.data, pa.float32()),
        }
    )

"""SPLADE as a first stage: passages encoded once, queries answered by exact search."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from scipy import sparse
from tqdm import tqdm

from redistil.errors import BadSource
from redistil.learning.batches import by_budget
from redistil.learning.splade import Splade
from redistil.stages.candidates.cut import first
from redistil.stages.candidates.judged import Judged
from redistil.stages.candidates.search import Candidates, pieces, search
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

    shard: which of `shards` stretches of the file, from 0. They end where windows end, so that what
    is encoded together, and with it the last digit of a weight, does not hang on their number.
    Refuses an encoder that gives every passage an empty vector: one badly loaded looks like that.
    """
    encoder, texts = Splade.load(checkpoint).to(device).eval(), Ragged(tokens)
    ids = texts.ids().combine_chunks()
    windows = -(-len(texts) // WINDOW)
    first_row, end = (
        min(windows * number // shards * WINDOW, len(texts)) for number in (shard, shard + 1)
    )
    empty = 0
    with (
        VECTORS.writer(out, made) as write,
        tqdm(total=end - first_row, unit="passage", mininterval=2) as bar,
    ):
        for start in range(first_row, end, WINDOW):
            rows = range(start, min(start + WINDOW, end))
            vectors = _vectors(encoder, texts, rows, passage_length)
            empty += _empty(vectors)
            write(_vector_rows(ids.slice(start, len(rows)), vectors))
            bar.update(len(rows))
        _refuse_empty(empty, end - first_row, f"passages of {tokens}")


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

    vectors: the shards of the corpus, in order. Refuses an encoder whose vectors are all empty, and
    a run that finds nothing, as by `Judged`.
    """
    encoder, texts = Splade.load(checkpoint).eval(), Ragged(tokens)
    judged = Judged(qrels, least_success)
    query_ids = texts.ids().combine_chunks()
    empty = 0
    with RUN.writer(out, made) as write:
        for start in range(0, len(texts), QUERIES):
            rows = range(start, min(start + QUERIES, len(texts)))
            queries = _vectors(encoder, texts, rows, query_length)
            empty += _empty(queries)
            indexes = pieces(vectors, queries.shape[1])
            candidates, doc_ids = search(queries, indexes, depth + int(drop_identical), threads)
            some = query_ids.slice(start, len(rows))
            write(judged.passing(first(_pairs(candidates, some, doc_ids), depth, drop_identical)))
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


def _pairs(candidates: Candidates, query_ids: pa.Array, doc_ids: pa.Array) -> pa.Table:
    return pa.table(
        {
            "query_id": query_ids.take(pa.array(candidates.query)),
            "doc_id": doc_ids.take(pa.array(candidates.passage)),
            "score": pa.array(candidates.score, pa.float32()),
        }
    )

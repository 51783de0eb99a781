"""Readers of training data: the passages of a run, and pools with their teacher's scores.

Both yield one query after another. Pools are joined with their scores: the files of both are
sorted by query and merged, so that one piece of each is held. DuckDB joins them in the same CPU
time, with 2.5 times the memory. It needs a folder to spill to, which a reader does not have.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from redistil.errors import BadTable
from redistil.storage.pieces import in_pieces
from redistil.storage.stretches import stretches
from redistil.storage.tables import LISTS, RUN, TEACHER_SCORES, TRIPLES

Scores = npt.NDArray[np.float32]
Strings: TypeAlias = pa.Array | pa.ChunkedArray

PIECE = 1 << 18  # rows of triples or lists held at a time, and what their last query has beyond


def by_query(candidates: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each query of a run with its passages, best first, from a file read in pieces."""
    query_id, doc_ids = "", list[str]()
    with tqdm(total=RUN.count(candidates), unit="row", unit_scale=True, mininterval=2) as bar:
        for batch in RUN.batches(candidates, ["query_id", "doc_id"]):
            bar.update(len(batch))
            for name, some in _parted(batch):
                if name < query_id:
                    raise BadTable(f"{candidates} is not sorted by query_id: make it again")
                if name != query_id and doc_ids:
                    yield query_id, doc_ids
                    doc_ids = []
                query_id = name
                doc_ids += some
    if doc_ids:
        yield query_id, doc_ids


def _parted(batch: pa.RecordBatch) -> Iterator[tuple[str, list[str]]]:
    """Yield each query of a batch with its passages there."""
    codes = batch["query_id"].dictionary_encode()
    names, doc_ids = codes.dictionary.to_pylist(), batch["doc_id"].to_pylist()
    places = codes.indices.to_numpy()
    starts, lengths = stretches(places)
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        yield names[places[start]], doc_ids[start : start + length]


@dataclass(frozen=True)
class Pools:
    """N pools; the passages of pool n are [offsets[n], offsets[n + 1]) of the flat columns [P].

    scores: of a teacher, or None where there is none.
    """

    query_id: pa.Array
    doc_id: pa.Array
    offsets: npt.NDArray[np.int64]
    relevance: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32] | None


def pools(negatives: Path, teacher: Path | None = None) -> Iterator[Pools]:
    """Yield the pools of triples (two passages each) or lists, with a teacher's scores.

    Raises BadTable when a pair has no score, or when triples are not sorted by query.
    """
    shaped = _shaped(negatives)
    if teacher is None:
        yield from shaped
        return
    total, missing = 0, 0
    scores = _Scores(teacher)
    for piece in shaped:
        wanted = _query_of_each(piece)
        pool_scores, absent = _joined(wanted, piece.doc_id, scores.upto(piece.query_id[-1].as_py()))
        total, missing = total + len(wanted), missing + absent
        if not missing:
            yield Pools(piece.query_id, piece.doc_id, piece.offsets, piece.relevance, pool_scores)
    if missing:
        raise BadTable(
            f"{teacher} has no score for {missing} of {total} pairs of {negatives}: score them "
            "with this teacher first"
        )


def pairs_by_query(negatives: Path) -> Iterator[pa.Table]:
    """Yield the (query_id, doc_id) of triples or lists, sorted by query and never parting one."""
    for piece in _shaped(negatives):
        if len(piece.doc_id):
            yield pa.table({"query_id": _query_of_each(piece), "doc_id": piece.doc_id})


def _query_of_each(piece: Pools) -> pa.Array:
    sizes = np.diff(piece.offsets)
    return piece.query_id.take(pa.array(np.repeat(np.arange(len(sizes)), sizes)))


def _shaped(path: Path) -> Iterator[Pools]:
    """Yield triples or lists as pools without scores."""
    try:
        LISTS.expect(path)
    except BadTable:
        yield from map(_of_triples, in_pieces(_in_order(path), PIECE))
        return
    for batch in LISTS.batches(path):
        sizes = pc.list_value_length(batch["doc_ids"]).to_numpy(zero_copy_only=False)
        yield Pools(
            batch["query_id"],
            batch["doc_ids"].flatten(),
            np.concatenate([[0], np.cumsum(sizes)]),
            batch["relevances"].flatten().to_numpy(),
            None,
        )


def _in_order(path: Path) -> Iterator[pa.Table]:
    """Yield the triples of a file; BadTable if they are not sorted by query."""
    last = ""
    for batch in TRIPLES.batches(path):
        ids = batch["query_id"]
        rising = pc.all(pc.less_equal(ids[:-1], ids[1:])).as_py() is not False
        if not rising or ids[0].as_py() < last:
            raise BadTable(f"{path} is not sorted by query_id: sort it, or make it again")
        last = ids[-1].as_py()
        yield pa.Table.from_batches([batch])


def _of_triples(rows: pa.Table) -> Pools:
    both = pa.chunked_array([*rows["positive_id"].chunks, *rows["negative_id"].chunks])
    count = len(rows)
    order = np.stack([np.arange(count), np.arange(count, 2 * count)], axis=1).ravel()
    grades = np.tile(np.array([1, 0], np.int32), count)
    docs = both.combine_chunks().take(pa.array(order))
    return Pools(
        rows["query_id"].combine_chunks(), docs, np.arange(0, 2 * count + 1, 2), grades, None
    )


class _Scores:
    """A teacher's scores, taken in the order of their queries."""

    def __init__(self, path: Path) -> None:
        self._batches = TEACHER_SCORES.batches(path)
        self._waiting: list[pa.Table] = []

    def upto(self, query_id: str) -> pa.Table:
        """Return the rows not yet taken of the queries up to this one, that included."""
        while not self._waiting or self._waiting[-1]["query_id"][-1].as_py() <= query_id:
            batch = next(self._batches, None)
            if batch is None:
                break
            if len(batch):
                self._waiting.append(pa.Table.from_batches([batch]))
        rows = pa.concat_tables(self._waiting or [TEACHER_SCORES.schema.empty_table()])
        taken = pc.sum(pc.less_equal(rows["query_id"], query_id)).as_py() or 0
        rest = rows.slice(taken)
        self._waiting = [rest] if len(rest) else []
        return rows.slice(0, taken)


def _joined(query_id: pa.Array, doc_id: pa.Array, rows: pa.Table) -> tuple[Scores, int]:
    """Return the score of each (query, passage), 0 where there is none, and how many have none."""
    queries, passages = pc.unique(query_id), pc.unique(doc_id)
    wanted = _keys(query_id, doc_id, queries, passages)
    keys = _keys(rows["query_id"], rows["doc_id"], queries, passages)
    useful = np.flatnonzero(keys >= 0)
    if not len(useful):
        return np.zeros(len(wanted), np.float32), len(wanted)
    order = useful[np.argsort(keys[useful])]
    keys, scores = keys[order], rows["score"].to_numpy()[order]
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    scored = keys[places] == wanted
    return np.where(scored, scores[places], np.float32(0)), int((~scored).sum())


def _keys(
    query_id: Strings, doc_id: Strings, queries: pa.Array, passages: pa.Array
) -> npt.NDArray[np.int64]:
    """Return a number for each pair of ids, -1 where `queries` or `passages` lack one."""
    query, doc = _places(query_id, queries), _places(doc_id, passages)
    return np.where((query < 0) | (doc < 0), -1, query * len(passages) + doc)


def _places(ids: Strings, values: pa.Array) -> npt.NDArray[np.int64]:
    places = pc.fill_null(pc.index_in(ids, values), -1)
    return np.asarray(places).astype(np.int64)

"""The layouts in which teacher scores are published, each read in pieces.

A piece has the columns of scored triples (query_id, positive_id, negative_id, positive_score,
negative_score) or of scored pairs (query_id, doc_id, score, rank).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from redistil.errors import BadTable
from redistil.stages.teachers.ordered import PAIR, TRIPLE
from redistil.storage.stretches import stretches
from redistil.storage.trec import ALSO, column_batches, ranks, refuse_missing, run_batches

PIECE = 1 << 17  # rows of a Parquet file read at a time

Batches = Iterator[pa.RecordBatch]


def _as_they_are(rows: pa.Table) -> pa.Table:
    return rows


@dataclass(frozen=True)
class Form:
    """A layout: how it is read, and what a row of it is.

    columns: TRIPLE or PAIR. solved: makes scores of margins, in a file that has only these.
    """

    read: Callable[[Path], Batches]
    columns: tuple[str, ...]
    solved: Callable[[pa.Table], pa.Table] = _as_they_are


def _types(names: tuple[str, ...]) -> Mapping[str, pa.DataType]:
    types = dict.fromkeys(names, pa.string())
    for name in names:
        if name.endswith("score"):
            types[name] = pa.float32()
    return types


def _scored_triples(path: Path) -> Batches:
    """Five columns without a header, of Zenodo 4068216 (arXiv 2010.02666)."""
    names = ("positive_score", "negative_score", "query_id", "positive_id", "negative_id")
    return column_batches(path, _types(names), "\t")


def _trec(path: Path) -> Batches:
    """A run of TREC's form (arXiv 2405.07920, Zenodo 12528410)."""
    return run_batches(path)


def _parquet(path: Path, names: Mapping[str, pa.DataType], also: str = "") -> Batches:
    """Yield these columns of a Parquet file, whatever the publisher calls an id.

    also: a column of ranks, 0 where the file has none.
    """
    try:
        file = pq.ParquetFile(path)
        present = file.schema_arrow.names
        chosen = {}
        for name in names:
            candidates = {name, *ALSO.get(name, ())}.intersection(present)
            if len(candidates) != 1:
                raise BadTable(
                    f"{path}: wanted the columns {' '.join(names)}, got {' '.join(present)}"
                )
            chosen[name] = candidates.pop()
        has_ranks = also in present
        read = [*chosen.values(), also] if has_ranks else list(chosen.values())
        for batch in file.iter_batches(PIECE, columns=read):
            refuse_missing(path, batch, list(chosen.values()))
            columns = {}
            for name, kind in names.items():
                columns[name] = pc.cast(batch[chosen[name]], kind)
            if also:
                columns[also] = ranks(batch[also] if has_ranks else pa.nulls(len(batch)))
            yield pa.record_batch(columns)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"{path} is not the Parquet file that was expected ({reason})") from None


def _ranking(path: Path) -> Batches:
    """Parquet with a row for each pair: webis/rank-distillm, or bert-ensemble-mse."""
    for batch in _parquet(path, _types(("query_id", "doc_id", "score")), also="rank"):
        yield pa.record_batch({name: batch[name] for name in PAIR})


def _id_lists(path: Path) -> Batches:
    """Parquet of passage ids, best first: rankzephyr-colbert of sentence-transformers/msmarco.

    A passage scores the number of passages from it to the end of its list, as in Lightning IR.
    """
    wanted = {"query_id": pa.string(), "doc_ids": pa.list_(pa.string())}
    for batch in _parquet(path, wanted):
        sizes = pc.list_value_length(batch["doc_ids"]).to_numpy(zero_copy_only=False)
        if not len(sizes):
            continue
        left = np.repeat(np.cumsum(sizes), sizes) - np.arange(int(sizes.sum()))
        yield pa.record_batch(
            {
                "query_id": batch["query_id"].take(pc.list_parent_indices(batch["doc_ids"])),
                "doc_id": pc.list_flatten(batch["doc_ids"]),
                "score": pa.array(left, pa.float32()),
                "rank": ranks(pa.nulls(len(left))),
            }
        )


def _margins(path: Path) -> Batches:
    """Parquet of triples with a margin: bert-ensemble-margin-mse."""
    ids = ("query_id", "positive_id", "negative_id")
    for batch in _parquet(path, _types((*ids, "score"))):
        yield batch.rename_columns([*ids, "positive_score"]).append_column(
            "negative_score", pa.array(np.zeros(len(batch), np.float32))
        )


def potentials(rows: pa.Table) -> pa.Table:
    """Return triples of whole queries, sorted, whose scores have the margins in positive_score.

    A margin fixes scores up to a constant for each query (and for each set of passages that
    triples connect): the first positive has 0. Losses of margins see no difference.
    """
    rows = rows.sort_by([(name, "ascending") for name in TRIPLE[:4]])
    margins = rows["positive_score"].to_numpy().astype(np.float64)
    positives = rows["positive_id"].to_numpy()
    scores = np.stack([np.zeros(len(rows)), -margins]).astype(np.float32)
    starts, sizes = stretches(rows["query_id"].to_numpy())
    several = positives != np.repeat(positives[starts], sizes)
    for query in np.flatnonzero(np.logical_or.reduceat(several, starts)):
        part = slice(starts[query], starts[query] + sizes[query])
        negatives = rows["negative_id"][part].to_numpy()
        scores[:, part] = _settled(positives[part], negatives, margins[part])
    rows = rows.select(TRIPLE[:3])
    for name, column in zip(TRIPLE[3:], scores, strict=True):
        rows = rows.append_column(name, pa.array(column))
    return rows


def _settled(positives: Any, negatives: Any, margins: Any) -> Any:
    """Return the scores [2, N] of one query's triples, from its first positive outwards."""
    by_passage: dict[int, float] = {}
    scores = np.zeros((2, len(margins)), np.float32)
    waiting = list(zip(positives.tolist(), negatives.tolist(), range(len(margins)), strict=True))
    while waiting:
        linked: list[tuple[int, int, int]] = []
        others: list[tuple[int, int, int]] = []
        for each in waiting:
            is_linked = each[0] in by_passage or each[1] in by_passage
            (linked if is_linked else others).append(each)
        if not linked:
            linked, others = waiting[:1], waiting[1:]
        for positive, negative, triple in linked:
            margin = margins[triple]
            if positive not in by_passage:
                by_passage[positive] = by_passage.get(negative, -margin) + margin
            by_passage.setdefault(negative, by_passage[positive] - margin)
            scores[:, triple] = by_passage[positive], by_passage[positive] - margin
        waiting = others
    return scores


FORMS = {
    "scored-triples": Form(_scored_triples, TRIPLE),
    "trec": Form(_trec, PAIR),
    "ranking": Form(_ranking, PAIR),
    "id-lists": Form(_id_lists, PAIR),
    "margins": Form(_margins, TRIPLE, solved=potentials),
}

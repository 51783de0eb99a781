"""The layouts in which teacher scores are published, each read in pieces.

A piece has the columns of scored triples (query_id, positive_id, negative_id, positive_score,
negative_score) or of scored pairs (query_id, doc_id, score).
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
from redistil.teachers.ordered import PAIR, TRIPLE
from redistil.trec import ALSO, RUN_COLUMNS, column_batches, delimiter

GATHERED = 2_000_000  # rows looked up together where ids are text: a look-up reads all known ids
PIECE = 1 << 17  # rows of a Parquet file read at a time


def _as_they_are(rows: Any) -> Any:
    return rows


@dataclass(frozen=True)
class Form:
    """A layout: how it is read, and what a row of it is.

    kind: TRIPLE or PAIR. numeric: whether its ids can be read as numbers at once.
    solved: what makes scores of pairs from a file that has only margins.
    """

    read: Callable[[Path, pa.DataType], Iterator[pa.Table]]
    kind: np.dtype[Any]
    numeric: bool = False
    solved: Callable[[Any], Any] = _as_they_are

    @property
    def scores(self) -> list[str]:
        return [name for name in self.kind.names or () if name.endswith("score")]

    @property
    def docs(self) -> list[str]:
        ids = [name for name in self.kind.names or () if name.endswith("_id")]
        return [name for name in ids if name != "query_id"]


def _gathered(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= rows:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _types(names: tuple[str, ...], ids: pa.DataType) -> Mapping[str, pa.DataType]:
    kinds = {True: pa.float32(), False: pa.string()}
    return {n: ids if n.endswith("_id") else kinds[n.endswith("score")] for n in names}


def _scored_triples(path: Path, ids: pa.DataType) -> Iterator[pa.Table]:
    """Five columns without a header, of Zenodo 4068216 (arXiv 2010.02666)."""
    names = ("positive_score", "negative_score", "query_id", "positive_id", "negative_id")
    batches = column_batches(path, _types(names, ids), "\t")
    return _gathered(batches, GATHERED if ids == pa.string() else 1)


def _trec(path: Path, ids: pa.DataType) -> Iterator[pa.Table]:
    """A run of TREC's form (arXiv 2405.07920, Zenodo 12528410)."""
    batches = column_batches(path, _types(RUN_COLUMNS, ids), delimiter(path, RUN_COLUMNS))
    return _gathered(batches, GATHERED if ids == pa.string() else 1)


def _parquet(path: Path, names: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    """Yield these columns of a Parquet file, whatever the publisher calls an id."""
    try:
        file = pq.ParquetFile(path)
        have = file.schema_arrow.names
        chosen = {}
        for name in names:
            found = [other for other in (name, *ALSO.get(name, ())) if other in have]
            if len(found) != 1:
                raise BadTable(
                    f"{path}: wanted the columns {' '.join(names)}, got {' '.join(have)}"
                )
            chosen[name] = found[0]
        for batch in file.iter_batches(PIECE, columns=list(chosen.values())):
            columns = [pc.cast(batch[chosen[name]], kind) for name, kind in names.items()]
            yield pa.record_batch(columns, names=list(names))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"{path} is not the Parquet file that was expected ({reason})") from None


def _ranking(path: Path, ids: pa.DataType) -> Iterator[pa.Table]:
    """Parquet with a row for each pair: webis/rank-distillm, or bert-ensemble-mse."""
    names = {"query_id": ids, "doc_id": ids, "score": pa.float32()}
    return _gathered(_parquet(path, names), GATHERED)


def _id_lists(path: Path, ids: pa.DataType) -> Iterator[pa.Table]:
    """Parquet of passage ids, best first: rankzephyr-colbert of sentence-transformers/msmarco.

    A passage scores the number of passages from it to the end of its list, as in Lightning IR.
    """
    wanted = {"query_id": ids, "doc_ids": pa.list_(ids)}
    for batch in _parquet(path, wanted):
        sizes = pc.list_value_length(batch["doc_ids"]).to_numpy(zero_copy_only=False)
        if not len(sizes):
            continue
        left = np.repeat(np.cumsum(sizes), sizes) - np.arange(int(sizes.sum()))
        yield pa.table(
            {
                "query_id": batch["query_id"].take(pc.list_parent_indices(batch["doc_ids"])),
                "doc_id": pc.list_flatten(batch["doc_ids"]),
                "score": pa.array(left, pa.float32()),
            }
        )


def _margins(path: Path, ids: pa.DataType) -> Iterator[pa.Table]:
    """Parquet of triples with a margin: bert-ensemble-margin-mse."""
    names = {"query_id": ids, "positive_id": ids, "negative_id": ids, "score": pa.float32()}
    for table in _gathered(_parquet(path, names), GATHERED):
        yield table.rename_columns([*list(names)[:3], "positive_score"]).append_column(
            "negative_score", pa.array(np.zeros(len(table), np.float32))
        )


def potentials(rows: Any) -> Any:
    """Return triples whose scores have the margins given as positive_score (and 0).

    A margin fixes scores up to a constant for each query (and for each set of passages that
    triples connect): the first positive has 0. Losses of margins see no difference.
    """
    rows = rows.copy()
    margins = rows["positive_score"].astype(np.float64)
    rows["positive_score"], rows["negative_score"] = 0.0, -margins
    order = np.lexsort((rows["negative_id"], rows["positive_id"], rows["query_id"]))
    query = rows["query_id"][order]
    for part in np.split(order, np.flatnonzero(np.diff(query)) + 1):
        if len(part) and (rows["positive_id"][part] != rows["positive_id"][part[0]]).any():
            _settle(rows, part, margins)
    return rows


def _settle(rows: Any, part: Any, margins: Any) -> None:
    """Give the triples of one query scores, from its first positive outwards."""
    known: dict[int, float] = {}
    waiting = [(t, int(rows["positive_id"][t]), int(rows["negative_id"][t])) for t in part]
    while waiting:
        linked = [each for each in waiting if known.keys() & each[1:]] or waiting[:1]
        for triple, positive, negative in linked:
            if positive not in known:
                known[positive] = known.get(negative, -margins[triple]) + margins[triple]
            known.setdefault(negative, known[positive] - margins[triple])
            rows["positive_score"][triple] = known[positive]
            rows["negative_score"][triple] = known[positive] - margins[triple]
        done = {triple for triple, _, _ in linked}
        waiting = [each for each in waiting if each[0] not in done]


FORMS = {
    "scored-triples": Form(_scored_triples, TRIPLE, numeric=True),
    "trec": Form(_trec, PAIR, numeric=True),
    "ranking": Form(_ranking, PAIR),
    "id-lists": Form(_id_lists, PAIR),
    "margins": Form(_margins, TRIPLE, solved=potentials),
}

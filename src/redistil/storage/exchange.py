"""Runs and qrels of any tool, read whole and checked, and ours as the TREC files that all read.

A line of a run is `query_id Q0 doc_id rank score tag`, of the qrels `query_id 0 doc_id relevance`;
blanks and tabs part the words. As for trec_eval, the order of a run is that of its scores: where
the rank that such a file writes down tells another one, or scores tie, the log says so.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadTable
from redistil.storage import trec
from redistil.storage.orders import ORDER, Order
from redistil.storage.tables import QRELS, ROW_GROUP, RUN, aside, ranked

BEIR = "query-id corpus-id score"  # the first line of BEIR's qrels, as a message quotes it

_log = logging.getLogger(__name__)

_QRELS = {
    "query_id": pa.string(),
    "iteration": pa.string(),
    "doc_id": pa.string(),
    "relevance": pa.int32(),
}


def run(path: Path) -> pa.Table:
    """Return a checked run, from our Parquet or a TREC file.

    The ranks of a TREC file follow from its scores; our own keep the order that they were written
    in, which need not be that of the scores.
    Raises BadTable for a passage that a query has twice, and for a score that is no number.
    """
    if path.suffix == ".parquet":
        return RUN.check(RUN.read(path), str(path))
    rows = _whole(path, trec.pairs)
    order = Order()
    order.add(rows.sort_by(ORDER))
    if order.inverted:
        _log.warning(
            "%s: %d of %d passages score less than one of a worse rank (first: %s): the scores "
            "decide, as for trec_eval", path, order.inverted, order.passages, order.first,
        )  # fmt: skip
    if order.tied:
        _log.info(
            "%s: %d of %d passages have the score of the one before them: doc_id orders them, as "
            "in trec_eval", path, order.tied, order.passages,
        )  # fmt: skip
    return RUN.check(ranked(rows["query_id"], rows["doc_id"], rows["score"]), str(path))


def qrels(path: Path) -> pa.Table:
    """Return checked qrels, from our Parquet or a TREC file; a pair judged twice is refused."""
    if path.suffix == ".parquet":
        rows = QRELS.read(path)
    else:
        rows = _of_trec(path)
    return QRELS.check(rows, str(path))


def _of_trec(path: Path) -> pa.Table:
    """Return the qrels of a TREC file; those of a BEIR folder are pointed to their command."""
    try:
        return _whole(path, _judgements).select(QRELS.schema.names)
    except BadTable as refused:
        if BEIR not in str(refused):
            raise
        raise BadTable(
            f"{path} has the header of BEIR's qrels: `redistil export-passages` and "
            "`redistil export-queries` make qrels of its folder "
            '(--corpus \'{"folder": "path/to/beir"}\' --dataset \'{"split": "test"}\')'
        ) from None


def _judgements(path: Path) -> Iterator[pa.Table]:
    for batch in trec.column_batches(path, _QRELS, trec.delimiter(path, list(_QRELS))):
        yield pa.table(batch)


def _whole(path: Path, read: Callable[[Path], Iterator[pa.Table]]) -> pa.Table:
    """Return all that `read` yields."""
    tables = list(read(path))
    if not tables:
        raise BadTable(f"{path} holds no line: wanted a run or qrels, give the right file")
    return pa.concat_tables(tables)


def write_run(rows: pa.Table, path: Path, tag: str) -> None:
    """Write a run; scores are spelled so that they come back as the same float32."""
    words = [rows["query_id"], "Q0", rows["doc_id"], rows["rank"], rows["score"], tag]
    _write(words, len(rows), path)


def write_qrels(rows: pa.Table, path: Path) -> None:
    """Write qrels."""
    _write([rows["query_id"], "0", rows["doc_id"], rows["relevance"]], len(rows), path)


def _write(words: Sequence[pa.ChunkedArray | str], count: int, path: Path) -> None:
    for column in words:
        _refuse_blanks(column, path)
    with aside(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as out:
        for start in range(0, count, ROW_GROUP):
            parts: list[pa.ChunkedArray | str] = []
            for column in words:
                if not isinstance(column, str):
                    column = column.slice(start, ROW_GROUP).cast(pa.string())
                parts.append(column)
            for line in pc.binary_join_element_wise(*parts, " ").to_pylist():
                out.write(f"{line}\n")


def _refuse_blanks(words: pa.ChunkedArray | str, path: Path) -> None:
    column = pa.array([words]) if isinstance(words, str) else words
    if not pa.types.is_string(column.type):
        return
    broken = column.filter(pc.match_substring_regex(column, r"\s|^$"))
    if len(broken):
        raise BadTable(
            f"{path}: a TREC file cannot hold {broken[0].as_py()!r}, whose blanks would part it "
            f"into columns ({len(broken)} such words): rename it, or keep the Parquet file"
        )

"""Runs and qrels of any tool, read whole and checked, and ours as the TREC files that all read.

A line of a run is `query_id Q0 doc_id rank score tag`, of the qrels `query_id 0 doc_id relevance`;
blanks and tabs part the words. As for trec_eval, the order of a run is that of its scores: the
rank that such a file writes down is not read.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadTable
from redistil.storage import trec
from redistil.storage.tables import QRELS, ROW_GROUP, RUN, aside, ranked

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
        rows = RUN.read(path)
    else:
        rows = ranked(*_whole(path, trec.pairs).columns)
    return RUN.check(rows, str(path))


def qrels(path: Path) -> pa.Table:
    """Return checked qrels, from our Parquet or a TREC file; a pair judged twice is refused."""
    if path.suffix == ".parquet":
        rows = QRELS.read(path)
    else:
        rows = _whole(path, _judgements).select(QRELS.schema.names)
    return QRELS.check(rows, str(path))


def _judgements(path: Path) -> Iterator[pa.Table]:
    for batch in trec.column_batches(path, _QRELS, trec.delimiter(path, list(_QRELS))):
        yield pa.table(batch)


def _whole(path: Path, read: Callable[[Path], Iterator[pa.Table]]) -> pa.Table:
    """Return all that `read` yields, also where the columns are set out with many blanks."""
    try:
        return pa.concat_tables(read(path))
    except (BadTable, pa.ArrowInvalid) as refused:
        try:
            with _evened(path) as even:
                return pa.concat_tables(read(even))
        except (BadTable, pa.ArrowInvalid, OSError):
            said = refused if isinstance(refused, BadTable) else f"{path} holds no line"
            raise BadTable(str(said)) from None


@contextmanager
def _evened(path: Path) -> Iterator[Path]:
    """Give an unpacked copy whose words are parted by single blanks."""
    with trec.unpacked(path) as stream:
        even = re.sub(rb"(?m)^[ \t]+|[ \t\r]+$", b"", stream.read())
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(re.sub(rb"[ \t]+", b" ", even))
        yield copy


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

"""TREC files, the form in which runs and judgements travel between tools.

A line of a run is `query_id Q0 doc_id rank score tag`, of the qrels `query_id 0 doc_id relevance`;
blanks and tabs part the words. As for trec_eval, the order of a run is that of its scores: the
rank that a file writes down is not read.
"""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from redistil.errors import BadTable
from redistil.tables import QRELS, ROW_GROUP, RUN, aside, ranked

RUN_COLUMNS = ("query_id", "q0", "doc_id", "rank", "score", "tag")
QRELS_COLUMNS = ("query_id", "iteration", "doc_id", "relevance")


def read_run(path: Path) -> pa.Table:
    """Return (query_id, doc_id, score) of a TREC run, in file order."""
    rows = read_columns(path, RUN_COLUMNS, _delimiter(path))
    return rows.select(["query_id", "doc_id", "score"])


def run(path: Path) -> pa.Table:
    """Return a checked run, from our Parquet or a TREC file, whose ranks follow from its scores.

    Raises BadTable for a passage that a query has twice, and for a score that is no number.
    """
    if path.suffix == ".parquet":
        rows = RUN.read(path)
    else:
        rows = ranked(*read_run(path).columns)
    return RUN.check(rows, str(path))


def qrels(path: Path) -> pa.Table:
    """Return checked qrels, from our Parquet or a TREC file; a pair judged twice is refused."""
    if path.suffix == ".parquet":
        rows = QRELS.read(path)
    else:
        rows = read_columns(path, QRELS_COLUMNS, _delimiter(path)).select(QRELS.schema.names)
    return QRELS.check(rows, str(path))


def _delimiter(path: Path) -> str:
    try:
        with path.open("rb") as lines:
            return "\t" if b"\t" in lines.readline() else " "
    except OSError as error:
        raise BadTable(f"{path} is not a readable file ({error.strerror})") from None


def read_columns(path: Path, names: tuple[str, ...], delimiter: str) -> pa.Table:
    """Return a headless delimited file: scores are float32, relevances int32, the rest text."""
    try:
        return _parsed(str(path), names, delimiter)
    except pa.ArrowInvalid as error:
        # columns set out with several blanks, or with both blanks and tabs
        spaced = path.read_bytes() if path.suffix != ".gz" else b""
        even = re.sub(rb"[ \t]+", b" ", re.sub(rb"(?m)^[ \t]+|[ \t\r]+$", b"", spaced))
        try:
            return _parsed(io.BytesIO(even), names, " ")
        except pa.ArrowInvalid:
            reason = str(error).splitlines()[0]
            wanted = " ".join(names)
            raise BadTable(f"{path}: wanted the columns {wanted} ({reason})") from None


def _parsed(source: str | io.BytesIO, names: Sequence[str], delimiter: str) -> pa.Table:
    kinds = {"score": pa.float32(), "relevance": pa.int32()}
    types = {name: kinds.get(name.rpartition("_")[2], pa.string()) for name in names}
    return csv.read_csv(
        source,
        read_options=csv.ReadOptions(column_names=list(names)),
        parse_options=csv.ParseOptions(delimiter=delimiter, quote_char=False),
        # no word stands for a missing value: a score "nan" is refused as what it is
        convert_options=csv.ConvertOptions(column_types=types, null_values=[]),
    )


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
            parts = [
                w if isinstance(w, str) else w.slice(start, ROW_GROUP).cast(pa.string())
                for w in words
            ]
            lines = pc.binary_join_element_wise(*parts, " ").to_pylist()
            out.writelines(f"{line}\n" for line in lines)


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

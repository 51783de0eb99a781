"""TREC run files, the form in which runs travel between tools: `qid Q0 docid rank score tag`.

Newer ones are published as Parquet too; `pairs` reads both, in pieces, however large they are.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from redistil.errors import BadTable

RUN_COLUMNS = ("query_id", "q0", "doc_id", "rank", "score", "tag")
PAIR_COLUMNS = ("query_id", "doc_id", "score")

# what published Parquet runs call these columns (webis/rank-distillm, Lightning-IR, ir_measures)
ALSO = {"query_id": ("qid", "q_id"), "doc_id": ("docno", "docid", "pid"), "score": ()}

BLOCK = 1 << 23  # bytes of text parsed at a time


def read_run(path: Path) -> pa.Table:
    """Return (query_id, doc_id, score) of a TREC run, in file order."""
    rows = read_columns(path, RUN_COLUMNS, _delimiter(path))
    return rows.select(PAIR_COLUMNS)


def pairs(path: Path) -> Iterator[pa.Table]:
    """Yield (query_id, doc_id, score) of a published run in pieces of bounded size, in file order.

    path: a TREC run, perhaps gzipped, or Parquet with columns of these names or of those in `ALSO`.
    Raises BadTable where it is neither.
    """
    if _head(path, None).startswith(b"PAR1"):
        yield from _parquet_pairs(path)
        return
    options = _options(RUN_COLUMNS, _delimiter(path))
    try:
        with csv.open_csv(path, **options) as batches:
            for batch in batches:
                yield pa.table(batch.select(PAIR_COLUMNS))
    except pa.ArrowInvalid as error:
        raise _unreadable(path, RUN_COLUMNS, error) from None


def _parquet_pairs(path: Path) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            names = [_called(path, name, file.schema_arrow.names) for name in PAIR_COLUMNS]
            for batch in file.iter_batches(columns=names):
                columns = [batch[names[0]].cast(pa.string()), batch[names[1]].cast(pa.string())]
                yield pa.table(
                    [*columns, batch[names[2]].cast(pa.float32())], names=list(PAIR_COLUMNS)
                )
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, PAIR_COLUMNS, error) from None


def _called(path: Path, wanted: str, found: list[str]) -> str:
    for name in (wanted, *ALSO[wanted]):
        if name in found:
            return name
    raise BadTable(f"{path}: wanted a run with the column {wanted}, got {', '.join(found)}")


def read_columns(path: Path, names: tuple[str, ...], delimiter: str) -> pa.Table:
    """Return a headless delimited file: columns named `...score` are float32, the rest text."""
    try:
        return csv.read_csv(path, **_options(names, delimiter))
    except pa.ArrowInvalid as error:
        raise _unreadable(path, names, error) from None


def _options(names: tuple[str, ...], delimiter: str) -> dict[str, object]:
    types = {name: pa.float32() if name.endswith("score") else pa.string() for name in names}
    return {
        "read_options": csv.ReadOptions(column_names=list(names), block_size=BLOCK),
        "parse_options": csv.ParseOptions(delimiter=delimiter, quote_char=False),
        "convert_options": csv.ConvertOptions(column_types=types),
    }


def _delimiter(path: Path) -> str:
    return "\t" if b"\t" in _head(path, "detect").split(b"\n")[0] else " "


def _head(path: Path, compression: str | None) -> bytes:
    try:
        with pa.input_stream(str(path), compression=compression) as stream:
            head: bytes = stream.read(4096)
            return head
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"{path} is not a readable run file ({reason})") from None


def _unreadable(path: Path, names: tuple[str, ...], error: Exception) -> BadTable:
    reason = str(error).splitlines()[0]
    return BadTable(f"{path}: wanted the columns {' '.join(names)} ({reason})")

"""TREC run files, the form in which runs travel between tools: `qid Q0 docid rank score tag`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv

from redistil.errors import BadTable

BLOCK = 1 << 24  # bytes of a file that are parsed at a time

RUN_COLUMNS = ("query_id", "q0", "doc_id", "rank", "score", "tag")


def read_run(path: Path) -> pa.Table:
    """Return (query_id, doc_id, score) of a TREC run, in file order."""
    try:
        with path.open("rb") as lines:
            delimiter = "\t" if b"\t" in lines.readline() else " "
    except OSError as error:
        raise BadTable(f"{path} is not a readable run file ({error.strerror})") from None
    rows = read_columns(path, RUN_COLUMNS, delimiter)
    return rows.select(["query_id", "doc_id", "score"])


def read_columns(path: Path, names: tuple[str, ...], delimiter: str) -> pa.Table:
    """Return a headless delimited file: columns named `...score` are float32, the rest text."""
    types = {name: pa.float32() if name.endswith("score") else pa.string() for name in names}
    try:
        return csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=list(names)),
            parse_options=csv.ParseOptions(delimiter=delimiter, quote_char=False),
            convert_options=csv.ConvertOptions(column_types=types),
        )
    except pa.ArrowInvalid as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"{path}: wanted the columns {' '.join(names)} ({reason})") from None


def column_batches(
    path: Path, types: Mapping[str, pa.DataType], delimiter: str
) -> Iterator[pa.RecordBatch]:
    """Yield a headless delimited file in pieces, as columns of these types; gzip is seen.

    Raises BadTable where a line does not fit.
    """
    names = list(types)
    with _refusing(path, names):
        with path.open("rb") as stream:
            packed = "gzip" if stream.read(2) == b"\x1f\x8b" else None
        with (
            pa.input_stream(str(path), compression=packed) as stream,
            csv.open_csv(
                stream,
                read_options=csv.ReadOptions(column_names=names, block_size=BLOCK),
                parse_options=csv.ParseOptions(delimiter=delimiter, quote_char=False),
                convert_options=csv.ConvertOptions(column_types=dict(types)),
            ) as reader,
        ):
            yield from reader


@contextmanager
def _refusing(path: Path, names: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"{path}: wanted the columns {' '.join(names)} ({reason})") from None

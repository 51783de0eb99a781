"""TREC run files, the form in which runs travel between tools: `qid Q0 docid rank score tag`.

Newer ones are published as Parquet too; `pairs` reads both, in pieces, however large they are.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from redistil.errors import BadTable

BLOCK = 1 << 24  # bytes of a file that are parsed together
AHEAD = 2  # blocks that are parsed while another is used

RUN_COLUMNS = ("query_id", "q0", "doc_id", "rank", "score", "tag")


def column_batches(
    path: Path, types: Mapping[str, pa.DataType], delimiter: str
) -> Iterator[pa.RecordBatch]:
    """Yield a headless delimited file in pieces, as columns of these types; gzip is seen.

    Raises BadTable where a line does not fit.
    """
    names = list(types)
    parse = csv.ParseOptions(delimiter=delimiter, quote_char=False)
    # no word stands for a missing value: a score "nan" is refused as what it is
    convert = csv.ConvertOptions(column_types=dict(types), null_values=[])

    def parse_block(block: bytes) -> pa.Table:
        read = csv.ReadOptions(column_names=names, block_size=max(len(block), 1), use_threads=False)
        return csv.read_csv(pa.BufferReader(block), read, parse, convert)

    with _refusing(path, names), unpacked(path) as stream, ThreadPoolExecutor(AHEAD) as pool:
        waiting: list[Future[pa.Table]] = []
        for block in _blocks(stream):
            waiting.append(pool.submit(parse_block, block))
            if len(waiting) > AHEAD:
                yield from waiting.pop(0).result().to_batches()
        for last in waiting:
            yield from last.result().to_batches()


def _blocks(stream: pa.NativeFile) -> Iterator[bytes]:
    """Yield a file in blocks of whole lines, at least one block.

    pyarrow's own reader of streams parses in one thread, and runs ahead without bounds.
    """
    rest, blocks = b"", 0
    while some := stream.read(BLOCK):
        end = some.rfind(b"\n") + 1
        whole = b"".join((rest, memoryview(some)[:end])) if end else b""
        rest = some[end:] if end else rest + some
        if whole and not whole.isspace():
            yield whole
            blocks += 1
    if not blocks or (rest and not rest.isspace()):
        yield rest


def unpacked(path: Path) -> pa.NativeFile:
    """Open a file that may be gzipped, whatever it is called."""
    with path.open("rb") as stream:
        packed = "gzip" if stream.read(2) == b"\x1f\x8b" else None
    return pa.input_stream(str(path), compression=packed)


@contextmanager
def _refusing(path: Path, names: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        # Arrow counts rows from the start of a block: beyond the first, its number misleads
        reason = re.sub(r"Row #\d+: ", "", str(error).splitlines()[0])
        raise BadTable(f"{path}: wanted the columns {' '.join(names)} ({reason})") from None


# --- runs of any size, TREC or Parquet -----------------------------------------------------------

PAIR_COLUMNS = ("query_id", "doc_id", "score")

# what published Parquet runs call these columns (webis/rank-distillm, Lightning-IR, ir_measures)
ALSO = {"query_id": ("qid", "q_id"), "doc_id": ("docno", "docid", "pid", "passage_id"), "score": ()}


def pairs(path: Path) -> Iterator[pa.Table]:
    """Yield (query_id, doc_id, score) of a published run in pieces of bounded size, in file order.

    path: a TREC run, perhaps gzipped, or Parquet with columns of these names or of those in `ALSO`.
    Raises BadTable where it is neither.
    """
    try:
        with path.open("rb") as stream:
            is_parquet = stream.read(4) == b"PAR1"
    except OSError as error:
        raise BadTable(f"{path} is not a readable run file ({error.strerror})") from None
    if is_parquet:
        yield from _parquet_pairs(path)
        return
    types = {name: pa.float32() if name == "score" else pa.string() for name in RUN_COLUMNS}
    for batch in column_batches(path, types, delimiter(path, RUN_COLUMNS)):
        yield pa.table(batch.select(PAIR_COLUMNS))


def delimiter(path: Path, names: Sequence[str]) -> str:
    """Return what stands between the columns `names` of a file: a tab or a blank."""
    with _refusing(path, names), unpacked(path) as text:
        return "\t" if b"\t" in text.read(4096).split(b"\n")[0] else " "


def _parquet_pairs(path: Path) -> Iterator[pa.Table]:
    with _refusing(path, PAIR_COLUMNS), pq.ParquetFile(path) as file:
        names = [_called(path, name, file.schema_arrow.names) for name in PAIR_COLUMNS]
        for batch in file.iter_batches(columns=names):
            ids = [batch[name].cast(pa.string()) for name in names[:2]]
            scores = batch[names[2]].cast(pa.float32())
            yield pa.table([*ids, scores], names=list(PAIR_COLUMNS))


def _called(path: Path, wanted: str, found: Sequence[str]) -> str:
    for name in (wanted, *ALSO[wanted]):
        if name in found:
            return name
    raise BadTable(f"{path}: wanted a run with the column {wanted}, got {', '.join(found)}")

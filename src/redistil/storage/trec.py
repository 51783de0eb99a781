"""TREC run files, the form in which runs travel between tools: `qid Q0 docid rank score tag`.

Blanks and tabs part the words, as many as there are. The head that ir_metadata writes is passed
over. Newer runs are published as Parquet too; `pairs` reads both, in pieces, however large they
are.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from redistil.errors import BadTable

BLOCK = 1 << 24  # bytes of a file that are parsed together
AHEAD = 2  # blocks that are parsed while another is used
HEAD = 1 << 16  # bytes of a file in which its first line is looked for
# what ir_metadata writes before the first row
METADATA = re.compile(rb"# *ir_metadata\.start\b(?:[^\n]*\n#)*? *ir_metadata\.end[^\n]*(?:\n|\Z)")

RUN_COLUMNS = ("query_id", "q0", "doc_id", "rank", "score", "tag")


def column_batches(
    path: Path, types: Mapping[str, pa.DataType], delimiter: str
) -> Iterator[pa.RecordBatch]:
    """Yield a delimited file in pieces, as columns of these types; gzip is seen.

    delimiter: a tab, or a blank for words that blanks and tabs part, however many. Raises BadTable
    where a line does not fit.
    """
    parse = csv.ParseOptions(delimiter=delimiter, quote_char=False)
    # no word stands for a missing value: a score "nan" is refused as what it is
    convert = csv.ConvertOptions(column_types=dict(types), null_values=[])

    def rows(text: bytes) -> pa.Table:
        size = max(len(text), 1)
        read = csv.ReadOptions(column_names=list(types), block_size=size, use_threads=False)
        return csv.read_csv(pa.BufferReader(text), read, parse, convert)

    def parse_block(block: Block) -> pa.Table:
        try:
            return rows(block.text)
        except pa.ArrowInvalid:
            bad = _first_bad(block, rows)
        with _refusing(path, types, bad.before + 1):
            return rows(bad.text)

    with _refusing(path, types), unpacked(path) as stream, ThreadPoolExecutor(AHEAD) as pool:
        waiting: list[Future[pa.Table]] = []
        for block in _without_metadata(_blocks(stream)):
            if delimiter == " ":
                block = block._replace(text=_evened(block.text))
            waiting.append(pool.submit(parse_block, block))
            if len(waiting) > AHEAD:
                yield from waiting.pop(0).result().to_batches()
        for last in waiting:
            yield from last.result().to_batches()


class Block(NamedTuple):
    """Whole lines of a file, and how many lines stand before them."""

    before: int
    text: bytes


def _first_bad(block: Block, rows: Callable[[bytes], pa.Table]) -> Block:
    """Return the first line of a block that is no row of its own; all of it where each is."""
    lines = [line + b"\n" for line in block.text.split(b"\n")]
    good, end = 0, len(lines)  # the first bad line is one of these
    while end - good > 1:
        middle = (good + end) // 2
        part = b"".join(lines[good:middle])
        try:
            if not part.isspace():
                rows(part)
            good = middle
        except pa.ArrowInvalid:
            end = middle
    return Block(block.before + good, b"".join(lines[good:end]))


def _blocks(stream: pa.NativeFile) -> Iterator[Block]:
    """Yield a file in blocks of whole lines, at least one block.

    pyarrow's own reader of streams parses in one thread, and runs ahead without bounds.
    """
    rest, before, blocks = b"", 0, 0
    while some := stream.read(BLOCK):
        end = some.rfind(b"\n") + 1
        whole = b"".join((rest, memoryview(some)[:end])) if end else b""
        rest = some[end:] if end else rest + some
        if whole and not whole.isspace():
            yield Block(before, whole)
            blocks += 1
        before += whole.count(b"\n")
    if not blocks or (rest and not rest.isspace()):
        yield Block(before, rest)


def _without_metadata(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield blocks without the metadata at the head of the first, at least one block."""
    before, text = next(blocks)
    rest = _after_metadata(text)
    following = next(blocks, None)
    if rest or following is None:
        yield Block(before + text.count(b"\n") - rest.count(b"\n"), rest)
    if following is not None:
        yield following
        yield from blocks


def _after_metadata(block: bytes) -> bytes:
    head = METADATA.match(block)
    return block[head.end() :] if head else block


def _evened(block: bytes) -> bytes:
    """Return lines whose words are parted by single blanks."""
    if not (b"  " in block or b"\t" in block or b" \n" in block or b"\n " in block):
        if not block.startswith(b" ") and not block.endswith(b" ") and b" \r" not in block:
            return block
    even = re.sub(rb"[ \t]+", b" ", block)
    return re.sub(rb"^ | ?\r?$", b"", even, flags=re.M)


def unpacked(path: Path) -> pa.NativeFile:
    """Open a file that may be gzipped, whatever it is called."""
    with path.open("rb") as stream:
        packed = "gzip" if stream.read(2) == b"\x1f\x8b" else None
    return pa.input_stream(str(path), compression=packed)


@contextmanager
def _refusing(path: Path, names: Iterable[str], line: int | None = None) -> Iterator[None]:
    """Turn what Arrow raises into one sentence. line: which one of the file is read."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        where = f"{path}, line {line}" if line else str(path)
        # Arrow counts rows and no lines, from the start of what it was given
        reason = re.sub(r"Row #\d+: ", "", str(error).splitlines()[0])
        raise BadTable(f"{where}: wanted the columns {' '.join(names)} ({reason})") from None


# --- runs of any size, TREC or Parquet -----------------------------------------------------------

PAIR_COLUMNS = ("query_id", "doc_id", "score")
RANKED = (*PAIR_COLUMNS, "rank")

# what published Parquet runs call these columns (webis/rank-distillm, Lightning-IR, ir_measures)
ALSO = {"query_id": ("qid", "q_id"), "doc_id": ("docno", "docid", "pid", "passage_id"), "score": ()}


def pairs(path: Path) -> Iterator[pa.Table]:
    """Yield the columns RANKED of a published run in pieces of bounded size, in file order.

    The rank is 0 where the file has none that is a whole number. path: a TREC run, perhaps
    gzipped, or Parquet with columns of these names or of those in `ALSO`. Raises BadTable where it
    is neither.
    """
    try:
        with path.open("rb") as stream:
            is_parquet = stream.read(4) == b"PAR1"
    except OSError as error:
        raise BadTable(f"{path} is not a readable run file ({error.strerror})") from None
    if is_parquet:
        yield from _parquet_pairs(path)
        return
    for batch in run_batches(path):
        yield pa.table(batch)


def run_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the columns RANKED of a TREC run."""
    types = {name: pa.float32() if name == "score" else pa.string() for name in RUN_COLUMNS}
    for batch in column_batches(path, types, delimiter(path, RUN_COLUMNS)):
        columns = {name: batch[name] for name in PAIR_COLUMNS}
        yield pa.record_batch(columns | {"rank": ranks(batch["rank"])})


def ranks(written: pa.Array) -> pa.Array:
    """Return ranks as they are written down, or 0 for all where one is no whole number."""
    try:
        return pc.cast(written, pa.int64()).fill_null(0)
    except pa.ArrowInvalid:
        return pa.array(np.zeros(len(written), np.int64))


def delimiter(path: Path, names: Sequence[str]) -> str:
    """Return what stands between the columns `names` of a file: single tabs, or else blanks."""
    with _refusing(path, names), unpacked(path) as text:
        head = _after_metadata(text.read(HEAD)).lstrip(b"\r\n")
    line = head.split(b"\n")[0].rstrip(b"\r")
    return "\t" if len(line.split(b"\t")) == len(names) else " "


def _parquet_pairs(path: Path) -> Iterator[pa.Table]:
    with _refusing(path, PAIR_COLUMNS), pq.ParquetFile(path) as file:
        columns = file.schema_arrow.names
        names = [_called(path, name, columns) for name in PAIR_COLUMNS]
        has_rank = "rank" in columns
        for batch in file.iter_batches(columns=[*names, "rank"] if has_rank else names):
            refuse_missing(path, batch, names)
            ids = [batch[name].cast(pa.string()) for name in names[:2]]
            scores = batch[names[2]].cast(pa.float32())
            order = batch["rank"] if has_rank else pa.nulls(len(batch), pa.int64())
            yield pa.table([*ids, scores, ranks(order)], names=list(RANKED))


def refuse_missing(path: Path, batch: pa.RecordBatch, names: Sequence[str]) -> None:
    """Raise BadTable where a row lacks the value of one of these columns."""
    for name in names:
        missing = batch[name].null_count
        if missing:
            raise BadTable(
                f"{path}: {missing} rows have no {name}: wanted a value in each, leave them out"
            )


def _called(path: Path, wanted: str, columns: Sequence[str]) -> str:
    for name in (wanted, *ALSO[wanted]):
        if name in columns:
            return name
    raise BadTable(f"{path}: wanted a run with the column {wanted}, got {', '.join(columns)}")

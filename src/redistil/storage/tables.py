"""The tables that cross from one stage to another, and the only Parquet reader and writer.

Every table has a schema, a key and a row order. Writing checks, sorts, writes aside and renames,
so that equal rows are equal bytes and a file appears complete or not at all. Reading checks the
schema. `docs/tables.md` says what each column means.
"""

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from redistil.errors import BadTable
from redistil.storage import lineage
from redistil.storage.lineage import Made
from redistil.storage.stretches import positions

ROW_GROUP = 1 << 17  # rows; a row group of passages stays near 50 MB


@dataclass(frozen=True)
class Table:
    """What a Parquet file must be to cross from one rule to another."""

    name: str
    schema: pa.Schema
    key: tuple[str, ...]  # no two rows agree on these columns
    order: tuple[tuple[str, str], ...]  # rows are stored sorted by these; () keeps the given order
    plain: frozenset[str] = frozenset()  # columns that hardly repeat a value: a dictionary is waste
    counted: str = ""  # a list column whose elements, and not only the rows, are bounded in memory

    def rows(self, columns: dict[str, Sequence[object] | pa.Array]) -> pa.Table:
        """Return `columns` as a table of this schema."""
        try:
            return pa.table(
                [pa.array(columns[f.name], f.type) for f in self.schema], schema=self.schema
            )
        except (pa.ArrowException, KeyError, OverflowError, UnicodeError) as error:
            raise BadTable(f"{self.name}: rows do not fit the schema ({error})") from None

    def check(self, rows: pa.Table, where: str) -> pa.Table:
        """Return `rows` in canonical order, or raise BadTable saying what is wrong with them."""
        self._check_schema(rows.schema, where)
        for name in self.schema.names:
            _check_values(rows[name], f"{where}: {{}} of {len(rows)} {name}")
        lists = [name for name in self.schema.names if pa.types.is_list(rows[name].type)]
        if len({tuple(pc.list_value_length(rows[name]).to_pylist()) for name in lists}) > 1:
            raise BadTable(f"{where}: {' and '.join(lists)} of a row differ in length")
        if self.key:
            distinct = len(rows.select(self.key).group_by(list(self.key)).aggregate([]))
            if distinct != len(rows):
                raise BadTable(
                    f"{where}: {len(rows) - distinct} of {len(rows)} rows repeat a "
                    f"({', '.join(self.key)})"
                )
        return rows.sort_by(list(self.order)) if self.order else rows

    def write(self, rows: pa.Table, path: Path, made: Made) -> None:
        """Check, sort and write; `path` appears complete or not at all."""
        with self.writer(path, made) as write:
            # in one piece: where the pages of a file end depends on the pieces
            write(self.check(rows, self.name).combine_chunks())

    @contextmanager
    def writer(self, path: Path, made: Made) -> Iterator[Callable[[pa.Table], None]]:
        """Write tables one after the other, as they come: for what does not fit in memory.

        The schema is checked; key and order are the caller's promise.
        """
        schema = self.schema.with_metadata({lineage.KEY: made.dumps()})
        repeating: Any = [name for name in schema.names if name not in self.plain]
        how = {"compression": "zstd", "use_dictionary": repeating if self.plain else True}
        with aside(path) as partial, pq.ParquetWriter(partial, schema, **how) as out:

            def write(rows: pa.Table) -> None:
                self._check_schema(rows.schema, self.name)
                for group in self.groups(rows.cast(schema)):
                    out.write_table(group, row_group_size=ROW_GROUP)

            yield write

    def groups(self, rows: pa.Table) -> Iterator[pa.Table]:
        """Yield rows in row groups, one after the other: at least one, and only the last not full.

        A full one has `ROW_GROUP` rows, or as many elements of the column that is counted.
        """
        start = 0
        while True:
            group = rows.slice(start, ROW_GROUP)
            if self.counted:
                elements = np.cumsum(pc.list_value_length(group[self.counted]).to_numpy())
                group = group.slice(0, int(np.searchsorted(elements, ROW_GROUP)) + 1)
            yield group
            start += len(group)
            if start >= len(rows):
                return

    def read(self, path: Path, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of a file that keeps this contract; BadTable if it does not."""
        with self.expect(path) as file, _readable(path):
            return file.read(columns=list(columns) if columns else None)

    def batches(self, path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a file in pieces of bounded size."""
        with self.expect(path) as file, _readable(path):
            names = list(columns) if columns else None
            if not self.counted:
                yield from file.iter_batches(ROW_GROUP // 2, columns=names)
                return
            for number in range(file.num_row_groups):
                size = _rows_of(file.metadata.row_group(number), self.counted, ROW_GROUP // 2)
                yield from file.iter_batches(size, [number], columns=names)

    def some(self, path: Path, column: str, values: Sequence[str]) -> pa.Table:
        """Return the rows of a file whose `column` is one of `values`, in the order of the file.

        Row groups that can hold none of them are not read: nearly all of a run, which is sorted.
        """
        wanted = pa.array(sorted(values), pa.string())
        with self.expect(path) as file, _readable(path):
            place = file.schema_arrow.get_field_index(column)
            kept = [self.rows({name: [] for name in self.schema.names})]
            for group in range(file.num_row_groups):
                if _may_hold(file.metadata.row_group(group).column(place).statistics, values):
                    rows = file.read_row_group(group).filter(pc.field(column).isin(wanted))
                    kept.append(rows.replace_schema_metadata())
        return pa.concat_tables(kept)

    def count(self, path: Path) -> int:
        """Return how many rows a file has, from its footer."""
        with self.expect(path) as file:
            return int(file.metadata.num_rows)

    def expect(self, path: Path) -> pq.ParquetFile:
        """Open a file whose schema is this table's; BadTable if it is not."""
        if not path.exists():
            raise BadTable(f"{path} does not exist: wanted the table `{self.name}`")
        with _readable(path):
            file = pq.ParquetFile(path)
        self._check_schema(file.schema_arrow, str(path))
        return file

    def _check_schema(self, got: pa.Schema, where: str) -> None:
        if got.remove_metadata() != self.schema:
            wanted = ", ".join(f"{f.name} {f.type}" for f in self.schema)
            found = ", ".join(f"{f.name} {f.type}" for f in got) or "no column"
            raise BadTable(f"{where} is not a table `{self.name}`: wanted {wanted}; got {found}")


def _check_values(column: pa.ChunkedArray, what: str) -> None:
    if column.null_count:
        raise BadTable(f"{what.format(column.null_count)} are missing")
    if pa.types.is_list(column.type):
        _check_values(pc.list_flatten(column), what)
    elif pa.types.is_floating(column.type):
        finite = pc.sum(pc.is_finite(column)).as_py() or 0
        if finite < len(column):
            raise BadTable(f"{what.format(len(column) - finite)} are not finite numbers")


def _rows_of(group: Any, column: str, elements: int) -> int:
    """Return how many rows of a row group have so many elements of a list column, on average."""
    leaves = (group.column(place) for place in range(group.num_columns))
    total = next(leaf.num_values for leaf in leaves if leaf.path_in_schema.startswith(f"{column}."))
    return max(elements * int(group.num_rows) // max(int(total), 1), 1)


def _may_hold(statistics: Any, wanted: Sequence[str]) -> bool:
    """Say whether a row group's least and greatest value leave room for one of the wanted."""
    if statistics is None or not statistics.has_min_max:
        return True
    return any(statistics.min <= value <= statistics.max for value in wanted)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"{path} is not a readable Parquet file ({reason})") from None


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Give a path to write to; it becomes `path` if the block ends well, else it is removed.

    What a killed job left of writing the same file is removed when it is written again. The number
    of the process is in the name so that a job that still writes it fails, and mixes nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        if left.name[len(path.name) + 2 : -len(".partial")].isdigit():  # not of "a.b", beside "a"
            left.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _schema(**types: pa.DataType) -> pa.Schema:
    return pa.schema(list(types.items()))


def _table(
    name: str,
    key: Iterable[str],
    order: str,
    plain: str = "",
    counted: str = "",
    **types: pa.DataType,
) -> Table:
    """`order` and `plain` list columns; a leading minus sorts downwards."""
    spelled = tuple(
        (column.lstrip("-"), "descending" if column.startswith("-") else "ascending")
        for column in order.split()
    )
    return Table(name, _schema(**types), tuple(key), spelled, frozenset(plain.split()), counted)


_ID, _TEXT, _SCORE = pa.string(), pa.large_string(), pa.float32()

QUERIES = _table("queries", ["query_id"], "query_id", query_id=_ID, text=_TEXT)
# passages keep the order of their collection, so that millions stream through
PASSAGES = _table("passages", ["doc_id"], "", doc_id=_ID, text=_TEXT)
QRELS = _table(
    "qrels",
    ["query_id", "doc_id"],
    "query_id doc_id",
    query_id=_ID,
    doc_id=_ID,
    relevance=pa.int32(),
)
RUN = _table(
    "run",
    ["query_id", "doc_id"],
    "query_id rank doc_id",
    query_id=_ID,
    doc_id=_ID,
    rank=pa.int32(),
    score=_SCORE,
)
VECTORS = _table(
    "vectors",
    ["doc_id"],
    "",
    doc_id=_ID,
    terms=pa.list_(pa.field("element", pa.int32())),
    weights=pa.list_(pa.field("element", pa.float32())),
)
TRIPLES = _table(
    "triples",
    ["query_id", "positive_id", "negative_id"],
    "query_id positive_id negative_id",
    "negative_id",
    query_id=_ID,
    positive_id=_ID,
    negative_id=_ID,
)
LISTS = _table(
    "lists",
    ["query_id"],
    "query_id",
    counted="doc_ids",
    query_id=_ID,
    doc_ids=pa.list_(pa.field("element", _ID)),
    relevances=pa.list_(pa.field("element", pa.int32())),
)
TEACHER_SCORES = _table(
    "teacher_scores",
    ["query_id", "doc_id"],
    "query_id doc_id",
    "doc_id score",
    query_id=_ID,
    doc_id=_ID,
    score=_SCORE,
)
CURVE = _table(
    "curve",
    ["step"],
    "step",
    step=pa.int32(),
    loss=pa.float64(),
    gradient_norm=pa.float64(),
    learning_rate=pa.float64(),
)
VALIDATION = _table(
    "validation",
    ["step", "dataset", "measure"],
    "step dataset measure",
    step=pa.int32(),
    dataset=pa.string(),
    measure=pa.string(),
    value=pa.float64(),
)
MEASURES = _table(
    "measures",
    ["query_id", "dataset", "measure"],
    "dataset measure query_id",
    query_id=_ID,
    dataset=pa.string(),
    measure=pa.string(),
    value=pa.float64(),
)
PAIRS = _table(
    "pairs",
    ["scope", "system", "against"],
    "",
    **dict.fromkeys(("scope", "system", "against", "family", "over", "verdict"), pa.string()),
    **dict.fromkeys(("queries", "wins", "losses"), pa.int32()),
    **dict.fromkeys(("difference", "low", "high", "p", "p_randomisation", "p_holm"), pa.float64()),
)
CONTRASTS = _table(
    "contrasts",
    ["query_id", "system", "rank"],
    "choice query_id system rank",
    **dict.fromkeys(("query_id", "system", "doc_id"), _ID),
    **dict.fromkeys(("query", "passage"), _TEXT),
    **dict.fromkeys(("choice", "rank", "relevance"), pa.int32()),
    judged=pa.bool_(),
    value=pa.float64(),
)
DEPTHS = _table(
    "depths",
    ["system", "dataset", "depth"],
    "system dataset depth",
    system=pa.string(),
    dataset=pa.string(),
    depth=pa.int32(),
    value=pa.float64(),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        QUERIES,
        PASSAGES,
        QRELS,
        RUN,
        VECTORS,
        TRIPLES,
        LISTS,
        TEACHER_SCORES,
        CURVE,
        VALIDATION,
        MEASURES,
        DEPTHS,
        PAIRS,
        CONTRASTS,
    )
}


def ranked(
    query_id: Sequence[str] | pa.ChunkedArray,
    doc_id: Sequence[str] | pa.ChunkedArray,
    score: Iterable[float],
) -> pa.Table:
    """Return scored pairs as a run: ranks from 1, ties in canonical order.

    Canonical order, as trec_eval's: score (float32) downwards, then doc_id downwards.
    """
    rows = pa.table({"query_id": query_id, "doc_id": doc_id, "score": pa.array(score, _SCORE)})
    rows = rows.sort_by(
        [("query_id", "ascending"), ("score", "descending"), ("doc_id", "descending")]
    )
    return RUN.rows(
        {
            "query_id": rows["query_id"].combine_chunks(),
            "doc_id": rows["doc_id"].combine_chunks(),
            "rank": pa.array(positions(_codes(rows["query_id"])), pa.int32()),
            "score": rows["score"].combine_chunks(),
        }
    )


def _codes(ids: pa.ChunkedArray) -> Any:
    return ids.combine_chunks().dictionary_encode().indices.to_numpy()


def top(run: pa.Table, depth: int) -> pa.Table:
    """Return the first `depth` passages of each query."""
    return run.filter(pc.less_equal(run["rank"], depth))


def texts(path: Path, table: Table) -> dict[str, str]:
    """Return id -> text of a queries or passages file."""
    rows = table.read(path)
    return dict(zip(rows[0].to_pylist(), rows[1].to_pylist(), strict=True))

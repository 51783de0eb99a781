"""The tables that cross from one stage to another, and the only Parquet reader and writer.

Every table has a schema, a key and a row order. `Table.write` checks and sorts the rows, so that
equal rows are equal bytes. `Table.writer` takes pieces from a stage that promises as much. A file
appears complete or not at all. A reader checks the schema. `docs/tables.md` gives the meaning of
each column.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from redistil.errors import BadTable
from redistil.storage import digests, lineage
from redistil.storage.aside import aside as aside
from redistil.storage.lineage import Made
from redistil.storage.parquet import (
    check_lengths,
    check_values,
    may_hold,
    readable,
    rows_with_elements,
)
from redistil.storage.stretches import positions

ROW_GROUP = 1 << 17  # rows; a row group of passages stays near 50 MB


@dataclass(frozen=True)
class Table:
    """The contract of a Parquet file that crosses from one rule to another.

    key: no two rows agree on these columns (triples of docpairs may). order: rows are sorted by
    these; () keeps the order they come in. plain: columns that hardly repeat a value, stored
    without a dictionary. counted: a list column whose elements, and not only the rows, are bounded
    in memory. optional: columns that need no value.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    order: tuple[tuple[str, str], ...]
    plain: frozenset[str] = frozenset()
    counted: str = ""
    optional: frozenset[str] = frozenset()

    def rows(self, columns: Mapping[str, Sequence[object] | pa.Array]) -> pa.Table:
        """Return `columns` as a table of this schema."""
        arrays: list[pa.Array] = []
        try:
            for field in self.schema:
                arrays.append(pa.array(columns[field.name], field.type))
            return pa.table(arrays, schema=self.schema)
        except (pa.ArrowException, KeyError, OverflowError, UnicodeError) as error:
            raise BadTable(f"{self.name}: rows do not fit the schema ({error})") from None

    def check(self, rows: pa.Table, where: str) -> pa.Table:
        """Return `rows` in canonical order; BadTable if they break the contract."""
        self._check_schema(rows.schema, where)
        for name in self.schema.names:
            values = rows[name].drop_null() if name in self.optional else rows[name]
            check_values(values, f"{where}: {{}} of {len(rows)} {name}")
        check_lengths(rows, where)
        self._check_key(rows, where)
        return rows.sort_by(list(self.order)) if self.order else rows

    def write(self, rows: pa.Table, path: Path, made: Made) -> None:
        """Check, sort and write; `path` appears complete or not at all."""
        with self.writer(path, made) as write:
            # in one piece: where the pages of a file end depends on the pieces
            write(self.check(rows, self.name).combine_chunks())

    @contextmanager
    def writer(self, path: Path, made: Made) -> Iterator[Callable[[pa.Table], None]]:
        """Give a function that writes tables one after the other: more than fits in memory.

        The schema is checked; values, key and order are the caller's promise.
        """
        schema = self.schema.with_metadata({lineage.KEY: made.dumps()})
        how = {"compression": "zstd", "use_dictionary": self._dictionaries()}
        with aside(path) as partial:
            with pq.ParquetWriter(partial, schema, **how) as out:

                def write(rows: pa.Table) -> None:
                    self._check_schema(rows.schema, self.name)
                    for group in self.groups(rows.cast(schema)):
                        out.write_table(group, row_group_size=ROW_GROUP)

                yield write
                out.add_key_value_metadata({digests.KEY: digests.BLANK.decode()})
            digests.seal(partial)

    def _dictionaries(self) -> bool | list[str]:
        """Return which columns are stored with a dictionary of their values; True: all."""
        if not self.plain:
            return True
        return [name for name in self.schema.names if name not in self.plain]

    def groups(self, rows: pa.Table) -> Iterator[pa.Table]:
        """Yield rows in row groups, one after the other: at least one, and only the last not full.

        A full one has `ROW_GROUP` rows, or as many elements of the column that is counted.
        """
        group = self._first_group(rows)
        yield group
        start = len(group)
        while start < len(rows):
            group = self._first_group(rows.slice(start))
            yield group
            start += len(group)

    def _first_group(self, rows: pa.Table) -> pa.Table:
        group = rows.slice(0, ROW_GROUP)
        if not self.counted:
            return group
        elements = np.cumsum(pc.list_value_length(group[self.counted]).to_numpy())
        return group.slice(0, int(np.searchsorted(elements, ROW_GROUP)) + 1)

    def read(self, path: Path, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of a file that keeps this contract; BadTable if it does not."""
        with self.expect(path) as file, readable(path):
            return file.read(columns=list(columns) if columns else None)

    def batches(self, path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a file in pieces of bounded size."""
        with self.expect(path) as file, readable(path):
            names = list(columns) if columns else None
            if not self.counted:
                yield from file.iter_batches(ROW_GROUP // 2, columns=names)
                return
            for number in range(file.num_row_groups):
                group = file.metadata.row_group(number)
                size = rows_with_elements(group, self.counted, ROW_GROUP // 2)
                yield from file.iter_batches(size, [number], columns=names)

    def some(self, path: Path, column: str, values: Sequence[str]) -> pa.Table:
        """Return the rows of a file whose `column` is one of `values`, in the order of the file.

        Row groups that can hold none of them are not read: nearly all of a run, which is sorted.
        """
        is_wanted = pc.field(column).isin(pa.array(sorted(values), pa.string()))
        kept = [self.schema.empty_table()]
        with self.expect(path) as file, readable(path):
            place = file.schema_arrow.get_field_index(column)
            for number in range(file.num_row_groups):
                statistics = file.metadata.row_group(number).column(place).statistics
                if may_hold(statistics, values):
                    rows = file.read_row_group(number).filter(is_wanted)
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
        digests.check_if_sealed(path)
        with readable(path):
            file = pq.ParquetFile(path)
        if lineage.KEY in (file.schema_arrow.metadata or {}):
            digests.check(path)
        self._check_schema(file.schema_arrow, str(path))
        return file

    def _check_schema(self, got: pa.Schema, where: str) -> None:
        if got.remove_metadata() != self.schema:
            raise BadTable(
                f"{where} is not a table `{self.name}`: wanted {_columns(self.schema)}; "
                f"got {_columns(got)}"
            )

    def _check_key(self, rows: pa.Table, where: str) -> None:
        if not self.key:
            return
        distinct = rows.select(self.key).group_by(list(self.key)).aggregate([])
        repeated = len(rows) - len(distinct)
        if repeated:
            key = ", ".join(self.key)
            raise BadTable(
                f"{where}: {repeated} of {len(rows)} rows repeat a ({key}) "
                f"(first: {_first_repeated(rows, self.key)}): keep one of each"
            )


def _first_repeated(rows: pa.Table, key: Sequence[str]) -> str:
    """Return the first values of a key that several rows have, as words."""
    groups = rows.select(list(key)).group_by(list(key), use_threads=False)
    counted = groups.aggregate([([], "count_all")])
    (first,) = counted.filter(pc.greater(counted["count_all"], 1)).slice(0, 1).to_pylist()
    return ", ".join(f"{name} {first[name]!r}" for name in key)


def _columns(schema: pa.Schema) -> str:
    spelled = ", ".join(f"{field.name} {field.type}" for field in schema)
    return spelled or "no column"


def _table(
    name: str,
    key: Iterable[str],
    order: str,
    plain: str = "",
    counted: str = "",
    optional: str = "",
    **types: pa.DataType,
) -> Table:
    """`order`, `plain` and `optional` list columns, divided by blanks."""
    ascending = tuple((column, "ascending") for column in order.split())
    some = frozenset(plain.split()), counted, frozenset(optional.split())
    return Table(name, pa.schema(types), tuple(key), ascending, *some)


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
COUNTS = _table("counts", ["what"], "what", what=pa.string(), count=pa.int64())
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
    optional="positive_score negative_score",
    step=pa.int32(),
    **dict.fromkeys(("loss", "gradient_norm", "learning_rate"), pa.float64()),
    **dict.fromkeys(("positive_score", "negative_score"), pa.float64()),
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

_ALL = (
    QUERIES,
    PASSAGES,
    QRELS,
    COUNTS,
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
TABLES: dict[str, Table] = {table.name: table for table in _ALL}


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
    return numbered(rows)


def numbered(rows: pa.Table) -> pa.Table:
    """Return scored pairs as a run: ranks from 1, in the order that each query's rows have."""
    return RUN.rows(
        {
            "query_id": rows["query_id"].combine_chunks(),
            "doc_id": rows["doc_id"].combine_chunks(),
            "rank": pa.array(positions(_codes(rows["query_id"])), pa.int32()),
            "score": rows["score"].combine_chunks(),
        }
    )


def _codes(ids: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    codes: npt.NDArray[np.int32] = ids.combine_chunks().dictionary_encode().indices.to_numpy()
    return codes


def top(run: pa.Table, depth: int) -> pa.Table:
    """Return the first `depth` passages of each query."""
    return run.filter(pc.less_equal(run["rank"], depth))


def texts(path: Path, table: Table) -> dict[str, str]:
    """Return id -> text of a queries or passages file."""
    rows = table.read(path)
    return dict(zip(rows[0].to_pylist(), rows[1].to_pylist(), strict=True))

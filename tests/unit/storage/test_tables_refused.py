"""Tables that will not do: what is refused, by which words, and that a refusal leaves no file."""

import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from redistil.errors import BadTable, Damaged
from redistil.storage import tables
from redistil.storage.tables import LISTS, QRELS, RUN, TABLES, TEACHER_SCORES, VECTORS, ranked
from tests.made.table_rows import EXAMPLES, MADE, every_table, nothing_was_written, rows_of

SCORES = {"query_id": ["1", "1", "2"], "doc_id": ["a", "b", "a"], "score": [1.0, 2.0, 3.0]}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "made" / "table.parquet"


def refused(action, *parts: str) -> None:
    """`action` raises BadTable with one line that has these parts."""
    with pytest.raises(BadTable) as caught:
        action()
    said = str(caught.value)
    assert "\n" not in said
    for part in parts:
        assert part in said


# --- what is written --------------------------------------------------------------------------


@every_table
def test_repeated_keys_leave_no_file(table, path):
    rows = pa.concat_tables([rows_of(table), rows_of(table).slice(0, 1)])
    key = ", ".join(table.key)
    first = ", ".join(f"{name} {rows_of(table)[name][0].as_py()!r}" for name in table.key)
    said = f"1 of 3 rows repeat a ({key}) (first: {first}): keep one of each"
    refused(lambda: table.write(rows, path, MADE), table.name, said)
    assert nothing_was_written(path)


def columns_of(*tables_: tables.Table) -> list[tuple[tables.Table, str]]:
    return [(table, name) for table in tables_ for name in table.schema.names]


@pytest.mark.parametrize(("table", "name"), columns_of(*TABLES.values()))
def test_a_missing_value_is_refused(table, name, path):
    columns = {k: list(v) for k, v in EXAMPLES[table.name].items()}
    columns[name][1] = None
    if name in table.optional:
        table.write(table.rows(columns), path, MADE)
        assert table.read(path)[name].null_count == 1
        return
    refused(lambda: table.write(table.rows(columns), path, MADE), f"1 of 2 {name} are missing")
    assert nothing_was_written(path)


@pytest.mark.parametrize(
    ("table", "name", "value"),
    [
        (table, field.name, value)
        for table in TABLES.values()
        for field in table.schema
        if pa.types.is_floating(field.type)
        # 1e300 is a number in float64 and none in float32
        for value in (math.nan, math.inf, -math.inf, 1e300)[: 3 + pa.types.is_float32(field.type)]
    ],
)
def test_numbers_must_be_finite(table, name, value, path):
    columns = {k: list(v) for k, v in EXAMPLES[table.name].items()}
    columns[name][1] = value
    rows = table.rows(columns)
    said = f"1 of 2 {name} are not finite numbers (first: {rows[name][1].as_py()}): give each row"
    refused(lambda: table.write(rows, path, MADE), said)
    assert nothing_was_written(path)


def test_runs_need_finite_scores(path):
    rows = ranked(["1", "1"], ["a", "b"], [math.nan, 1.0])
    refused(lambda: RUN.write(rows, path, MADE), "1 of 2 score")


def test_items_of_lists_are_checked(path):
    lists = {"query_id": ["1", "2"], "doc_ids": [["a", None], []], "relevances": [[1, 0], []]}
    refused(lambda: LISTS.write(LISTS.rows(lists), path, MADE), "1 of 2 doc_ids are missing")
    vectors = {"doc_id": ["1"], "terms": [[1]], "weights": [[math.nan]]}
    refused(lambda: VECTORS.write(VECTORS.rows(vectors), path, MADE), "weights are not finite")
    assert nothing_was_written(path)


def test_lists_of_rows_are_equally_long(path):
    """Else every later passage would have its neighbour's relevance."""
    lists = {"query_id": ["1", "2"], "doc_ids": [["a"], ["b"]], "relevances": [[1, 0], []]}
    refused(lambda: LISTS.write(LISTS.rows(lists), path, MADE), "doc_ids and relevances", "length")


@pytest.mark.parametrize(
    "columns",
    [
        SCORES | {"query_id": [1, 2, 3]},
        SCORES | {"score": ["a", "b", "c"]},
        SCORES | {"doc_id": ["a", "b"]},
        SCORES | {"doc_id": ["a", "b", "\ud800"]},
        {k: v for k, v in SCORES.items() if k != "score"},
    ],
    ids=["numbers for ids", "words for numbers", "too short", "half a character", "no column"],
)
def test_unfitting_columns_are_refused(columns):
    refused(lambda: TEACHER_SCORES.rows(columns), "teacher_scores")


def test_overflowing_numbers_are_refused():
    for number in (2**31, 2**63, 2**80):
        judged = {"query_id": ["1"], "doc_id": ["a"], "relevance": [number]}
        refused(lambda judged=judged: QRELS.rows(judged), "qrels")


@every_table
def test_other_schemas_are_not_written(table, path):
    renamed = rows_of(table).rename_columns([f"{name}s" for name in table.schema.names])
    refused(lambda: table.write(renamed, path, MADE), table.name, table.schema.names[0])
    assert nothing_was_written(path)


def test_other_columns_are_refused(path):
    rows = rows_of(RUN)
    for other in (
        rows.append_column("tag", pa.array(["x", "y"])),
        rows.drop_columns(["score"]),
        rows.select(["doc_id", "query_id", "rank", "score"]),
        rows.set_column(3, "score", pa.array([1.0, 2.0], pa.float64())),
    ):
        refused(lambda other=other: RUN.write(other, path, MADE), "wanted", "score float")
    assert nothing_was_written(path)


# --- what is read -----------------------------------------------------------------------------


readers = pytest.mark.parametrize(
    "read",
    [RUN.read, RUN.count, RUN.expect, lambda path: list(RUN.batches(path))],
    ids=["read", "count", "expect", "batches"],
)


@readers
def test_a_missing_file_is_named(read, path):
    refused(lambda: read(path), str(path), "does not exist", "`run`")


@readers
@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"", "bring it back"),
        (bytes(100), "bring it back"),
        (b"hello", "wanted our Parquet table; docs/tables.md"),
        (b"PAR1" + bytes(100) + b"PAR1", "bring it back"),
    ],
)
def test_other_kinds_of_files_are_named(read, content, remedy, path):
    path.parent.mkdir()
    path.write_bytes(content)
    refused(lambda: read(path), str(path), "not a readable Parquet file", f": {remedy}")


@readers
def test_a_folder_is_named(read, path):
    path.mkdir(parents=True)
    refused(lambda: read(path), str(path), "not a readable Parquet file", ": give a file")


@readers
@pytest.mark.parametrize("keep", [0.2, 0.9, 0.999])
def test_a_truncated_file_is_named(read, keep, path):
    RUN.write(rows_of(RUN), path, MADE)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    refused(lambda: read(path), str(path), "not a readable Parquet file")


@readers
def test_other_tables_name_wanted_and_got(read, path):
    QRELS.write(rows_of(QRELS), path, MADE)
    refused(
        lambda: read(path),
        str(path),
        "not a table `run`",
        "wanted query_id string, doc_id string, rank int32, score float",
        "got query_id string, doc_id string, relevance int32",
    )


def test_damage_in_the_middle_is_named(path):
    scores = np.random.default_rng(0).random(5000).tolist()
    ids = [str(i) for i in range(5000)]
    RUN.write(ranked(ids, ids, scores), path, MADE)
    content = bytearray(path.read_bytes())
    content[500:4000] = bytes(3500)
    path.write_bytes(content)
    for read in (RUN.read, lambda path: list(RUN.batches(path))):
        with pytest.raises(Damaged, match=re.escape(f"{path} is damaged")):
            read(path)

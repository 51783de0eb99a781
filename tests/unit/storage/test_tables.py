"""Tables: what is written is read in canonical order, and appears complete or not at all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redistil.errors import UserError
from redistil.storage import lineage, tables
from redistil.storage.tables import PASSAGES, QUERIES, RUN, TABLES, aside
from tests.made.table_rows import EXAMPLES, MADE, every_table, nothing_was_written, rows_of


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "made" / "table.parquet"


# --- what is written --------------------------------------------------------------------------


def test_every_table_has_an_example():
    assert EXAMPLES.keys() == TABLES.keys()


@every_table
def test_rows_are_read_in_canonical_order(table, path):
    rows = rows_of(table)
    table.write(rows, path, MADE)
    wanted = rows.sort_by(list(table.order)) if table.order else rows
    assert table.read(path).equals(wanted)
    assert table.count(path) == 2
    assert pa.Table.from_batches(table.batches(path)).equals(wanted)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@every_table
def test_empty_tables_are_tables(table, path):
    table.write(table.schema.empty_table(), path, MADE)
    assert table.read(path).equals(table.schema.empty_table())


def test_some_columns_can_be_read(path):
    RUN.write(rows_of(RUN), path, MADE)
    assert RUN.read(path, ["doc_id"]).to_pydict() == {"doc_id": ["a", "b"]}


def test_texts_by_id(path):
    QUERIES.write(rows_of(QUERIES), path, MADE)
    assert tables.texts(path, QUERIES) == {"1": "a", "2": "b"}


def test_new_files_replace_old_ones_whole(path):
    QUERIES.write(rows_of(QUERIES), path, MADE)
    QUERIES.write(QUERIES.rows({"query_id": ["7"], "text": ["x"]}), path, MADE)
    assert QUERIES.read(path).to_pylist() == [{"query_id": "7", "text": "x"}]


def test_row_groups_bound_a_readers_memory(path, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 100)
    rows = QUERIES.rows({"query_id": [f"{i:04}" for i in range(950)], "text": ["x"] * 950})
    QUERIES.write(rows, path, MADE)
    assert pq.ParquetFile(path).num_row_groups == 10
    assert pa.Table.from_batches(QUERIES.batches(path)).equals(rows)
    assert max(map(len, QUERIES.batches(path))) <= 50


# --- complete or not at all -------------------------------------------------------------------


def test_interrupted_writers_leave_nothing(path):
    with pytest.raises(KeyboardInterrupt), PASSAGES.writer(path, MADE) as write:
        write(rows_of(PASSAGES))
        assert [p.suffix for p in path.parent.iterdir()] == [".partial"]
        raise KeyboardInterrupt
    assert nothing_was_written(path)


def test_interrupted_writers_keep_the_old_file(path):
    PASSAGES.write(rows_of(PASSAGES), path, MADE)
    before = path.read_bytes()
    with pytest.raises(ValueError), PASSAGES.writer(path, MADE) as write:
        write(rows_of(PASSAGES))
        raise ValueError
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_streams_make_one_recorded_file(path):
    with PASSAGES.writer(path, MADE) as write:
        for i in range(5):
            write(PASSAGES.rows({"doc_id": [str(i)], "text": ["x"]}))
    assert PASSAGES.read(path)["doc_id"].to_pylist() == list("01234")
    assert lineage.of(path) == MADE


KILLED = """
import os, signal, sys
from pathlib import Path
from redistil.storage.tables import aside
with aside(Path(sys.argv[1])) as partial:
    partial.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", ["a.parquet", "a[1]*.json"])
def test_aside_removes_its_own_files_rests(tmp_path, name):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)], check=False)
    (left,) = tmp_path.iterdir()
    assert left.suffix == ".partial"
    others = {f".{name}.b.7.partial", ".b.7.partial", f".x{name}.7.partial", f"{name}.7.partial"}
    for other in others:
        (tmp_path / other).write_bytes(b"of another")
    with aside(tmp_path / name) as partial:
        partial.write_bytes(b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {name, *others}
    assert (tmp_path / name).read_bytes() == b"whole"


def test_aside_keeps_files_of_others(tmp_path):
    with pytest.raises(UserError), aside(tmp_path / "a"):
        raise UserError
    assert not list(tmp_path.iterdir())


# --- some of the rows -------------------------------------------------------------------------


def test_sorted_files_are_read_in_part(path: Path, monkeypatch):
    """Of a run of 3 row groups, only the one that can hold the query is read."""
    ids = [f"q{number:05}" for number in range(3 * tables.ROW_GROUP // 100)]
    rows = {
        "query_id": np.repeat(ids, 100),
        "doc_id": np.tile([f"d{rank:03}" for rank in range(100)], len(ids)),
        "rank": np.tile(np.arange(1, 101), len(ids)),
        "score": np.tile(np.arange(100, 0, -1.0), len(ids)),
    }
    RUN.write(RUN.rows(rows), path, MADE)
    read = []
    plain = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda self, i: read.append(i) or plain(self, i)
    )
    some = RUN.some(path, "query_id", ["q00007", "no such query"])
    assert read == [0] and some["query_id"].unique().to_pylist() == ["q00007"]
    assert some["rank"].to_pylist() == list(range(1, 101))
    assert some.equals(RUN.read(path).slice(700, 100).replace_schema_metadata())
    assert len(RUN.some(path, "query_id", [])) == 0


def test_unsorted_files_are_searched_whole(path: Path):
    docs = [f"d{number * 7919 % 1000}" for number in range(1000)]
    PASSAGES.write(PASSAGES.rows({"doc_id": docs, "text": docs}), path, MADE)
    some = PASSAGES.some(path, "doc_id", ["d5", "d999", "missing"])
    assert sorted(some["text"].to_pylist()) == ["d5", "d999"]

"""Rows that come in pieces: what they become depends on them alone."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redistil.storage import lineage, tables
from redistil.storage.pieces import in_row_groups
from redistil.storage.tables import LISTS, PASSAGES
from tests.made.table_rows import MADE


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "made" / "table.parquet"


def test_incoming_pieces_leave_no_trace(path):
    long = [f"{i:05d} " * 40 for i in range(6000)]
    whole = PASSAGES.rows({"doc_id": [str(i) for i in range(6000)], "text": long})
    pieces = pa.concat_tables([whole.slice(start, 77) for start in range(0, 6000, 77)])
    PASSAGES.write(whole, path, MADE)
    first = path.read_bytes()
    PASSAGES.write(pieces, path, MADE)
    assert path.read_bytes() == first


@pytest.mark.parametrize("cut", [1, 3, 4, 9, 21])
def test_pieces_write_the_same_bytes(tmp_path, monkeypatch, cut):
    monkeypatch.setattr(tables, "ROW_GROUP", 4)
    names = [f"q{i:02}" for i in range(21)]
    rows = tables.QUERIES.rows({"query_id": names, "text": names})
    made = lineage.make("test", "t", {}, "", [])
    tables.QUERIES.write(rows, tmp_path / "once.parquet", made)
    with tables.QUERIES.writer(tmp_path / "pieces.parquet", made) as write:
        with in_row_groups(tables.QUERIES, write) as append:
            for start in range(0, len(rows), cut):
                append(rows.slice(start, cut))
    once, pieces = (tmp_path / f"{name}.parquet" for name in ("once", "pieces"))
    assert once.read_bytes() == pieces.read_bytes()


def lists_of(*sizes):
    return {
        "query_id": [f"q{n:02}" for n in range(len(sizes))],
        "doc_ids": [[f"d{i}" for i in range(size)] for size in sizes],
        "relevances": [[0] * size for size in sizes],
    }


@pytest.mark.parametrize("cut", [1, 2, 5, 20])
def test_passages_bound_the_lists_held(path, monkeypatch, cut):
    monkeypatch.setattr(tables, "ROW_GROUP", 10)
    sizes = [4, 5, 4, 1, 1, 30, 0, *[1] * 12, *[0] * 11]
    rows = LISTS.rows(lists_of(*sizes))
    LISTS.write(rows, path, MADE)
    once = path.read_bytes()
    file = pq.ParquetFile(path)
    groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert groups == [3, 3, 10, 10, 4], "10 passages, or 10 lists, or one long list"
    assert pa.Table.from_batches(LISTS.batches(path)).equals(rows)
    batches = [sum(map(len, batch["doc_ids"].to_pylist())) for batch in LISTS.batches(path)]
    assert sum(batches) == sum(sizes) and sorted(batches)[-2] <= 10
    with LISTS.writer(path, MADE) as write, in_row_groups(LISTS, write) as append:
        for start in range(0, len(rows), cut):
            append(rows.slice(start, cut))
    assert path.read_bytes() == once


def test_passages_bound_lists_of_row_groups(path, monkeypatch):
    LISTS.write(LISTS.rows(lists_of(*[50] * 40)), path, MADE)
    monkeypatch.setattr(tables, "ROW_GROUP", 200)
    assert {len(batch) for batch in LISTS.batches(path)} == {2}

"""DuckDB, for what does not fit in memory."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from redistil.storage import sql
from redistil.storage.sql import database


def column(pieces, name):
    return np.concatenate([piece[name].to_numpy() for piece in pieces])


@pytest.mark.parametrize("threads", [1, 3])
def test_rows_beyond_memory_come_sorted(tmp_path, monkeypatch, threads):
    monkeypatch.setattr(sql, "MEMORY", "24MiB")
    numbers = np.random.default_rng(1).permutation(2_000_000)
    with database(tmp_path / "out", threads) as rows:
        for part in np.split(numbers, 8):
            rows.add("numbers", pa.table({"number": part, "twice": 2 * part}))
        pieces = list(rows.rows("FROM numbers ORDER BY number"))
    assert max(map(len, pieces)) <= sql.BATCH
    assert (column(pieces, "number") == np.arange(len(numbers))).all()
    assert (column(pieces, "twice") == 2 * np.arange(len(numbers))).all()
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="no"):
        with database(tmp_path / "out", 1) as rows:
            rows.add("numbers", pa.table({"number": [1]}))
            raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def test_ids_stay_text(tmp_path):
    with database(tmp_path / "out", 1) as rows:
        rows.add("ids", pa.table({"id": ["7", "007", "a", "é", "B", ""]}))
        (piece,) = rows.rows("FROM ids ORDER BY id")
    assert piece["id"].to_pylist() == ["", "007", "7", "B", "a", "é"]


def test_a_query_reads_no_file(tmp_path):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with database(tmp_path / "out", 1) as rows, pytest.raises(duckdb.Error, match="disabled"):
        list(rows.rows(f"FROM read_csv('{tmp_path}/secret.csv') ORDER BY a"))

"""Token files: rows of any length, across pieces, found by id, and nothing left of half a file."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redistil.errors import BadTable
from redistil.storage import lineage, ragged
from redistil.storage.ragged import Ragged

MADE = lineage.make("test", "t", {}, "", [])


@pytest.fixture(autouse=True)
def pieces_of_four(monkeypatch):
    monkeypatch.setattr(ragged, "BATCH", 4)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "made" / "tokens.arrow"


def write(path, rows, at_once=3):
    """Write (id, tokens) rows, so many at a time."""
    with ragged.writer(path, MADE) as append:
        for start in range(0, len(rows), at_once):
            part = rows[start : start + at_once]
            append([id for id, _ in part], [tokens for _, tokens in part])


ROWS = [(f"d{i}", list(range(i % 5))) for i in range(11)]  # with empty ones, three pieces


@pytest.mark.parametrize("at_once", [1, 3, 4, 5, 8, 11])
def test_rows_across_pieces(path, at_once):
    write(path, ROWS, at_once)
    tokens = Ragged(path)
    assert len(tokens) == 11
    assert [tokens[row].tolist() for row in range(11)] == [row for _, row in ROWS]
    assert tokens.lengths().tolist() == [len(row) for _, row in ROWS]
    assert tokens.ids().to_pylist() == [id for id, _ in ROWS]
    assert all(tokens[row].dtype == np.int32 for row in range(11))
    assert lineage.of(path) == MADE
    assert list(path.parent.iterdir()) == [path]


def test_how_rows_arrive_leaves_no_trace(path):
    seen = set()
    for at_once in (1, 3, 4, 11):
        write(path, ROWS, at_once)
        seen.add(path.read_bytes())
    assert len(seen) == 1


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.text(max_size=4), st.lists(st.integers(0, 2**31 - 1), max_size=6))),
    st.integers(1, 9),
)
def test_what_is_written_is_read(path, rows, at_once):
    write(path, rows, at_once)
    tokens = Ragged(path)
    assert tokens.ids().to_pylist() == [id for id, _ in rows]
    assert [tokens[row].tolist() for row in range(len(tokens))] == [row for _, row in rows]


def test_a_file_without_rows(path):
    write(path, [])
    tokens = Ragged(path)
    assert len(tokens) == 0 and tokens.lengths().tolist() == []
    with pytest.raises(BadTable, match="'d1'"):
        tokens.rows(pa.array(["d1"]))


def test_ids_find_rows_in_any_order(path):
    write(path, ROWS)
    tokens = Ragged(path)
    wanted = ["d9", "d0", "d9", "d10", "d3"]
    for ids in (pa.array(wanted), pa.chunked_array([wanted[:2], wanted[2:]])):
        found = tokens.rows(ids)
        assert found.tolist() == [9, 0, 9, 10, 3] and found.dtype == np.int64
    assert tokens.rows(pa.array([], pa.string())).tolist() == []


numberlike = st.sampled_from(["0", "7", "07", "007", "10", "1", "9", "-1", "1e1", "x", "", " 7"])


@given(st.lists(numberlike, unique=True, min_size=1), st.data())
def test_numeric_ids_are_text(tmp_path_factory, ids, data):
    path = tmp_path_factory.mktemp("tokens") / "t.arrow"
    write(path, [(name, [1]) for name in ids])
    tokens = Ragged(path)
    asked = data.draw(st.lists(numberlike, max_size=6))
    if set(asked) <= set(ids):
        assert tokens.rows(pa.array(asked, pa.string())).tolist() == [ids.index(a) for a in asked]
    else:
        with pytest.raises(BadTable, match="are not in"):
            tokens.rows(pa.array(asked, pa.string()))


def test_missing_ids_are_named_and_counted(path):
    write(path, ROWS)
    for ids in (pa.array(["d1", "x", "d2", "y"]), pa.chunked_array([["d1"], ["x", "y"]])):
        with pytest.raises(BadTable, match=rf"2 of {len(ids)} ids are not in {path}.*'x'"):
            Ragged(path).rows(ids)


def test_rows_are_views_of_the_file(path):
    """Nothing is copied: a corpus larger than memory can be opened."""
    write(path, ROWS)
    row = Ragged(path)[4]
    assert not row.flags.owndata and not row.flags.writeable


def test_interrupted_writers_leave_nothing(path):
    with pytest.raises(KeyboardInterrupt), ragged.writer(path, MADE) as append:
        append([id for id, _ in ROWS], [tokens for _, tokens in ROWS])
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []


def test_interrupted_writers_keep_the_old_file(path):
    write(path, ROWS)
    before = path.read_bytes()
    with pytest.raises(ValueError), ragged.writer(path, MADE) as append:
        append(["x"], [[1]])
        raise ValueError
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def named(path, *words):
    with pytest.raises(BadTable) as refused:
        Ragged(path)
    said = str(refused.value)
    assert "\n" not in said and all(word in said for word in (str(path), *words))


@pytest.mark.parametrize("keep", [0, 0.3, 0.8, 0.999])
def test_a_truncated_file_is_named(path, keep):
    write(path, ROWS)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    named(path, "not a readable token file")


def test_unreadable_files_are_named(path):
    named(path, "not a readable token file")
    path.mkdir(parents=True)
    named(path, "not a readable token file")
    other = path.parent / "other.arrow"
    other.write_text("words " * 100)
    named(other, "not a readable token file")


def arrow(path, schema, *batches):
    path.parent.mkdir(exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as out:
        for batch in batches:
            out.write_batch(pa.record_batch(batch, schema=schema))


def test_other_arrow_columns_are_named(path):
    arrow(path, pa.schema([("id", pa.string()), ("text", pa.string())]), [["a"], ["b"]])
    named(path, "wanted id and tokens, got ['id', 'text']")


def test_other_batch_sizes_are_refused(path):
    """Rows are found by division: in other pieces each would be another's tokens."""
    arrow(path, ragged.SCHEMA, [["a"], [[1]]], [["b"], [[2]]])
    named(path, "pieces of 4 rows")

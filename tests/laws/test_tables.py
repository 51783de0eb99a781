"""Laws of every table: what is written is read, and equal rows are equal bytes."""

import random
import tempfile
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redistil.errors import BadTable
from redistil.storage import lineage
from redistil.storage.tables import RUN, TABLES, Table, ranked, top

MADE = lineage.make("test", "t", {}, "", [])

few = settings(max_examples=25, deadline=None)
ordered_table = pytest.mark.parametrize(
    "table", [t for t in TABLES.values() if t.order], ids=lambda table: table.name
)
every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())

# few ids, so that keys share columns; all kinds of them, so that sorting is of bytes
ids = st.sampled_from(["1", "10", "2", "a", "A", "é", "日", "", " ", "a\0b"]) | st.text(max_size=3)


def values(kind: pa.DataType) -> st.SearchStrategy:
    if pa.types.is_integer(kind):
        half = 2 ** (kind.bit_width - 1)
        return st.integers(-half, half - 1)
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_floating(kind):
        return st.floats(allow_nan=False, allow_infinity=False, width=kind.bit_width)
    return st.text(max_size=20) if pa.types.is_large_string(kind) else ids


def row(table: Table) -> st.SearchStrategy[dict]:
    def filled(size: int) -> st.SearchStrategy[dict]:
        """The lists of a row are of one length."""
        columns = {}
        for field in table.schema:
            if pa.types.is_list(field.type):
                items = values(field.type.value_type)
                columns[field.name] = st.lists(items, min_size=size, max_size=size)
            else:
                columns[field.name] = values(field.type)
        return st.fixed_dictionaries(columns)

    return st.integers(0, 3).flatmap(filled)


def keyed_rows(table: Table) -> st.SearchStrategy[list[dict]]:
    return st.lists(row(table), max_size=12, unique_by=itemgetter(*table.key))


def tabled(table: Table, rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(rows, table.schema)


def written(table: Table, rows: pa.Table) -> tuple[bytes, pa.Table]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        table.write(rows, path, MADE)
        return path.read_bytes(), table.read(path)


@every_table
@few
@given(data=st.data())
def test_what_is_written_is_read(table, data):
    rows = data.draw(keyed_rows(table))
    _, again = written(table, tabled(table, rows))
    got, key = again.to_pylist(), itemgetter(*table.key)
    if table.order:
        got.sort(key=key)
        rows.sort(key=key)
    assert got == rows


@ordered_table
@few
@given(data=st.data())
def test_equal_rows_in_any_order_are_equal_bytes(table, data):
    rows = data.draw(keyed_rows(table))
    shuffled = random.Random(data.draw(st.integers(0, 99))).sample(rows, len(rows))
    cut = data.draw(st.integers(0, len(rows)))
    pieces = pa.concat_tables([tabled(table, shuffled[:cut]), tabled(table, shuffled[cut:])])
    assert written(table, tabled(table, rows))[0] == written(table, pieces)[0]


@every_table
@few
@given(data=st.data())
def test_a_repeated_key_is_refused_whatever_else_differs(table, data):
    rows = data.draw(keyed_rows(table).filter(bool))
    repeated = data.draw(row(table)) | {name: rows[0][name] for name in table.key}
    with pytest.raises(BadTable, match=f"1 of {len(rows) + 1} rows repeat"):
        table.check(tabled(table, [*rows, repeated]), "here")


@ordered_table
def test_the_key_decides_the_order(table):
    """Else equal rows could be stored in two orders."""
    assert set(table.key) <= {name for name, _ in table.order}


scored = st.dictionaries(
    st.tuples(ids, ids), st.floats(-3, 3, width=16) | st.sampled_from([0.0, 1.0]), max_size=15
)


def run_of(pairs: dict[tuple[str, str], float]) -> pa.Table:
    query_ids, doc_ids = zip(*pairs, strict=True) if pairs else ((), ())
    return ranked(query_ids, doc_ids, list(pairs.values()))


@few
@given(scored, st.integers(1, 5))
def test_ranks_count_from_one_within_each_query(pairs, depth):
    run = run_of(pairs)
    RUN.check(run, "here")
    seen: dict[str, list[tuple[float, bytes]]] = {}
    for r in run.to_pylist():
        before = seen.setdefault(r["query_id"], [])
        before.append((r["score"], r["doc_id"].encode()))
        assert r["rank"] == len(before)
    for order in seen.values():
        assert order == sorted(order, reverse=True)
    assert len(top(run, depth)) == sum(min(depth, len(order)) for order in seen.values())


@few
@given(scored)
def test_a_run_ranked_by_its_own_scores_is_itself(pairs):
    run = run_of(pairs)
    again = ranked(run["query_id"], run["doc_id"], run["score"])
    assert again.equals(run)

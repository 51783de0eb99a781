"""Tables: what is refused, by which words, and that a refusal leaves no file."""

import math
import subprocess
import sys
from pathlib import Path

import ir_measures
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redistil import lineage, tables
from redistil.errors import BadTable, UserError
from redistil.pieces import in_row_groups
from redistil.tables import (
    LISTS,
    PASSAGES,
    QRELS,
    QUERIES,
    RUN,
    TABLES,
    TEACHER_SCORES,
    VECTORS,
    aside,
    ranked,
    top,
)

MADE = lineage.make("test", "t", {}, "", [])

SCORES = {"query_id": ["1", "1", "2"], "doc_id": ["a", "b", "a"], "score": [1.0, 2.0, 3.0]}
EXAMPLES = {
    "queries": {"query_id": ["2", "1"], "text": ["b", "a"]},
    "passages": {"doc_id": ["2", "1"], "text": ["b", "a"]},
    "qrels": {"query_id": ["2", "1"], "doc_id": ["b", "a"], "relevance": [0, 3]},
    "run": {"query_id": ["2", "1"], "doc_id": ["b", "a"], "rank": [1, 1], "score": [0.5, 3.0]},
    "vectors": {"doc_id": ["2", "1"], "terms": [[1, 5], []], "weights": [[0.5, 1.0], []]},
    "triples": {"query_id": ["2", "1"], "positive_id": ["b", "a"], "negative_id": ["a", "b"]},
    "lists": {"query_id": ["2", "1"], "doc_ids": [["b", "a"], ["c"]], "relevances": [[1, 0], [2]]},
    "teacher_scores": {"query_id": ["2", "1"], "doc_id": ["b", "a"], "score": [0.5, -3.0]},
    "curve": {"step": [2, 1], "loss": [1.0, 2.0], "gradient_norm": [1, 1], "learning_rate": [0, 1]},
    "validation": {"step": [2, 1], "dataset": "ab", "measure": "ab", "value": [0.0, 1.0]},
    "measures": {"query_id": ["2", "1"], "dataset": "ab", "measure": "ab", "value": [0.0, 1.0]},
    "depths": {"system": "ba", "dataset": "ab", "depth": [2, 1], "value": [0.0, 1.0]},
    "pairs": dict.fromkeys(("scope", "system", "against"), "ba")
    | dict.fromkeys(("queries", "wins", "losses"), [2, 1])
    | dict.fromkeys(("difference", "low", "high", "p", "p_randomisation", "p_holm"), [0.5, 1.0]),
    "contrasts": dict.fromkeys(("query_id", "query", "system", "doc_id", "passage"), "ba")
    | dict.fromkeys(("choice", "rank", "relevance"), [2, 1])
    | {"value": [0.5, 1.0], "judged": [True, False]},
}

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())


def rows_of(table: tables.Table) -> pa.Table:
    return table.rows({k: list(v) for k, v in EXAMPLES[table.name].items()})


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


def nothing_was_written(path: Path) -> bool:
    return not path.parent.exists() or not list(path.parent.iterdir())


# --- what is written --------------------------------------------------------------------------


def test_every_table_has_an_example():
    assert EXAMPLES.keys() == TABLES.keys()


@every_table
def test_what_was_written_is_read_in_canonical_order(table, path):
    rows = rows_of(table)
    table.write(rows, path, MADE)
    wanted = rows.sort_by(list(table.order)) if table.order else rows
    assert table.read(path).equals(wanted)
    assert table.count(path) == 2
    assert pa.Table.from_batches(table.batches(path)).equals(wanted)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@every_table
def test_a_table_without_rows_is_a_table(table, path):
    table.write(table.schema.empty_table(), path, MADE)
    assert table.read(path).equals(table.schema.empty_table())


def test_some_columns_can_be_read(path):
    RUN.write(rows_of(RUN), path, MADE)
    assert RUN.read(path, ["doc_id"]).to_pydict() == {"doc_id": ["a", "b"]}


def test_a_new_file_replaces_the_old_one_whole(path):
    QUERIES.write(rows_of(QUERIES), path, MADE)
    QUERIES.write(QUERIES.rows({"query_id": ["7"], "text": ["x"]}), path, MADE)
    assert QUERIES.read(path).to_pylist() == [{"query_id": "7", "text": "x"}]


def test_the_pieces_that_rows_come_in_leave_no_trace(path):
    long = [f"{i:05d} " * 40 for i in range(6000)]
    whole = PASSAGES.rows({"doc_id": [str(i) for i in range(6000)], "text": long})
    pieces = pa.concat_tables([whole.slice(start, 77) for start in range(0, 6000, 77)])
    PASSAGES.write(whole, path, MADE)
    first = path.read_bytes()
    PASSAGES.write(pieces, path, MADE)
    assert path.read_bytes() == first


def test_row_groups_bound_what_a_reader_holds(path, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 100)
    rows = QUERIES.rows({"query_id": [f"{i:04}" for i in range(950)], "text": ["x"] * 950})
    QUERIES.write(rows, path, MADE)
    assert pq.ParquetFile(path).num_row_groups == 10
    assert pa.Table.from_batches(QUERIES.batches(path)).equals(rows)
    assert max(map(len, QUERIES.batches(path))) <= 50


# --- what is refused --------------------------------------------------------------------------


@every_table
def test_a_repeated_key_is_counted_and_leaves_no_file(table, path):
    rows = pa.concat_tables([rows_of(table), rows_of(table).slice(0, 1)])
    key = ", ".join(table.key)
    refused(lambda: table.write(rows, path, MADE), table.name, f"1 of 3 rows repeat a ({key})")
    assert nothing_was_written(path)


def columns_of(*tables_: tables.Table) -> list[tuple[tables.Table, str]]:
    return [(table, name) for table in tables_ for name in table.schema.names]


@pytest.mark.parametrize(("table", "name"), columns_of(*TABLES.values()))
def test_a_missing_value_is_refused(table, name, path):
    columns = {k: list(v) for k, v in EXAMPLES[table.name].items()}
    columns[name][1] = None
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
def test_a_number_that_is_none_is_refused(table, name, value, path):
    columns = {k: list(v) for k, v in EXAMPLES[table.name].items()}
    columns[name][1] = value
    rows = table.rows(columns)
    refused(lambda: table.write(rows, path, MADE), f"1 of 2 {name} are not finite numbers")
    assert nothing_was_written(path)


def test_the_items_of_lists_are_looked_at_too(path):
    lists = {"query_id": ["1", "2"], "doc_ids": [["a", None], []], "relevances": [[1, 0], []]}
    refused(lambda: LISTS.write(LISTS.rows(lists), path, MADE), "1 of 2 doc_ids are missing")
    vectors = {"doc_id": ["1"], "terms": [[1]], "weights": [[math.nan]]}
    refused(lambda: VECTORS.write(VECTORS.rows(vectors), path, MADE), "weights are not finite")
    assert nothing_was_written(path)


def test_lists_of_one_row_are_equally_long(path):
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
def test_columns_that_do_not_fit_are_refused(columns):
    refused(lambda: TEACHER_SCORES.rows(columns), "teacher_scores")


def test_numbers_that_do_not_fit_are_refused():
    for number in (2**31, 2**63, 2**80):
        judged = {"query_id": ["1"], "doc_id": ["a"], "relevance": [number]}
        refused(lambda judged=judged: QRELS.rows(judged), "qrels")


@every_table
def test_rows_of_another_schema_are_not_written(table, path):
    renamed = rows_of(table).rename_columns([f"{name}s" for name in table.schema.names])
    refused(lambda: table.write(renamed, path, MADE), table.name, table.schema.names[0])
    assert nothing_was_written(path)


def test_a_column_too_many_a_column_too_few_and_another_order_are_refused(path):
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
@pytest.mark.parametrize("content", [b"", b"hello", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_file_of_another_kind_is_named(read, content, path):
    path.parent.mkdir()
    path.write_bytes(content)
    refused(lambda: read(path), str(path), "not a readable Parquet file")


@readers
def test_a_folder_is_named(read, path):
    path.mkdir(parents=True)
    refused(lambda: read(path), str(path), "not a readable Parquet file")


@readers
@pytest.mark.parametrize("keep", [0.2, 0.9, 0.999])
def test_a_truncated_file_is_named(read, keep, path):
    RUN.write(rows_of(RUN), path, MADE)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    refused(lambda: read(path), str(path), "not a readable Parquet file")


@readers
def test_another_table_is_named_with_what_was_wanted_and_got(read, path):
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
    refused(lambda: RUN.read(path), str(path))
    refused(lambda: list(RUN.batches(path)), str(path))


# --- complete or not at all -------------------------------------------------------------------


def test_a_writer_that_is_interrupted_leaves_nothing(path):
    with pytest.raises(KeyboardInterrupt), PASSAGES.writer(path, MADE) as write:
        write(rows_of(PASSAGES))
        assert [p.suffix for p in path.parent.iterdir()] == [".partial"]
        raise KeyboardInterrupt
    assert nothing_was_written(path)


def test_a_writer_that_is_interrupted_leaves_the_old_file(path):
    PASSAGES.write(rows_of(PASSAGES), path, MADE)
    before = path.read_bytes()
    with pytest.raises(ValueError), PASSAGES.writer(path, MADE) as write:
        write(rows_of(PASSAGES))
        raise ValueError
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_stream_is_one_file_with_its_record(path):
    with PASSAGES.writer(path, MADE) as write:
        for i in range(5):
            write(PASSAGES.rows({"doc_id": [str(i)], "text": ["x"]}))
    assert PASSAGES.read(path)["doc_id"].to_pylist() == list("01234")
    assert lineage.of(path) == MADE


KILLED = """
import os, signal, sys
from pathlib import Path
from redistil.tables import aside
with aside(Path(sys.argv[1])) as partial:
    partial.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", ["a.parquet", "a[1]*.json"])
def test_aside_removes_what_a_kill_left_of_the_same_file_alone(tmp_path, name):
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


def test_aside_does_not_clear_what_it_did_not_write(tmp_path):
    with pytest.raises(UserError), aside(tmp_path / "a"):
        raise UserError
    assert not list(tmp_path.iterdir())


# --- runs -------------------------------------------------------------------------------------


def pairs(run: pa.Table) -> list[tuple[str, str, int]]:
    return [(r["query_id"], r["doc_id"], r["rank"]) for r in run.to_pylist()]


def test_ranks_by_hand():
    run = ranked(["2", "1", "1", "1"], ["a", "a", "c", "b"], [0.0, 1.0, 5.0, 5.0])
    assert pairs(run) == [("1", "c", 1), ("1", "b", 2), ("1", "a", 3), ("2", "a", 1)]


def test_scores_that_are_equal_in_float32_are_tied():
    run = ranked(["1", "1", "1"], ["a", "c", "b"], [1.0 + 1e-9, 1.0, 1.0 - 1e-9])
    assert pairs(run) == [("1", "c", 1), ("1", "b", 2), ("1", "a", 3)]


def test_zero_has_no_sign():
    run = ranked(["1", "1", "1"], ["a", "b", "c"], [0.0, -0.0, 0.0])
    assert [doc for _, doc, _ in pairs(run)] == ["c", "b", "a"]


def test_a_run_of_nothing():
    assert ranked([], [], []).equals(RUN.schema.empty_table())


def test_top_keeps_the_first_of_each_query():
    run = ranked(list("1112"), list("abca"), [1.0, 2.0, 3.0, 0.0])
    assert pairs(top(run, 2)) == [("1", "c", 1), ("1", "b", 2), ("2", "a", 1)]


def test_a_run_with_a_score_that_is_none_is_not_written(path):
    rows = ranked(["1", "1"], ["a", "b"], [math.nan, 1.0])
    refused(lambda: RUN.write(rows, path, MADE), "1 of 2 score")


def test_ties_are_broken_as_trec_eval_breaks_them():
    """Each passage in turn is the only relevant one: RR tells the rank that trec_eval gave it."""
    rng = np.random.default_rng(3)
    docs = ["d1", "D1", "d10", "d2", "é", "日本", "a b", "_", "Z", "z", "0", "00"]
    scores = rng.choice(np.float32([0.1, 0.3, -2.5, 0.0]), len(docs))
    run = ranked(["q"] * len(docs), docs, scores.tolist())
    given = {"q": dict(zip(docs, scores.tolist(), strict=True))}
    for row in run.to_pylist():
        qrels = {"q": {row["doc_id"]: 1}}
        rr = ir_measures.calc_aggregate([ir_measures.RR], qrels, given)[ir_measures.RR]
        assert rr == pytest.approx(1 / row["rank"])


def test_a_tied_run_has_the_ndcg_of_trec_eval():
    docs = [f"d{i}" for i in range(20)]
    grades = {doc: i % 4 for i, doc in enumerate(docs)}
    scores = [float(i // 7) for i in range(20)]
    run = ranked(["q"] * 20, docs, scores)
    untied = {"q": {row["doc_id"]: -float(row["rank"]) for row in run.to_pylist()}}
    tied = {"q": dict(zip(docs, scores, strict=True))}
    measure = ir_measures.nDCG @ 10
    qrels = {"q": grades}
    wanted = ir_measures.calc_aggregate([measure], qrels, tied)[measure]
    assert ir_measures.calc_aggregate([measure], qrels, untied)[measure] == wanted
    assert 0 < wanted < 1


def test_texts_by_id(path):
    QUERIES.write(rows_of(QUERIES), path, MADE)
    assert tables.texts(path, QUERIES) == {"1": "a", "2": "b"}


@pytest.mark.parametrize("cut", [1, 3, 4, 9, 21])
def test_what_is_written_in_pieces_has_the_bytes_of_what_is_written_at_once(
    tmp_path, monkeypatch, cut
):
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
def test_lists_are_held_by_the_passages_they_have(path, monkeypatch, cut):
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


def test_lists_of_a_file_with_large_row_groups_are_read_by_their_passages(path, monkeypatch):
    LISTS.write(LISTS.rows(lists_of(*[50] * 40)), path, MADE)
    monkeypatch.setattr(tables, "ROW_GROUP", 200)
    assert {len(batch) for batch in LISTS.batches(path)} == {2}


# --- some of the rows -------------------------------------------------------------------------


def test_some_rows_of_a_sorted_file_cost_the_reading_of_their_part(path: Path, monkeypatch):
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


def test_some_rows_of_an_unsorted_file_are_all_found(path: Path):
    docs = [f"d{number * 7919 % 1000}" for number in range(1000)]
    PASSAGES.write(PASSAGES.rows({"doc_id": docs, "text": docs}), path, MADE)
    some = PASSAGES.some(path, "doc_id", ["d5", "d999", "missing"])
    assert sorted(some["text"].to_pylist()) == ["d5", "d999"]

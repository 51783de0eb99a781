"""Published teacher files: every layout, streamed, as tables."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from redistil.cli import cli
from redistil.errors import BadTable
from redistil.stages.teachers import forms, imported
from redistil.storage import sql
from redistil.storage.identifiers import Identifiers
from redistil.storage.tables import LISTS, PASSAGES, QUERIES, TEACHER_SCORES, TRIPLES
from tests.made import tiny

MADE = tiny.MADE


def scores_of(path):
    rows = TEACHER_SCORES.read(path).to_pylist()
    return {(row["query_id"], row["doc_id"]): row["score"] for row in rows}


def rows_of(table, path):
    return [tuple(row.values()) for row in table.read(path).to_pylist()]


def known(queries, passages, held_out=()):
    ids = Identifiers(pa.array(list(queries), pa.string()))
    docs = Identifiers(pa.array(list(passages), pa.string()))
    return imported.Known(ids, docs, np.isin(ids.ids(np.arange(len(ids))), list(held_out)))


KNOWN = known(["q", "q0", "q1", "q2"], ["007", *"abcde", *(f"d{i}" for i in range(9))])
EXACT = {"unknown": 0.0, "tolerance": 0.0, "threads": 2}


def import_file(tmp_path, content, form, ids=KNOWN, **how):
    source = tmp_path / "published"
    if isinstance(content, pa.Table):
        pq.write_table(content, source)
    else:
        source.write_bytes(content if isinstance(content, bytes) else content.encode())
    out = tmp_path / "scores.parquet", tmp_path / "pairs.parquet"
    sifted = imported.import_scores(source, ids, *out, MADE, form=form, **EXACT | how)
    assert {path.name for path in tmp_path.iterdir()} == {"published", *(p.name for p in out)}
    return *out, sifted


# --- scored triples -------------------------------------------------------------------------------

T2 = [
    "9.015625\t0.1\tq1\td1\td2",
    "9.015625\t-11.333333\tq1\td1\td3",
    "1e-05\t2.5\tq0\t007\td2",
]


def test_a_file_of_scored_triples_keeps_every_score_as_a_float32(tmp_path):
    scores, pairs, _ = import_file(tmp_path, "\n".join(T2) + "\n", "scored-triples")
    assert scores_of(scores) == {
        ("q1", "d1"): np.float32("9.015625"),
        ("q1", "d2"): np.float32("0.1"),
        ("q1", "d3"): np.float32("-11.333333"),
        ("q0", "007"): np.float32("1e-05"),
        ("q0", "d2"): np.float32("2.5"),
    }
    assert rows_of(TRIPLES, pairs) == [("q0", "007", "d2"), ("q1", "d1", "d2"), ("q1", "d1", "d3")]


# keys and margins of arXiv 2010.02666's T2 file, from its copy on the hub
MARGINS = {
    ("400296", "1540783", "3518497"): 4.028059,
    ("662731", "193249", "2975302"): 10.181454,
    ("238256", "4435042", "100008"): 16.420576,
    ("444656", "2932850", "2975302"): 17.790124,
    ("294432", "2592502", "2592504"): -1.826312,
}


@pytest.mark.parametrize("form", ["scored-triples", "margins"])
def test_the_margins_are_those_of_the_file(tmp_path, form):
    rows = [(q, p, n, 3.5 + m, 3.5) for (q, p, n), m in MARGINS.items()]
    if form == "margins":
        names = ["query_id", "positive_id", "negative_id", "score"]
        columns = list(zip(*[(q, p, n, a - b) for q, p, n, a, b in rows], strict=True))
        content = pa.table(dict(zip(names, map(list, columns), strict=True)))
    else:
        content = "".join(f"{a}\t{b}\t{q}\t{p}\t{n}\n" for q, p, n, a, b in rows)
    ids = known({q for q, *_ in rows}, {d for row in rows for d in row[1:3]})
    scores, pairs, _ = import_file(tmp_path, content, form, ids)
    found = scores_of(scores)
    margins = {(q, p, n): found[q, p] - found[q, n] for q, p, n in rows_of(TRIPLES, pairs)}
    assert margins == pytest.approx(MARGINS, abs=1e-5)


few = st.integers(0, 5)
triple = st.tuples(few, few, few)


@settings(max_examples=40, deadline=None)
@given(st.lists(triple, min_size=1, max_size=40), st.integers(1, 9), st.booleans(), st.booleans())
def test_pieces_and_reading_ids_as_numbers_change_no_byte(
    tmp_path_factory, drawn, count, numeric, packed
):
    """Against the whole in memory, sorted and written at once."""
    tmp_path = tmp_path_factory.mktemp("import")
    spell = str if numeric else "x{}".format
    score = {(q, d): np.float32((q * 7 + d * 3) % 11 - 5.1) for q in range(6) for d in range(6)}
    lines = [
        f"{score[q, p]}\t{score[q, n]}\t{spell(q)}\t{spell(p)}\t{spell(n)}\n" for q, p, n in drawn
    ]
    ids = known(map(spell, range(6)), map(spell, range(6)))
    assert ids.queries.numeric == numeric
    text = "".join(lines).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imported, "PIECE", count)
        patch.setattr(imported, "SORTED", count)
        patch.setattr(sql, "BATCH", count)
        content = gzip.compress(text) if packed else text
        scores, pairs, sifted = import_file(tmp_path, content, "scored-triples", ids)
    wanted = {
        TRIPLES: {(spell(q), spell(p), spell(n)) for q, p, n in drawn},
        TEACHER_SCORES: {(spell(q), spell(d), score[q, d]) for q, *ds in drawn for d in ds},
    }
    for table, path in ((TRIPLES, pairs), (TEACHER_SCORES, scores)):
        columns = zip(*wanted[table], strict=True)
        whole = tmp_path / "whole.parquet"
        table.write(table.rows(dict(zip(table.schema.names, columns, strict=True))), whole, MADE)
        assert whole.read_bytes() == path.read_bytes()
    assert sifted.repeated == len(drawn) - len(set(drawn)) and sifted.rows == len(drawn)


BAD_T2 = {
    "a column short": "1.0\t2.0\tq\td",
    "spaces for tabs": "1.0 2.0 q d e",
    "a word for a score": "high\t2.0\tq\td\te",
    "no score": "\t2.0\tq\td\te",
    "not a number": "nan\t2.0\tq\td\te",
    "nothing": "",
    "two scores of a pair": "1.0\t2.0\tq\td\te\n1.5\t2.0\tq\td\ta",
    "half a gzip": gzip.compress(b"1.0\t2.0\tq\td\te\n" * 999)[:40],
    "an id that nobody knows": "1.0\t2.0\tq\td\tzzz",
}


@pytest.mark.parametrize("text", BAD_T2.values(), ids=BAD_T2.keys())
def test_a_malformed_file_of_triples_is_refused_and_nothing_written(tmp_path, text):
    with pytest.raises(BadTable) as caught:
        import_file(tmp_path, text, "scored-triples")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


def test_two_scores_of_a_pair_are_named(tmp_path):
    said = "1 pairs have scores that differ, by up to 0.5 .query 'q', passage 'd'., and 0.0 may"
    with pytest.raises(BadTable, match=said):
        import_file(tmp_path, BAD_T2["two scores of a pair"], "scored-triples")


def test_scores_that_differ_a_little_become_their_mean_and_are_counted(tmp_path):
    lines = ["1.0\t5\tq\ta\tb", "1.5\t5\tq\ta\tc", "2\t5\tq\ta\td", "7\t1.25\tq\te\ta"]
    for order in (lines, lines[::-1]):
        scores, _, sifted = import_file(tmp_path, "\n".join(order), "scored-triples", tolerance=1.0)
        # 1.5 as a positive, 1.25 as a negative
        assert scores_of(scores)["q", "a"] == 1.375
        assert (sifted.differing, sifted.apart) == (1, 1.0)
        assert "1 pairs have scores that differ, by 1 at most: their mean is kept" in sifted.said()


@pytest.mark.parametrize("numeric", [True, False])
def test_rows_of_unknown_ids_are_left_out_up_to_the_share_that_may(tmp_path, numeric):
    ids = known(["1", "2"], ["1", "2", "3"]) if numeric else known("ab", "abc")
    q, p, n = ("1", "2", "3") if numeric else "abc"
    good, bad = f"5\t1\t{q}\t{p}\t{n}\n", f"5\t1\t{q}\tnobody's\t{n}\n"
    with pytest.raises(BadTable, match=r"2 of 4 rows name an unknown id .first: positive_id \"nob"):
        import_file(tmp_path, 2 * (good + bad), "scored-triples", ids, unknown=0.4)
    assert [path.name for path in tmp_path.iterdir()] == ["published"]
    _, pairs, sifted = import_file(tmp_path, 2 * (good + bad), "scored-triples", ids, unknown=0.5)
    assert rows_of(TRIPLES, pairs) == [(q, p, n)]
    assert (sifted.unknown, sifted.rows, sifted.repeated) == (2, 4, 1)
    assert any(line.startswith("2 rows name an unknown id") for line in sifted.said())


def test_a_number_that_is_no_known_id_is_unknown(tmp_path):
    ids = known(["1", "2"], ["1", "3"])
    for strange in ("2", "4", "-1", "2000000000", "99999999999"):
        text = f"5\t1\t1\t1\t3\n5\t1\t1\t{strange}\t3\n"
        _, pairs, sifted = import_file(tmp_path, text, "scored-triples", ids, unknown=0.5)
        assert sifted.unknown == 1 and len(rows_of(TRIPLES, pairs)) == 1, strange


def test_queries_of_a_test_set_are_left_out(tmp_path):
    ids = known(["q0", "q1", "q2"], ["007", "d1", "d2", "d3"], held_out=["q1"])
    scores, pairs, sifted = import_file(tmp_path, "\n".join(T2), "scored-triples", ids)
    assert {q for q, *_ in rows_of(TRIPLES, pairs)} == {q for q, _ in scores_of(scores)} == {"q0"}
    assert sifted.held_out == 2
    said = "of 2 rows 0 name an unknown id, as none, and 2 a query of a test set"
    with pytest.raises(BadTable, match=f"no row to learn from: {said}"):
        import_file(tmp_path, "\n".join(T2[:2]), "scored-triples", ids)


def test_positives_that_share_negatives_get_scores_with_every_margin_of_the_file(tmp_path):
    """A file of margins alone: scores are fixed up to a constant where triples connect."""
    score = {"a": 4.0, "b": 1.0, "c": -2.5, "d": 0.25, "e": 7.0}
    drawn = [("q", "a", "c"), ("q", "b", "d"), ("q", "b", "c"), ("q", "e", "a"), ("q1", "b", "a")]
    q, p, n = map(list, zip(*drawn, strict=True))
    margins = [score[x] - score[y] for x, y in zip(p, n, strict=True)]
    content = pa.table({"query_id": q, "positive_id": p, "negative_id": n, "score": margins})
    scores, pairs, _ = import_file(tmp_path, content, "margins")
    found = scores_of(scores)
    assert len(rows_of(TRIPLES, pairs)) == 5 and found["q", "a"] == 0.0
    assert {d: s + 4.0 for (q, d), s in found.items() if q == "q"} == score


def test_margins_that_contradict_each_other_are_refused(tmp_path):
    content = pa.table(
        {
            "query_id": ["q"] * 4,
            "positive_id": ["a", "a", "b", "b"],
            "negative_id": ["c", "d", "c", "d"],
            "score": [1.0, 2.0, 1.0, 5.0],  # a - b is 0 by c, and -3 by d
        }
    )
    with pytest.raises(BadTable, match="scores that differ, by up to 3"):
        import_file(tmp_path, content, "margins")


# --- rankings -------------------------------------------------------------------------------------

RANKED = [("q1", "a", 5.5), ("q1", "b", 7.25), ("q1", "c", 5.5), ("q0", "a", -1.0)]
BEST_FIRST = [("q0", ["a"], [0]), ("q1", ["b", "c", "a"], [0, 0, 0])]


@pytest.mark.parametrize("blank", [" ", "\t"])
def test_a_trec_run_becomes_lists_in_the_teachers_order(tmp_path, blank):
    lines = [blank.join([q, "Q0", d, "1", str(s), "tag"]) for q, d, s in RANKED]
    scores, pairs, _ = import_file(tmp_path, "\n".join(lines), "trec")
    assert rows_of(LISTS, pairs) == BEST_FIRST
    assert scores_of(scores) == {(q, d): s for q, d, s in RANKED}


NAMES = [("qid", "docno"), ("query_id", "doc_id"), ("query_id", "passage_id")]


@pytest.mark.parametrize("names", NAMES)
def test_parquet_with_a_row_for_each_pair_becomes_lists(tmp_path, names):
    q, d, s = map(list, zip(*RANKED, strict=True))
    content = pa.table({names[0]: q, names[1]: d, "score": s, "rank": [1] * 4})
    scores, pairs, _ = import_file(tmp_path, content, "ranking")
    assert rows_of(LISTS, pairs) == BEST_FIRST
    assert scores_of(scores) == {(q, d): s for q, d, s in RANKED}


def test_lists_of_ids_score_by_their_place_from_the_end(tmp_path):
    """As Lightning IR: depth - rank + 1."""
    content = pa.table({"query_id": ["q1", "q0"], "doc_ids": [["b", "c", "a"], ["a"]]})
    scores, pairs, _ = import_file(tmp_path, content, "id-lists")
    assert rows_of(LISTS, pairs) == BEST_FIRST
    found = {("q1", "b"): 3, ("q1", "c"): 2, ("q1", "a"): 1, ("q0", "a"): 1}
    assert scores_of(scores) == found


@settings(max_examples=25, deadline=None)
@given(st.sets(st.tuples(few, few), min_size=1), st.integers(1, 9))
def test_lists_from_pieces_have_the_same_bytes(tmp_path_factory, drawn, count):
    tmp_path = tmp_path_factory.mktemp("lists")
    drawn = drawn | {(0, 0), (0, 1)}  # two that never tie: ties alone are refused
    rows = [(str(q), str(d), float((q * 5 + d) % 4)) for q, d in sorted(drawn)]
    text = "".join(f"{q} Q0 {d} 1 {s} t\n" for q, d, s in rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imported, "PIECE", count)
        patch.setattr(imported, "SORTED", count)
        patch.setattr(sql, "BATCH", count)
        ids = known(map(str, range(6)), map(str, range(6)))
        scores, pairs, _ = import_file(tmp_path, text, "trec", ids)
    by_query = {
        q: sorted((r for r in rows if r[0] == q), key=lambda r: (r[2], r[1]))[::-1]
        for q in {row[0] for row in rows}
    }
    columns = {
        "query_id": list(by_query),
        "doc_ids": [[d for _, d, _ in best] for best in by_query.values()],
        "relevances": [[0] * len(best) for best in by_query.values()],
    }
    whole = tmp_path / "whole.parquet"
    LISTS.write(LISTS.rows(columns), whole, MADE)
    assert whole.read_bytes() == pairs.read_bytes()
    assert scores_of(scores) == {(q, d): s for q, d, s in rows}


BAD_LISTS = {
    "a pair twice": ("trec", "q Q0 a 1 5.5 t\nq Q0 a 2 4.5 t", "1 of 2 rows repeat a"),
    "an id twice": ("id-lists", pa.table({"query_id": ["q"], "doc_ids": [["a", "a"]]}), "repeat a"),
    "other columns": ("ranking", pa.table({"qid": ["q"], "score": [1.0]}), "wanted the columns"),
    "two query ids": (
        "ranking",
        pa.table({"qid": ["q"], "query_id": ["q"], "docno": ["a"], "score": [1.0]}),
        "wanted the columns",
    ),
    "no Parquet": ("ranking", "q a 1", "is not the Parquet file that was expected"),
    "text for a score": (
        "ranking",
        pa.table({"qid": ["q"], "docno": ["a"], "score": ["high"]}),
        "is not the Parquet file that was expected",
    ),
    "an empty run": ("trec", "", "no row to learn from"),
    "no row": (
        "id-lists",
        pa.table(
            {"query_id": pa.array([], "string"), "doc_ids": pa.array([], pa.list_(pa.string()))}
        ),
        "no row to learn from",
    ),
}


@pytest.mark.parametrize(("form", "content", "said"), BAD_LISTS.values(), ids=BAD_LISTS.keys())
def test_a_malformed_ranking_is_refused_and_nothing_written(tmp_path, form, content, said):
    with pytest.raises(BadTable, match=said):
        import_file(tmp_path, content, form)
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", forms.FORMS)
def test_every_layout_is_one_that_the_command_takes(form):
    assert form in CliRunner().invoke(cli, ["import-scores", "--help"]).output


def test_the_command_says_what_became_of_the_rows(tmp_path, caplog):
    asked = {"q0": "one", "q1": "two", "q2": "three"}
    passages = {"007": "text", "d1": "", "d2": "", "d3": ""}
    for name, table, rows in (
        ("queries", QUERIES, asked),
        ("passages", PASSAGES, passages),
        ("test", QUERIES, {"1": "Two!"}),
    ):
        columns = dict(zip(table.schema.names, (list(rows), list(rows.values())), strict=True))
        table.write(table.rows(columns), tmp_path / f"{name}.parquet", MADE)
    (tmp_path / "t2.tsv").write_text("\n".join(T2))
    names = ("t2.tsv", *(f"{n}.parquet" for n in ("queries", "passages", "scores", "pairs")))
    words = ["import-scores", *(str(tmp_path / name) for name in names)]
    words += "--format scored-triples --unknown 0 --tolerance 0 --threads 2".split()
    words += ["--test-elsewhere", str(tmp_path / "test.parquet")]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert "1 of 3 queries left out: same text, in" in caplog.text
    assert "3 rows read; 1 triples, 2 teacher_scores written" in result.stderr
    assert "2 rows are of queries that a test set has: left out" in caplog.text
    assert rows_of(TRIPLES, tmp_path / "pairs.parquet") == [("q0", "007", "d2")]


@pytest.mark.parametrize("odd", ["01", " 1", "1 ", "+1", "0x1", "001"])
@pytest.mark.parametrize("form", ["scored-triples", "trec"])
def test_an_id_that_is_spelled_otherwise_is_another_id(tmp_path, odd, form):
    """Though it reads as the same number."""
    ids = known(["1", "2"], ["1", "2", "3"])
    line = {"scored-triples": "5\t1\t{}\t{}\t3", "trec": "{}\tQ0\t{}\t1\t1.0\tx"}[form]
    content = "\n".join(line.format(*row) for row in [("1", "2"), (odd, "2"), ("2", odd)]) + "\n"
    with pytest.raises(BadTable, match="2 of 3 rows name an unknown id"):
        import_file(tmp_path, content, form, ids)
    (tmp_path / "published").unlink()
    scores, _, sifted = import_file(tmp_path, content, form, ids, unknown=0.7)
    assert sifted.unknown == 2 and sifted.first == f"query_id {odd!r}"
    assert {query for query, _ in scores_of(scores)} == {"1"}

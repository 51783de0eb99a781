"""Hard negatives: what may be one, and what a draw depends on."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from redistil.cli import cli
from redistil.errors import BadTable
from redistil.stages import negatives
from redistil.stages.negatives import Drawing
from redistil.storage import pools, tables
from redistil.storage.lineage import Made
from redistil.storage.tables import LISTS, PASSAGES, QRELS, QUERIES, RUN, TRIPLES, ranked

MADE = Made("test", "test")


def run_of(queries, length=20):
    """Candidates d0, d1, ... of each query, in that order."""
    rows = [(q, f"d{i}", float(length - i)) for q in queries for i in range(length)]
    return ranked(*([row[i] for row in rows] for i in range(3)))


def qrels_of(*rows):
    columns = dict(zip(QRELS.schema.names, zip(*rows, strict=True), strict=True))
    return QRELS.check(QRELS.rows(columns), "test")


def drawing(**how):
    usual = {"kind": "lists", "positives": "judged", "relevant_from": 1, "seed": 1}
    return Drawing(**(usual | {"depth": 20, "per_query": 2} | how))


def drawn(run, qrels, depth=20, per_query=5, **how):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.parquet"
        RUN.write(run, path, MADE)
        how = drawing(depth=depth, per_query=per_query, **how)
        found = negatives.draw(pools.by_query(path), negatives.some(qrels, None), how)
        return {each.query_id: (each.positives, each.negatives) for each in found}


judged = st.dictionaries(st.integers(0, 24), st.integers(-1, 3), min_size=1)


@settings(max_examples=60, deadline=None)
@given(judged, st.integers(1, 20), st.integers(1, 30), st.integers(0, 5))
def test_negatives_are_unjudged_candidates_within_depth(grades, depth, per_query, seed):
    rows = [("q", f"d{i}", grade) for i, grade in grades.items()]
    found = drawn(run_of("q"), qrels_of(*rows), depth, per_query, seed=seed)
    free = {f"d{i}" for i in range(depth) if i not in grades}
    if "q" not in found:
        assert not free or not any(grade > 0 for grade in grades.values())
        return
    positives, chosen = found["q"]
    assert set(chosen) <= free
    assert len(chosen) == len(set(chosen)) == min(per_query, len(free))
    assert positives == sorted(f"d{i}" for i, grade in grades.items() if grade > 0)


def test_judged_passages_are_no_negatives():
    _, chosen = drawn(run_of("q", 4), qrels_of(("q", "d0", 1), ("q", "d1", 0)))["q"]
    assert chosen == ["d2", "d3"]


def test_judged_passages_may_be_negatives():
    """The bar of WikiQA: 42 % of BM25's first ten are judged, and not relevant."""
    qrels = qrels_of(("q", "d0", 2), ("q", "d1", 0), ("q", "d2", 1), ("q", "d4", -1))
    _, chosen = drawn(run_of("q", 6), qrels, judged="include", relevant_from=2)["q"]
    assert chosen == ["d1", "d2", "d3", "d4", "d5"], "below relevant_from"
    assert drawn(run_of("q", 6), qrels, relevant_from=2)["q"][1] == ["d3", "d5"]


def test_barred_candidates_are_counted(tmp_path):
    qrels = qrels_of(("a", "d0", 1), ("a", "d1", 0), ("a", "d9", 0), ("a", "far", 0))
    key = "candidates left out: judged not relevant (`judged: include` draws them)"
    assert mined(tmp_path, run_of("a"), qrels, "lists")[1][key] == 2
    assert mined(tmp_path, run_of("a"), qrels, "lists", judged="include")[1][key] == 0


def test_identical_ids_are_no_negatives():
    run = ranked(["d1", "d1", "d1"], ["d0", "d1", "d2"], [3.0, 2.0, 1.0])
    assert drawn(run, qrels_of(("d1", "elsewhere", 1)))["d1"] == (["elsewhere"], ["d0", "d2"])


def test_unretrieved_positives_are_kept():
    assert drawn(run_of("q"), qrels_of(("q", "unfound", 2)))["q"][0] == ["unfound"]


def test_positives_may_be_retrieved_or_first():
    """The presets of arXiv 2603.03010: a query whose positive was not retrieved is skipped."""
    qrels = qrels_of(("q", "d7", 1), ("q", "d3", 2), ("q", "d5", 0), ("q", "unfound", 1))

    def positives(which, depth=20):
        return drawn(run_of("q"), qrels, depth, positives=which).get("q", ([],))[0]

    assert positives("judged") == ["d3", "d7", "unfound"]
    assert positives("retrieved") == ["d3", "d7"] and positives("retrieved", 7) == ["d3"]
    assert positives("first-retrieved") == ["d3"], "rank 4 is better than rank 8"
    assert positives("retrieved", 3) == positives("first-retrieved", 3) == []


@pytest.mark.parametrize("which", ["retrieved", "first-retrieved"])
def test_unused_positives_are_no_negatives(which):
    qrels = qrels_of(("q", "d2", 1), ("q", "d9", 1))
    assert not {"d2", "d9"} & set(drawn(run_of("q"), qrels, per_query=99, positives=which)["q"][1])


def test_one_more_query_shifts_no_draw():
    rows = [(q, "d0", 1) for q in ("a", "b", "c")]
    without = drawn(run_of("ac"), qrels_of(rows[0], rows[2]))
    with_b = drawn(run_of("abc"), qrels_of(*rows))
    assert {q: with_b[q] for q in "ac"} == without
    assert with_b["b"][1] != with_b["a"][1]


def test_seeds_decide_the_draw():
    qrels = qrels_of(("q", "d0", 1))
    assert drawn(run_of("q"), qrels, seed=1) == drawn(run_of("q"), qrels, seed=1)
    assert drawn(run_of("q"), qrels, seed=1) != drawn(run_of("q"), qrels, seed=2)


def test_candidates_are_drawn_equally_often():
    qrels = qrels_of(("q", "d0", 1))
    counts = dict.fromkeys([f"d{i}" for i in range(1, 11)], 0)
    for seed in range(400):
        for doc_id in drawn(run_of("q", 11), qrels, per_query=2, seed=seed)["q"][1]:
            counts[doc_id] += 1
    assert min(counts.values()) > 40 and max(counts.values()) < 120  # 80 each, give or take


def mined(tmp_path, run, qrels, kind, leave_out=(), passages=None, **how):
    RUN.write(run, tmp_path / "run.parquet", MADE)
    QRELS.write(qrels, tmp_path / "qrels.parquet", MADE)
    out = tmp_path / f"{kind}.parquet"
    paths = (tmp_path / "run.parquet", tmp_path / "qrels.parquet", out)
    how = drawing(kind=kind, **how)
    return out, negatives.mine(*paths, MADE, how, leave_out, passages)


JUDGED = [("a", "d0", 1), ("a", "d5", 2), ("b", "d1", 1), ("c", "d1", 0), ("x", "d1", 1)]


def test_triples_pair_positives_with_negatives(tmp_path):
    out, counts = mined(tmp_path, run_of("abc"), qrels_of(*JUDGED), "triples")
    rows = TRIPLES.read(out).to_pylist()
    chosen = drawn(run_of("abc"), qrels_of(*JUDGED), per_query=2)
    assert {tuple(row.values()) for row in rows} == {
        (q, p, n) for q, (positives, found) in chosen.items() for p in positives for n in found
    }
    assert len(rows) == 2 * 2 + 1 * 2
    assert counts["queries"] == 2
    assert counts["queries left out: no relevant passage, or no negative"] == 2


def test_lists_are_positives_before_their_negatives(tmp_path):
    out, _ = mined(tmp_path, run_of("abc"), qrels_of(*JUDGED), "lists")
    first, second = LISTS.read(out).to_pylist()
    assert first["doc_ids"][:2] == ["d0", "d5"] and first["relevances"] == [1, 2, 0, 0]
    assert second["doc_ids"][0] == "d1" and second["relevances"] == [1, 0, 0]


def test_triples_and_lists_draw_the_same(tmp_path):
    triples, _ = mined(tmp_path, run_of("b"), qrels_of(("b", "d1", 1)), "triples")
    lists, _ = mined(tmp_path, run_of("b"), qrels_of(("b", "d1", 1)), "lists")
    found = set(LISTS.read(lists)["doc_ids"][0].as_py()[1:])
    assert found == set(TRIPLES.read(triples)["negative_id"].to_pylist())


def test_at_most_takes_a_fixed_order(tmp_path):
    names = [f"q{i}" for i in range(20)]
    qrels, run = qrels_of(*[(q, "d0", 1) for q in names]), run_of(names)
    chosen = {}
    for most in (5, 9, 30, None):
        out, counts = mined(tmp_path, run, qrels, "lists", at_most=most)
        chosen[most] = set(LISTS.read(out)["query_id"].to_pylist())
        assert counts["queries"] == len(chosen[most]) == min(most or 20, 20)
    assert chosen[5] < chosen[9] < chosen[30] == chosen[None]
    assert chosen[5] != set(sorted(names)[:5]), "chosen by a hash, not by name"


@pytest.mark.parametrize("kind", ["triples", "lists"])
def test_piece_sizes_do_not_change_bytes(tmp_path, monkeypatch, kind):
    names = [f"q{i:03}" for i in range(40)]
    qrels = qrels_of(*[(q, f"d{i % 7}", 1) for i, q in enumerate(names)])
    whole = mined(tmp_path, run_of(names), qrels, kind)[0].read_bytes()
    monkeypatch.setattr(negatives, "TOGETHER", 3)
    for rows in (2, 14, 66):  # of the run, read at a time: within a query, and over several
        monkeypatch.setattr(tables, "ROW_GROUP", rows)
        batches = pools.by_query(tmp_path / "run.parquet")
        assert [(q, len(docs)) for q, docs in batches] == [(q, 20) for q in names]
    monkeypatch.setattr(tables, "ROW_GROUP", 1 << 17)
    assert mined(tmp_path, run_of(names), qrels, kind)[0].read_bytes() == whole


def test_copies_of_positives_are_no_negatives(tmp_path):
    """d2 has the text of the positive d0; d3 that of d9, which is judged and no positive."""
    texts = {f"d{i}": f"text {i}" for i in range(20)} | {"d2": "text 0", "d3": "text 9"}
    columns = {"doc_id": list(texts), "text": list(texts.values())}
    passages = tmp_path / "passages.parquet"
    PASSAGES.write(PASSAGES.rows(columns), passages, MADE)
    qrels = qrels_of(("a", "d0", 1), ("a", "d9", 0), ("a", "gone", 1), ("b", "d1", 1))
    how = {"per_query": 99, "passages": passages}
    out, counts = mined(tmp_path, run_of("ab"), qrels, "lists", **how)
    first, second = (row["doc_ids"] for row in LISTS.read(out).to_pylist())
    assert first == ["d0"] + [f"d{i}" for i in range(1, 20) if i not in (2, 9)]
    assert {"d0", "d2", "d3"} < set(second), "of another query they are negatives"
    assert counts["candidates left out: the text of a relevant passage"] == 1
    assert counts["relevant passages left out: not in the corpus"] == 1


def test_queries_left_out_shift_no_draw(tmp_path):
    qrels = qrels_of(*[(q, "d0", 1) for q in "abc"])
    every, _ = mined(tmp_path, run_of("abc"), qrels, "lists")
    rows = {row["query_id"]: row for row in LISTS.read(every).to_pylist()}
    fewer, counts = mined(tmp_path, run_of("abc"), qrels, "lists", leave_out={"b", "z"})
    assert LISTS.read(fewer).to_pylist() == [rows["a"], rows["c"]]
    assert counts["queries"] == 2


def test_unsorted_runs_are_refused(tmp_path):
    run = run_of("ab")
    with RUN.writer(tmp_path / "run.parquet", MADE) as write:
        write(run.slice(20))
        write(run.slice(0, 20))
    with pytest.raises(BadTable, match="not sorted by query_id"):
        list(pools.by_query(tmp_path / "run.parquet"))


@pytest.mark.parametrize("kind", ["triples", "lists"])
def test_runs_of_other_queries_are_refused(tmp_path, kind):
    with pytest.raises(BadTable, match="share no query, check that both are of one dataset"):
        mined(tmp_path, run_of("a"), qrels_of(("b", "d1", 1)), kind)
    assert not (tmp_path / f"{kind}.parquet").exists()


REASONS = {
    "is asked by a test set too": ({}, {"leave_out": {"a"}}),
    "has a passage of the grade 2 or more": ({}, {"relevant_from": 2}),
    "3 of their candidates were judged not relevant": (dict.fromkeys(("d1", "d2", "d3"), 0), {}),
}


@pytest.mark.parametrize("reason", REASONS)
def test_nothing_drawn_names_the_reason(tmp_path, reason):
    more, how = REASONS[reason]
    grades = {"d0": 1} | more
    qrels = qrels_of(*[("a", doc_id, grade) for doc_id, grade in grades.items()])
    with pytest.raises(BadTable, match=reason):
        mined(tmp_path, run_of("a", 4), qrels, "lists", **how)


def test_the_command_counts_aloud(tmp_path, caplog):
    mined(tmp_path, run_of("abc"), qrels_of(*JUDGED), "lists")
    asked = {"a": "What is x?", "b": "who was y", "c": "", "x": "z"}
    for name, rows in (("queries", asked), ("test", {"t": " what is X"}), ("same", {"b": "other"})):
        columns = {"query_id": list(rows), "text": list(rows.values())}
        QUERIES.write(QUERIES.rows(columns), tmp_path / f"{name}.parquet", MADE)
    names = ("run", "queries", "qrels", "out")
    words = ["mine", *(str(tmp_path / f"{name}.parquet") for name in names)]
    words += "--kind lists --positives judged --relevant-from 1 --depth 20".split()
    words += "--per-query 2 --seed 1".split()
    texts = {"doc_id": [f"d{i}" for i in range(20)], "text": [f"text {i}" for i in range(20)]}
    PASSAGES.write(PASSAGES.rows(texts), tmp_path / "passages.parquet", MADE)
    words += ["--passages", str(tmp_path / "passages.parquet")]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert "2 queries\n" in result.stderr and "2 queries left out" in caplog.text
    assert LISTS.read(tmp_path / "out.parquet") == LISTS.read(tmp_path / "lists.parquet")
    apart = ["--test-elsewhere", str(tmp_path / "test.parquet")]
    CliRunner().invoke(cli, [*words, *apart], catch_exceptions=False)
    assert f"1 of 4 queries left out: same text, in {tmp_path / 'test.parquet'}" in caplog.text
    assert LISTS.read(tmp_path / "out.parquet")["query_id"].to_pylist() == ["b"]
    apart += ["--test", str(tmp_path / "same.parquet")]
    result = CliRunner().invoke(cli, [*words, *apart])
    assert isinstance(result.exception, BadTable), "both are gone: nothing to draw"

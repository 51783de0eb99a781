"""Runs in canonical order: ranks by hand, ties as trec_eval breaks them."""

import ir_measures
import numpy as np
import pyarrow as pa
import pytest

from redistil.storage.tables import RUN, ranked, top


def pairs(run: pa.Table) -> list[tuple[str, str, int]]:
    return [(r["query_id"], r["doc_id"], r["rank"]) for r in run.to_pylist()]


def test_ranks_by_hand():
    run = ranked(["2", "1", "1", "1"], ["a", "a", "c", "b"], [0.0, 1.0, 5.0, 5.0])
    assert pairs(run) == [("1", "c", 1), ("1", "b", 2), ("1", "a", 3), ("2", "a", 1)]


def test_scores_equal_in_float32_tie():
    run = ranked(["1", "1", "1"], ["a", "c", "b"], [1.0 + 1e-9, 1.0, 1.0 - 1e-9])
    assert pairs(run) == [("1", "c", 1), ("1", "b", 2), ("1", "a", 3)]


def test_zero_has_no_sign():
    run = ranked(["1", "1", "1"], ["a", "b", "c"], [0.0, -0.0, 0.0])
    assert [doc for _, doc, _ in pairs(run)] == ["c", "b", "a"]


def test_a_run_of_nothing():
    assert ranked([], [], []).equals(RUN.schema.empty_table())


def test_top_keeps_each_querys_first():
    run = ranked(list("1112"), list("abca"), [1.0, 2.0, 3.0, 0.0])
    assert pairs(top(run, 2)) == [("1", "c", 1), ("1", "b", 2), ("2", "a", 1)]


def test_ties_break_as_in_trec_eval():
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


def test_tied_runs_equal_trec_evals_ndcg():
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

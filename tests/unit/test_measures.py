"""Values per query: by hand, and those of trec_eval (ir_measures) on whatever can be drawn."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from redistil import lineage, measures
from redistil.cli import cli
from redistil.errors import BadSettings, BadTable, UserError
from redistil.tables import MEASURES, QRELS, RUN, ranked

Scores = Mapping[str, Mapping[str, float]]
Grades = Mapping[str, Mapping[str, int]]

NAMES = "nDCG@10 nDCG@3 nDCG RR@10 RR AP AP@5 R@3 R@100 P@5 Success@2".split()


def run_of(scores: Scores) -> pa.Table:
    rows = [(q, d, s) for q, docs in scores.items() for d, s in docs.items()]
    return ranked(*([row[i] for row in rows] for i in range(3)))


def qrels_of(grades: Grades) -> pa.Table:
    rows = [(q, d, g) for q, docs in grades.items() for d, g in docs.items()]
    columns = dict(zip(QRELS.schema.names, zip(*rows, strict=True), strict=True))
    return QRELS.check(QRELS.rows(columns), "test")


def values(
    scores: Scores, grades: Grades, names: list[str], relevant_from: int = 1
) -> dict[tuple[str, str], float]:
    wanted = [measures.parse(name) for name in names]
    found = measures.evaluate("d", run_of(scores), qrels_of(grades), wanted, relevant_from)
    return {(row["query_id"], row["measure"]): row["value"] for row in found.rows.to_pylist()}


def one(scores: Mapping[str, float], grades: Mapping[str, int], name: str, level: int = 1) -> float:
    return values({"q": scores}, {"q": grades}, [name], level)["q", name]


# --- by hand ----------------------------------------------------------------------------------


def test_ndcg_keeps_grades_and_has_linear_gain():
    dcg = 1 / math.log2(2) + 3 / math.log2(4)
    ideal = 3 / math.log2(2) + 1 / math.log2(3)
    got = one({"a": 3, "x": 2, "b": 1}, {"a": 1, "b": 3}, "nDCG@10")
    assert got == pytest.approx(dcg / ideal)


def test_the_ideal_ranking_sorts_grades_whatever_the_ids():
    assert one({"z": 2, "a": 1}, {"a": 1, "z": 2}, "nDCG@10") == 1
    assert one({"a": 2, "z": 1}, {"a": 2, "z": 1}, "nDCG@10") == 1


def test_a_negative_grade_is_as_good_as_none():
    with_junk = one({"junk": 3, "a": 2}, {"junk": -2, "a": 1}, "nDCG@10")
    assert with_junk == one({"x": 3, "a": 2}, {"a": 1}, "nDCG@10") == 1 / math.log2(3)
    assert one({"junk": 3}, {"junk": -1}, "nDCG@10") == 0


def test_binary_measures_see_only_grades_from_the_threshold():
    scores, grades = {"a": 3.0, "b": 2.0, "c": 1.0}, {"a": 1, "b": 2, "c": 0}
    assert one(scores, grades, "RR@10", 1) == 1
    assert one(scores, grades, "RR@10", 2) == 1 / 2
    assert one(scores, grades, "AP", 2) == 1 / 2
    assert one(scores, grades, "R@1", 2) == 0
    assert one(scores, grades, "nDCG@10", 2) == one(scores, grades, "nDCG@10", 1)


def test_average_precision_by_hand():
    scores = {"a": 4.0, "x": 3.0, "b": 2.0}
    assert one(scores, {"a": 1, "b": 1, "unfound": 1}, "AP") == pytest.approx((1 + 2 / 3) / 3)


def test_a_tie_is_broken_by_doc_id_downwards():
    assert one({"a": 1, "b": 1}, {"b": 1}, "RR@10") == 1
    assert one({"a": 1, "b": 1}, {"a": 1}, "RR@10") == 1 / 2


def test_an_all_tied_list_has_the_value_of_trec_eval():
    grades = {f"d{i}": int(i in {3, 17, 28}) for i in range(29)}
    tied = dict.fromkeys(grades, 0.0)
    assert one(tied, grades, "RR@10") == 1 / 7  # d9 ... d3 is the seventh downwards
    assert one(dict(reversed(tied.items())), grades, "RR@10") == 1 / 7


def test_a_judged_query_without_result_is_zero_and_counted():
    qrels = qrels_of({"q1": {"a": 1}, "q2": {"a": 1}, "q3": {"b": 1}})
    found = measures.evaluate("d", run_of({"q1": {"a": 1}}), qrels, [measures.parse("AP")], 1)
    assert found.rows["value"].to_pylist() == [1, 0, 0]
    assert (found.queries, found.unanswered, found.unjudged) == (3, 2, 0)


def test_a_query_nobody_judged_has_no_value_and_is_counted():
    run = run_of({"q": {"a": 1}, "other": {"a": 1}, "another": {"a": 1}})
    found = measures.evaluate("d", run, qrels_of({"q": {"a": 1}}), [measures.parse("AP")], 1)
    assert found.rows["query_id"].to_pylist() == ["q"]
    assert (found.unanswered, found.unjudged) == (0, 2)


def test_a_query_with_nothing_relevant_is_zero():
    got = values({"q": {"a": 1}, "r": {"a": 1}}, {"q": {"a": 0}, "r": {"a": 1}}, NAMES)
    assert {got["q", name] for name in NAMES} == {0}


# --- equal to trec_eval -----------------------------------------------------------------------

docs = st.sampled_from([f"d{i}" for i in range(15)])
tied_scores = st.sampled_from([-1.0, 0.0, 0.1, 0.2, 0.2 + 1e-9, 5.0])  # two are one float32
queries = st.sampled_from(["q1", "q2", "q3", "q10"])
runs = st.dictionaries(queries, st.dictionaries(docs, tied_scores, min_size=1), min_size=1)
judgements = st.dictionaries(  # pytrec_eval may loop for ever on a grade below 0: by hand, above
    queries, st.dictionaries(docs, st.integers(0, 3), min_size=1), min_size=1
)


def reference(scores: Scores, grades: Grades, relevant_from: int) -> dict[tuple[str, str], float]:
    """What ir_measures says, with the binary measures asked for at the threshold.

    It has no trec_eval behind RR@k, and what it has orders ties upwards: that measure alone sees
    the canonical order spelled out in distinct scores.
    """
    import ir_measures

    ordered: dict[str, dict[str, float]] = {}
    for row in run_of(scores).to_pylist():
        ordered.setdefault(row["query_id"], {})[row["doc_id"]] = -row["rank"]
    found = {}
    for name in NAMES:
        word, at, cutoff = name.partition("@")
        spelled = name if word == "nDCG" else f"{word}(rel={relevant_from}){at}{cutoff}"
        shown = ordered if word == "RR" and at else scores
        for metric in ir_measures.iter_calc([ir_measures.parse_measure(spelled)], grades, shown):
            found[metric.query_id, name] = metric.value
    return found


@given(runs, judgements, st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_values_are_trec_evals(scores: Scores, grades: Grades, relevant_from: int):
    shared = scores.keys() & grades.keys()
    if not shared:
        with pytest.raises(BadTable, match="none of the"):
            values(scores, grades, NAMES)
        return
    got = values(scores, grades, NAMES, relevant_from)
    assert {query for query, _ in got} == set(grades)
    theirs = reference(scores, grades, relevant_from)
    assert got == pytest.approx(theirs, abs=1e-6)


# --- refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ndcg@10", "did you mean 'nDCG@10'"),
        ("NDCG@20", "did you mean 'nDCG@20'"),
        ("nDGC", "did you mean 'nDCG'"),
        ("MRR@10", "did you mean 'RR@10'"),
        ("recall@100", "did you mean 'R@100'"),
        ("MAP", "did you mean 'AP'"),
        ("Succes@5", "did you mean 'Success@5'"),
        ("R", "did you mean 'R@10'"),
        ("nDCG@0", "no measure"),
        ("RR(rel=2)@10", "relevant_from"),
        ("", "no measure"),
    ],
)
def test_an_unknown_measure_is_refused_with_the_nearest(name: str, hint: str):
    with pytest.raises(BadSettings) as refused:
        measures.parse(name)
    assert hint in str(refused.value)


@pytest.mark.parametrize("given", ["nDCG@10", [], {}, {"AP": 1}, ["AP", "AP"], [3]])
def test_measures_must_be_a_list_of_distinct_names(given: object):
    with pytest.raises(BadSettings):
        measures.distinct(given)


@pytest.mark.parametrize("grade", [None, 0, "2", 1.5, True])
def test_a_threshold_must_be_a_grade(grade: object):
    with pytest.raises(BadSettings, match="relevant_from.dl19"):
        measures.threshold("dl19", {"dl19": grade})


def test_ranks_with_a_gap_are_refused():
    run = run_of({"q": {"a": 2, "b": 1}}).set_column(2, "rank", pa.array([1, 3], pa.int32()))
    with pytest.raises(BadTable, match="1, 2, 3"):
        measures.evaluate("d", run, qrels_of({"q": {"a": 1}}), [measures.parse("AP")], 1)


# --- the command ------------------------------------------------------------------------------


def evaluate(folder: Path, **changed: object) -> Result:
    given = {"measures": ["nDCG@10", "AP"], "relevant-from": {"in": 1, "out": 2}} | changed
    for name, scores in (("in", {"q1": {"a": 1.0}}), ("out", {"q1": {"b": 2.0, "a": 1.0}})):
        made = lineage.make("rerank", f"tiny/hinge/1/{name}", {}, "", [])
        RUN.write(run_of(scores), folder / f"{name}-run.parquet", made)
        made = lineage.make("export-queries", name, {}, "", [])
        grades = {"q1": {"a": 2}, "q2": {"a": 1}}
        QRELS.write(qrels_of(grades), folder / f"{name}-qrels.parquet", made)
    on = [
        word
        for name in given.pop("on", ["in", "out"])
        for word in ("--on", name, folder / f"{name}-run.parquet", folder / f"{name}-qrels.parquet")
    ]
    options = [word for key, value in given.items() for word in (f"--{key}", json.dumps(value))]
    words = ["evaluate", folder / "out.parquet", *on, *options, "--name", "tiny/hinge/1"]
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_the_command_writes_every_value_and_its_record(tmp_path: Path):
    result = evaluate(tmp_path)
    assert result.exit_code == 0, result.output
    assert "in: 2 queries, 1 without a result" in result.stderr
    rows = MEASURES.read(tmp_path / "out.parquet").to_pylist()
    assert [(r["dataset"], r["measure"], r["query_id"], r["value"]) for r in rows] == [
        ("in", "AP", "q1", 1),
        ("in", "AP", "q2", 0),
        ("in", "nDCG@10", "q1", 1),
        ("in", "nDCG@10", "q2", 0),
        ("out", "AP", "q1", 1 / 2),
        ("out", "AP", "q2", 0),
        ("out", "nDCG@10", "q1", pytest.approx(1 / math.log2(3))),
        ("out", "nDCG@10", "q2", 0),
    ]
    made = lineage.of(tmp_path / "out.parquet")
    assert (made.command, made.name) == ("evaluate", "tiny/hinge/1")
    assert made.settings == {
        "on": ["in", "out"],
        "measures": ["nDCG@10", "AP"],
        "relevant_from": {"in": 1, "out": 2},
    }
    assert "rerank tiny/hinge/1/in" in made.inputs


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"measures": ["nDCG@10", "apple"]}, "no measure 'apple'"),
        ({"relevant-from": {"in": 1}}, "relevant_from.out"),
        ({"relevant-from": [1]}, "relevant_from"),
        ({"on": ["in", "in"]}, "named twice"),
    ],
)
def test_the_command_refuses_and_leaves_nothing(
    tmp_path: Path, changed: dict[str, object], complaint: str
):
    result = evaluate(tmp_path, **changed)
    assert isinstance(result.exception, UserError)
    assert complaint in str(result.exception)
    assert not list(tmp_path.glob("*out.parquet*"))

"""Values per query: by hand, and those of trec_eval (ir_measures) on whatever can be drawn."""

import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from redistil.cli import cli
from redistil.errors import BadSettings, BadTable, UserError
from redistil.stages import measures
from redistil.storage import lineage
from redistil.storage.tables import MEASURES, QRELS, RUN
from redistil.study import measures as definitions
from tests.made.rankings import Grades, Scores, qrels_of, run_of, values

NAMES = "nDCG@10 nDCG@20 nDCG@3 nDCG RR@10 RR AP AP@5 R@3 R@100 R@1000 P@5 Success@2".split()
NAMES += ["Success@5"]


def one(scores: Mapping[str, float], grades: Mapping[str, int], name: str, level: int = 1) -> float:
    return values({"q": scores}, {"q": grades}, [name], level)["q", name]


# --- by hand ----------------------------------------------------------------------------------


def test_ndcg_has_linear_gain():
    dcg = 1 / math.log2(2) + 3 / math.log2(4)
    ideal = 3 / math.log2(2) + 1 / math.log2(3)
    got = one({"a": 3, "x": 2, "b": 1}, {"a": 1, "b": 3}, "nDCG@10")
    assert got == pytest.approx(dcg / ideal)


def test_the_ideal_ranking_ignores_ids():
    assert one({"z": 2, "a": 1}, {"a": 1, "z": 2}, "nDCG@10") == 1
    assert one({"a": 2, "z": 1}, {"a": 2, "z": 1}, "nDCG@10") == 1


def test_a_negative_grade_gains_nothing():
    with_junk = one({"junk": 3, "a": 2}, {"junk": -2, "a": 1}, "nDCG@10")
    assert with_junk == one({"x": 3, "a": 2}, {"a": 1}, "nDCG@10") == 1 / math.log2(3)
    assert one({"junk": 3}, {"junk": -1}, "nDCG@10") == 0


def test_binary_measures_keep_the_threshold():
    scores, grades = {"a": 3.0, "b": 2.0, "c": 1.0}, {"a": 1, "b": 2, "c": 0}
    assert one(scores, grades, "RR@10", 1) == 1
    assert one(scores, grades, "RR@10", 2) == 1 / 2
    assert one(scores, grades, "AP", 2) == 1 / 2
    assert one(scores, grades, "R@1", 2) == 0
    assert one(scores, grades, "nDCG@10", 2) == one(scores, grades, "nDCG@10", 1)


def test_average_precision_by_hand():
    scores = {"a": 4.0, "x": 3.0, "b": 2.0}
    assert one(scores, {"a": 1, "b": 1, "unfound": 1}, "AP") == pytest.approx((1 + 2 / 3) / 3)


def test_ties_fall_by_doc_id():
    assert one({"a": 1, "b": 1}, {"b": 1}, "RR@10") == 1
    assert one({"a": 1, "b": 1}, {"a": 1}, "RR@10") == 1 / 2


def test_tied_lists_equal_trec_eval():
    grades = {f"d{i}": int(i in {3, 17, 28}) for i in range(29)}
    tied = dict.fromkeys(grades, 0.0)
    assert one(tied, grades, "RR@10") == 1 / 7  # d9 ... d3 is the seventh downwards
    assert one(dict(reversed(tied.items())), grades, "RR@10") == 1 / 7


def test_an_unanswered_query_is_zero():
    qrels = qrels_of({"q1": {"a": 1}, "q2": {"a": 1}, "q3": {"b": 1}})
    found = measures.evaluate("d", run_of({"q1": {"a": 1}}), qrels, [measures.parse("AP")], 1)
    assert found.rows["value"].to_pylist() == [1, 0, 0]
    assert (found.queries, found.unanswered, found.unjudged) == (3, 2, 0)


def test_an_unjudged_query_has_no_value():
    run = run_of({"q": {"a": 1}, "other": {"a": 1}, "another": {"a": 1}})
    found = measures.evaluate("d", run, qrels_of({"q": {"a": 1}}), [measures.parse("AP")], 1)
    assert found.rows["query_id"].to_pylist() == ["q"]
    assert (found.unanswered, found.unjudged) == (0, 2)


def test_nothing_relevant_is_zero():
    got = values({"q": {"a": 1}, "r": {"a": 1}}, {"q": {"a": 0}, "r": {"a": 1}}, NAMES)
    assert {got["q", name] for name in NAMES} == {0}


# --- zeros that mean that nothing matched -----------------------------------------------------


def evaluated(scores: Scores, grades: Grades, level: int = 1, name: str = "RR@10"):
    wanted = [measures.parse(name)]
    return measures.evaluate("", run_of(scores), qrels_of(grades), wanted, level)


def test_queries_without_a_relevant_passage_are_counted():
    grades = {"q": {"a": 1}, "r": {"a": 0, "b": -1}, "s": {"a": 2}}
    once, twice = evaluated({"q": {"a": 1}}, grades, 1), evaluated({"q": {"a": 1}}, grades, 2)
    assert (once.without_relevant, twice.without_relevant) == (1, 2)
    assert "; 2 without a passage of grade 2 or more (scored zero)" in twice.lines("")[-1]
    assert once.rows["value"].to_pylist() == [1, 0, 0]


def test_other_ids_are_told_with_both():
    (told,) = evaluated({"q": {"D1": 1.0}}, {"q": {"doc-1": 1}}).doubts
    assert "'D1'" in told and "'doc-1'" in told and "every value is 0" in told


def test_a_grade_that_none_has_is_told():
    scores, grades = {"q": {"a": 1.0}}, {"q": {"a": 2, "b": 0}}
    (told,) = evaluated(scores, grades, 3).doubts
    assert (
        "no judgement has the grade 3 or more (the highest is 2): every value of RR@10 is 0" in told
    )
    assert evaluated(scores, grades, 3, "nDCG@10").doubts == (), "nDCG keeps the grades"
    assert evaluated(scores, grades, 2).doubts == ()


def test_grades_of_zero_are_told():
    (told,) = evaluated({"q": {"a": 1.0}}, {"q": {"a": 0}}, 1, "nDCG@10").doubts
    assert "no judgement has a grade above 0" in told


# --- equal to trec_eval -----------------------------------------------------------------------


docs = st.sampled_from([f"d{i}" for i in range(15)])
tied_scores = st.sampled_from([-1.0, 0.0, 0.1, 0.2, 0.2 + 1e-9, 5.0])  # two are one float32
queries = st.sampled_from(["q1", "q2", "q3", "q10"])
runs = st.dictionaries(queries, st.dictionaries(docs, tied_scores, min_size=1), min_size=1)
judgements = st.dictionaries(
    queries, st.dictionaries(docs, st.integers(-2, 3), min_size=1), min_size=1
)


def reference(scores: Scores, grades: Grades, relevant_from: int) -> dict[tuple[str, str], float]:
    """Values of ir_measures, with the binary measures at the threshold.

    It has no trec_eval behind RR@k, and what it has orders ties upwards: that measure alone sees
    the canonical order spelled out in distinct scores.
    """
    import ir_measures

    # pytrec_eval may loop for ever on a grade below 0, which gains nothing and is not relevant
    grades = {q: {d: max(0, g) for d, g in of_query.items()} for q, of_query in grades.items()}
    ordered: dict[str, dict[str, float]] = {}
    for row in run_of(scores).to_pylist():
        ordered.setdefault(row["query_id"], {})[row["doc_id"]] = -row["rank"]
    found = {}
    for name in NAMES:
        word, at, cutoff = name.partition("@")
        measure = getattr(ir_measures, word)  # its parser of names warns from Python 3.12 on
        if word != "nDCG":
            measure = measure(rel=relevant_from)
        if at:
            measure = measure @ int(cutoff)
        shown = ordered if word == "RR" and at else scores
        for metric in ir_measures.iter_calc([measure], grades, shown):
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


# --- how much of the candidates is re-ranked ---------------------------------------------------


def swept(
    first: Mapping[str, float], model: Mapping[str, float], grades: Mapping[str, int], *depths: int
) -> list[tuple[int, float]]:
    runs = run_of({"q": model}), run_of({"q": first})
    wanted = measures.parse("RR@10")
    return measures.sweep("d", *runs, qrels_of({"q": grades}), wanted, 1, depths)


def test_only_the_first_candidates_are_reordered():
    first = {"a": 5.0, "b": 4.0, "c": 3.0, "d": 2.0}
    model = {"d": 9.0, "c": 8.0, "b": 7.0, "a": 6.0}
    assert swept(first, model, {"b": 1}, 0, 1, 2, 3, 4) == [
        (0, 1 / 2), (1, 1 / 2), (2, 1), (3, 1 / 2), (4, 1 / 3),
    ]  # fmt: skip
    assert swept(first, model, {"d": 1}, 3, 4, 5) == [(3, 1 / 4), (4, 1)]


def test_a_sweep_refuses_other_passages():
    first = {"a": 5.0, "b": 4.0, "c": 3.0}
    assert swept(first, {"b": 1.0, "a": 0.0}, {"c": 1}, 0, 2, 3) == [(0, 0), (2, 0)]
    with pytest.raises(BadTable, match="1 passages of the run are not among the candidates"):
        swept(first, {"x": 1.0, "a": 0.0}, {"a": 1}, 1)


@given(runs, judgements)
@settings(max_examples=40, deadline=None)
def test_a_sweep_ends_in_the_run(scores: Scores, grades: Grades):
    if not scores.keys() & grades.keys():
        return
    reverse = {q: {d: -s for d, s in docs.items()} for q, docs in scores.items()}
    run, candidates, qrels = run_of(reverse), run_of(scores), qrels_of(grades)
    wanted = measures.parse("nDCG@3")
    deepest = max(len(docs) for docs in scores.values())
    ends = measures.sweep("d", run, candidates, qrels, wanted, 1, [0, deepest])
    for (_, value), table in zip(ends, (candidates, run), strict=True):
        whole = measures.evaluate("d", table, qrels, [wanted], 1).rows["value"].to_numpy()
        assert value == pytest.approx(whole.mean())


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
        ("nDCG@0", "did you mean 'nDCG'?"),
        ("P@05", "did you mean 'P@10'?"),
        ("RR(rel=2)@10", "relevant_from"),
        ("", "no measure"),
    ],
)
def test_an_unknown_measure_names_the_nearest(name: str, hint: str):
    with pytest.raises(BadSettings) as refused:
        measures.parse(name)
    assert hint in str(refused.value)


@pytest.mark.parametrize("given", ["nDCG@10", [], {}, {"AP": 1}, ["AP", "AP"], [3]])
def test_measures_are_distinct_names(given: object):
    with pytest.raises(BadSettings):
        measures.distinct(given)


@pytest.mark.parametrize("word", ["", "0", "two", "1.5", "dl19=", "dl19=0", "dl19=-1"])
def test_a_threshold_is_a_whole_grade(word: str):
    with pytest.raises(BadSettings, match="--relevant-from: wanted a whole number from 1"):
        definitions.grades([word])


def test_a_datasets_own_grade_goes_first():
    given = definitions.grades(["1", "dl19=2"])
    assert measures.thresholds(["dl19", "dev"], given) == {"dl19": 2, "dev": 1}
    with pytest.raises(BadSettings, match="none for dev"):
        measures.thresholds(["dl19", "dev"], definitions.grades(["dl19=2"]))


@pytest.mark.parametrize("more", ["elsewhere=AP", "d=nDCG@10", "nDCG@10", "d=", "d=AP=AP"])
def test_further_measures_must_be_new(more: str):
    with pytest.raises(BadSettings):
        measures.by_dataset(["d"], ["nDCG@10", more])


def test_every_dataset_needs_a_measure():
    with pytest.raises(BadSettings, match="--measure: none for e"):
        measures.by_dataset(["d", "e"], ["d=AP"])


def test_a_depth_is_given_once():
    assert measures.depths((0, 5)) == [0, 5]
    with pytest.raises(BadSettings, match="--depth"):
        measures.depths((1, 1))


def test_ranks_with_a_gap_are_refused():
    run = run_of({"q": {"a": 2, "b": 1}}).set_column(2, "rank", pa.array([1, 3], pa.int32()))
    with pytest.raises(BadTable, match="1, 2, 3"):
        measures.evaluate("d", run, qrels_of({"q": {"a": 1}}), [measures.parse("AP")], 1)


# --- the command ------------------------------------------------------------------------------


def evaluate(folder: Path, **changed: object) -> Result:
    given = {"measure": ["nDCG@10", "AP"], "relevant-from": ["in=1", "out=2"]} | changed
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
    options = [word for key, values in given.items() for v in values for word in (f"--{key}", v)]
    words = ["evaluate", *on, *options, "--out", folder / "out.parquet", "--name", "tiny/hinge/1"]
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_a_dataset_may_add_measures(tmp_path: Path):
    assert evaluate(tmp_path, measure=["nDCG@10", "AP", "out=Success@5"]).exit_code == 0
    rows = MEASURES.read(tmp_path / "out.parquet").to_pylist()
    assert {(r["dataset"], r["measure"]) for r in rows} == {
        ("in", "AP"), ("in", "nDCG@10"), ("out", "AP"), ("out", "nDCG@10"), ("out", "Success@5"),
    }  # fmt: skip


def test_command_writes_values_and_record(tmp_path: Path):
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


READ_ONLY = """
from numba.core import caching
caching.CacheImpl._locator_classes = [caching.UserProvidedCacheLocator]  # no other can write
from tests.made.rankings import values
print(values({"q": {"a": 1.0}}, {"q": {"a": 1}}, ["RR@10"]))
"""


def test_a_read_only_home_is_no_hindrance(tmp_path: Path):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "NUMBA_CACHE_DIR": ""}
    line = [sys.executable, "-c", READ_ONLY]
    done = subprocess.run(line, capture_output=True, text=True, env=environment)
    assert done.stdout == "{('q', 'RR@10'): 1.0}\n", done.stderr
    assert not list(tmp_path.iterdir()), "the folder goes with the job"


def test_the_command_warns_of_zeros(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert evaluate(tmp_path, **{"relevant-from": ["in=1", "out=3"]}).exit_code == 0
    (told,) = caplog.messages
    assert told.startswith("out: no judgement has the grade 3 or more")


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"measure": ["nDCG@10", "apple"]}, "no measure 'apple'"),
        ({"relevant-from": ["in=1"]}, "--relevant-from: none for out"),
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

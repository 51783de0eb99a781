"""Runs and qrels as TREC files: measured whoever wrote them, and back as they were."""

import gzip
import logging
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from redistil.cli import cli
from redistil.errors import BadTable, UserError
from redistil.storage import exchange, lineage
from redistil.storage.tables import QRELS, RUN
from tests.made.rankings import Grades, Scores, qrels_of, run_of, values


def invoke(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def trec(folder: Path, run: str, qrels: str) -> Result:
    (folder / "a.run").write_text(run)
    (folder / "a.qrels").write_text(qrels)
    options = ["--measure", "nDCG@10", "--measure", "RR@10", "--relevant-from", 2]
    return invoke("evaluate", folder / "a.run", folder / "a.qrels", *options)


def test_runs_of_any_system_are_read(tmp_path: Path):
    """Two files are all it needs; ranks as written are not believed, and blanks may be tabs."""
    result = trec(tmp_path, "1 Q0 a 1 0.5 x\n1 Q0 b 7 2.5 x\n", "1\t0\ta\t1\n1\t0\tb\t2\n")
    assert result.exit_code == 0, result.exception
    counts = "1 queries, 0 without a result (scored zero)"
    assert result.stdout.splitlines() == ["nDCG@10  1.0000", "RR@10    1.0000", counts]


def test_ranks_against_scores_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert trec(tmp_path, "1 Q0 a 1 0.5 x\n1 Q0 b 2 2.5 x\n", "1 0 b 2\n").exit_code == 0
    assert "1 of 2 passages score less than one of a worse rank" in caplog.text
    caplog.clear()
    assert trec(tmp_path, "1 Q0 b 1 2.5 x\n1 Q0 a 2 0.5 x\n", "1 0 b 2\n").exit_code == 0
    assert not caplog.text


def test_ties_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The input tied.run: whatever its ranks say, doc_id orders it."""
    caplog.set_level(logging.INFO)
    assert trec(tmp_path, "1 Q0 a 1 1 x\n1 Q0 b 2 1 x\n1 Q0 c 3 0 x\n", "1 0 b 2\n").exit_code == 0
    assert "1 of 3 passages have the score of the one before them: doc_id orders" in caplog.text


def test_a_head_of_remarks_is_passed_over(tmp_path: Path):
    head = "# ir_metadata.start\n# tag: x\n# ir_metadata.end\n"
    result = trec(tmp_path, f"{head}1 Q0 a 1 0.5 x\n", "1 0 a 2\n")
    assert result.exit_code == 0 and "RR@10    1.0000" in result.stdout, result.exception


@pytest.mark.parametrize("run", ["1  Q0 a   1 0.5 x\n", " 1\tQ0 a 1\t0.5 x \r\n"])
def test_columns_with_many_blanks_are_read(tmp_path: Path, run: str):
    result = trec(tmp_path, run, "1   0 a    2\n")
    assert result.exit_code == 0 and "RR@10    1.0000" in result.stdout, result.exception


@pytest.mark.parametrize(
    ("run", "qrels", "complaint"),
    [
        ("1 Q0 a 1 2 x\n1 Q0 a 2 1 x\n", "1 0 a 1\n", "repeat a (query_id, doc_id)"),
        ("1 Q0 a 1 nan x\n", "1 0 a 1\n", "1 of 1 score are not finite"),
        ("1 Q0 a 1 inf x\n", "1 0 a 1\n", "1 of 1 score are not finite"),
        ("1 Q0 a 1 high x\n", "1 0 a 1\n", "wanted the columns query_id q0 doc_id rank score tag"),
        ("1 Q0 a 1 2\n", "1 0 a 1\n", "wanted the columns"),
        ("", "1 0 a 1\n", "a.run"),
        ("1 Q0 a 1 2 x\n", "1 0 a 1\n1 0 a 2\n", "repeat a (query_id, doc_id)"),
        ("1 Q0 a 1 2 x\n", "1 0 a yes\n", "wanted the columns query_id iteration"),
        (
            "1 Q0 a 1 2 x\n",
            "query-id\tcorpus-id\tscore\n1\ta\t1\n",
            "`redistil export-queries` make ",
        ),
        ("1 Q0 a 1 2 x\n", "q1 0 a 1\n", "none of the 1 queries of the run is among the 1"),
    ],
)
def test_unmeasurable_files_are_refused(tmp_path: Path, run: str, qrels: str, complaint: str):
    result = trec(tmp_path, run, qrels)
    assert isinstance(result.exception, UserError), result.exception
    assert complaint in str(result.exception)


def test_repeated_passages_in_parquet_are_refused(tmp_path: Path):
    made = lineage.make("rerank", "x", {}, "", [])
    twice = pa.concat_tables([run_of({"q": {"a": 1.0}}), run_of({"q": {"a": 0.5}})])
    with RUN.writer(tmp_path / "a.parquet", made) as write:  # whose key is the caller's promise
        write(twice)
    (tmp_path / "a.qrels").write_text("q 0 a 1\n")
    on = ["--on", "d", tmp_path / "a.parquet", tmp_path / "a.qrels"]
    result = invoke("evaluate", *on, "--measure", "AP", "--relevant-from", 1)
    assert "repeat a (query_id, doc_id)" in str(result.exception)


words = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=4)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.dictionaries(words, st.dictionaries(words, floats, min_size=1), min_size=1))
@settings(max_examples=60, deadline=None)
def test_trec_runs_survive_a_round_trip(tmp_path_factory: pytest.TempPathFactory, scores: Scores):
    path, rows = tmp_path_factory.mktemp("trec") / "a.run", run_of(scores)
    exchange.write_run(rows, path, "system/1")
    assert exchange.run(path).equals(RUN.check(rows, "test"))


@given(st.dictionaries(words, st.dictionaries(words, st.integers(-2, 9), min_size=1), min_size=1))
@settings(max_examples=30, deadline=None)
def test_trec_qrels_survive_a_round_trip(tmp_path_factory: pytest.TempPathFactory, grades: Grades):
    path, rows = tmp_path_factory.mktemp("trec") / "a.qrels", qrels_of(grades)
    exchange.write_qrels(rows, path)
    assert exchange.qrels(path).equals(rows)


@pytest.mark.parametrize("between", ["\t", " ", "   "])
def test_gzipped_qrels_are_read(tmp_path: Path, between: str):
    path, rows = tmp_path / "a.qrels.gz", qrels_of({"q1": {"a": 2, "c": 0}, "q2": {"b": 1}})
    exchange.write_qrels(rows, tmp_path / "plain")
    path.write_bytes(
        gzip.compress((tmp_path / "plain").read_bytes().replace(b" ", between.encode()))
    )
    assert exchange.qrels(path).equals(rows)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadTable, match="wanted the columns query_id iteration doc_id relevance"):
        exchange.qrels(path)


def test_trec_eval_agrees_on_exported_runs(tmp_path: Path):
    import ir_measures

    made = lineage.make("rerank", "x", {}, "", [])
    scores = {"q1": {"a": 1.0, "b": 1.0, "c": 0.1}, "q2": {"c": 3e-8, "a": 2e-8}}
    grades = {"q1": {"a": 2, "c": 1}, "q2": {"a": 1}}
    RUN.write(run_of(scores), tmp_path / "run.parquet", made)
    QRELS.write(qrels_of(grades), tmp_path / "qrels.parquet", made)
    run, qrels = tmp_path / "a.run", tmp_path / "a.qrels"
    assert invoke("export-run", tmp_path / "run.parquet", run, "--tag", "x").exit_code == 0
    assert invoke("export-qrels", tmp_path / "qrels.parquet", qrels).exit_code == 0
    theirs = ir_measures.iter_calc(
        [ir_measures.nDCG @ 10],
        ir_measures.read_trec_qrels(str(qrels)),
        ir_measures.read_trec_run(str(run)),
    )
    ours = values(scores, grades, ["nDCG@10"])
    assert ours == pytest.approx({(m.query_id, "nDCG@10"): m.value for m in theirs})


def test_ids_with_blanks_are_not_written(tmp_path: Path):
    rows = run_of({"q 1": {"a": 1.0}})
    with pytest.raises(BadTable, match="cannot hold 'q 1'"):
        exchange.write_run(rows, tmp_path / "a.run", "x")
    assert not list(tmp_path.iterdir())

"""Corpora: what every kind of collection has to hold, what is left out aloud, what is refused."""

import pytest

from redistil.errors import BadSettings, BadSource
from redistil.stages import corpora
from redistil.stages.corpora.entries import Judgement, Queries
from redistil.stages.corpora.judgements import judged
from redistil.storage import exchange
from redistil.storage.tables import COUNTS, PASSAGES, texts
from tests.made.collection import (
    ASKED,
    CORPUS,
    TEST,
    export,
    exported_passages,
    jsonl,
    redistil,
    tsv,
    write_folder,
)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.parquet"


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "set")


def test_textless_passages_are_kept_and_counted(folder, out, caplog):
    redistil("export-passages", out, "--corpus", {"folder": str(folder)})
    assert "passages without text: 1 of 4" in caplog.text
    assert "repeat the text" not in caplog.text


def test_repeated_texts_are_counted(folder, out, caplog):
    copies = [{"_id": f"c{n}", "text": " second words"} for n in range(2)]
    (folder / "corpus.jsonl").write_text(jsonl([*CORPUS, *copies, {"_id": "e", "text": ""}]))
    redistil("export-passages", out, "--corpus", {"folder": str(folder)})
    assert "passages that repeat the text of another: 2 of 7" in caplog.text


def test_textless_queries_are_kept_and_counted(folder, out, caplog):
    (folder / "queries.jsonl").write_text(jsonl([ASKED[0], {"_id": "q1", "text": " "}]))
    assert export(folder, out)[0] == {"q1": "", "q2": "question 2"}
    assert "judged queries without text, kept: 1" in caplog.text


def test_dangling_judgements_are_left_out_aloud(folder, out, caplog):
    rows = [*TEST, ("q9", "d1", 1), ("q9", "007", 1), TEST[0]]
    (folder / "qrels" / "test.tsv").write_text(tsv(rows))
    queries, judged = export(folder, out)
    assert set(queries) == {"q1", "q2"}
    assert sorted(judged) == sorted(TEST)
    assert "split test: judgements of an unknown query, left out: 2" in caplog.messages
    assert "split test: repeated judgements, left out: 1" in caplog.messages


def test_contradicting_grades_are_refused(folder, out):
    (folder / "qrels" / "test.tsv").write_text(tsv([("q1", "d1", 1), ("q1", "d1", 0)]))
    with pytest.raises(BadSource, match="judged both 1 and 0"):
        export(folder, out)


def test_judgements_of_missing_passages_are_kept(folder, out, caplog):
    """As trec_eval does: else a cut corpus raises every measure."""
    rows = [*TEST, ("q1", "gone", 1), ("q3", "gone", 1)]
    (folder / "qrels" / "test.tsv").write_text(tsv(rows))
    queries, judged = export(folder, out, missing_at_most=0.4)
    assert set(queries) == {"q1", "q2", "q3"}
    assert sorted(judged) == sorted(rows)
    assert "judgements of a passage that the corpus lacks, kept: 2" in caplog.text
    with pytest.raises(BadSource, match=r"2 of 5 .*'gone'.*wanted 10% .*`missing_at_most`"):
        export(folder, out)


def test_every_door_has_the_same_judgements(folder, out, tmp_path):
    """A cut corpus: what `evaluate` reads of a TREC file is what the folder exports."""
    rows = [("q1", "d1", 2), ("q1", "gone", 1), ("q2", "lost", 1), ("q2", "3", 0)]
    (folder / "qrels" / "test.tsv").write_text(tsv(rows))
    export(folder, out, missing_at_most=0.5)
    lines = [f"{query} 0 {passage} {grade}\n" for query, passage, grade in rows]
    (tmp_path / "qrels.txt").write_text("".join(lines))
    exported = exchange.qrels(out.with_suffix(".r.parquet")).to_pylist()
    assert exported == exchange.qrels(tmp_path / "qrels.txt").to_pylist()


@pytest.mark.parametrize("share", [-0.1, 1.5, True, "all"])
def test_wrong_missing_share_is_refused(folder, out, share):
    with pytest.raises(BadSettings, match="`missing_at_most` must be a share"):
        export(folder, out, missing_at_most=share)


def test_qrels_of_other_queries_are_refused(folder, out):
    (folder / "qrels" / "test.tsv").write_text(tsv([("Q9", "d1", 1)]))
    with pytest.raises(BadSource, match="ids as 'Q9', the queries as 'q1'.* belong together"):
        export(folder, out)
    assert not list(out.parent.glob("*.parquet"))


@pytest.mark.parametrize(("what", "count"), [("queries", 3), ("qrels", 4)])
def test_other_counts_than_declared_are_refused(folder, out, what, count):
    with pytest.raises(BadSource, match=f"{count} {what} declared, {count - 1} found"):
        export(folder, out, **{what: count})


def test_another_number_of_documents_is_refused(folder, out):
    with pytest.raises(BadSource, match="5 passages declared, 4 found"):
        redistil("export-passages", out, "--corpus", {"folder": str(folder), "passages": 5})
    assert sorted(path.name for path in out.parent.iterdir()) == ["set"]


def test_an_empty_corpus_is_refused(folder, out):
    (folder / "corpus.jsonl").write_text("\n")
    with pytest.raises(BadSource, match="no passages at all"):
        redistil("export-passages", out, "--corpus", {"folder": str(folder)})
    assert not out.exists()


def test_repeated_ids_are_refused_across_batches(folder, out, monkeypatch):
    monkeypatch.setattr(corpora, "BATCH", 2)
    (folder / "corpus.jsonl").write_text(jsonl([*CORPUS, {"_id": "007", "text": "again"}]))
    with pytest.raises(BadSource, match=r"1 of 5 passages repeat a doc_id \(first: '007'\)"):
        redistil("export-passages", out, "--corpus", {"folder": str(folder)})
    (folder / "corpus.jsonl").write_text(jsonl(CORPUS))
    (folder / "queries.jsonl").write_text(jsonl([*ASKED, ASKED[0]]))
    with pytest.raises(BadSource, match="'q2' comes twice"):
        export(folder, out)
    assert [file.name for file in out.parent.iterdir()] == ["set"]


def test_lone_surrogates_do_not_stop_exports(folder, out):
    (folder / "corpus.jsonl").write_text(
        r'{"_id": "d1", "text": "half \ud83d a smile \ud83d\ude00"}'
    )
    redistil("export-passages", out, "--corpus", {"folder": str(folder)})
    (text,) = texts(out, PASSAGES).values()
    assert text.startswith("half \ufffd") and text.endswith("a smile \U0001f600")


@pytest.mark.parametrize(
    "corpus", [{}, {"pydocs": ["click"], "folder": "x"}, {"folder": "x", "passages": "many"}]
)
def test_a_corpus_has_one_kind(corpus, out):
    with pytest.raises(BadSettings):
        redistil("export-passages", out, "--corpus", corpus)


def test_queries_without_any_judgement_are_refused():
    with pytest.raises(BadSource, match="none of 1 queries .* belong together"):
        judged(Queries({"q1": "a"}, [Judgement("q2", "d1", 0)]), set(), {}, "here")


def test_unjudged_queries_get_no_judgements():
    asked = Queries({"q1": "a", "q2": "b"}, [Judgement("q1", "d1", 1)])
    used = judged(asked, set(), {}, "here")
    assert (used.queries, used.qrels) == (["q1"], [("q1", "d1", 1)])
    assert used.counts == {"queries without a judgement, left out": 1}


def test_grades_of_zero_are_refused(folder, out):
    """The input all-zero: every measure would be 0."""
    (folder / "qrels" / "test.tsv").write_text(tsv([("q1", "d1", 0), ("q2", "3", -1)]))
    with pytest.raises(BadSource, match=r"none of 2 judgements has a grade above 0 .*is 0"):
        export(folder, out)
    assert not list(out.parent.glob("*.parquet"))


# --- only the queries with a relevant passage -------------------------------------------------


def with_positive(folder, out, **more):
    rows = [("q1", "d1", 2), ("q1", "007", 0), ("q2", "3", 1), ("q3", "d1", 0), ("q3", "3", 0)]
    (folder / "qrels" / "test.tsv").write_text(tsv(rows))
    return export(folder, out, queries="with_positive", **more)


@pytest.mark.parametrize(("least", "kept"), [(1, ["q1", "q2"]), (2, ["q1"])])
def test_only_queries_with_a_positive_are_kept(folder, out, least, kept):
    queries, qrels = with_positive(folder, out, relevant_from=least)
    assert sorted(queries) == kept
    assert {query_id for query_id, _, _ in qrels} == set(kept)
    assert ("q1", "007", 0) in qrels, "judgements that are not relevant stay"


def test_no_query_with_a_positive_is_refused(folder, out):
    with pytest.raises(BadSource, match="none of 3 judged queries has a passage of the grade 3"):
        with_positive(folder, out, relevant_from=3)
    with pytest.raises(BadSettings, match="needs `relevant_from`"):
        with_positive(folder, out)


# --- counted ----------------------------------------------------------------------------------


def counted(folder, out, **dataset):
    corpus, counts = {"folder": str(folder)}, out.with_suffix(".counts.parquet")
    dataset = {"split": "test"} | dataset
    line = [
        "export-queries",
        out,
        out.with_suffix(".r"),
        "--passages",
        exported_passages(folder),
        "--counts",
        counts,
    ]
    redistil(*line, "--corpus", corpus, "--dataset", dataset)
    return {row["what"]: row["count"] for row in COUNTS.read(counts).to_pylist()}


def test_what_is_left_out_is_counted(folder, out):
    rows = [*TEST, ("q9", "d1", 1), TEST[0], ("q2", "gone", 1), ("q2", "d4", 0)]
    (folder / "qrels" / "test.tsv").write_text(tsv(rows))
    wanted = {
        "judgements of an unknown query, left out": 1,
        "repeated judgements, left out": 1,
        "judgements of a passage that the corpus lacks, kept": 1,
        "queries without a judgement, left out": 1,
    }
    assert counted(folder, out, missing_at_most=0.5) == wanted
    asked = {"queries": "with_positive", "relevant_from": 2, "missing_at_most": 0.5}
    assert counted(folder, out, **asked) == wanted | {
        "queries without a passage of grade 2 or more, left out": 1
    }


def test_queries_of_other_splits_are_no_news(folder, out, caplog):
    assert counted(folder, out) == {"queries without a judgement, left out": 1}
    assert "queries without a judgement, left out: 1" in caplog.text
    (folder / "qrels" / "train.tsv").write_text(tsv([("q3", "d1", 1)]))
    caplog.clear()
    assert counted(folder, out) == {}
    assert "left out" not in caplog.text

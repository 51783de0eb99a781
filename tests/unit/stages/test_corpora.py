"""Corpora: what every kind of collection has to hold, what is left out aloud, what is refused."""

import pytest

from redistil.errors import BadSettings, BadSource
from redistil.stages import corpora
from redistil.stages.corpora.entries import Judgement, Queries
from redistil.storage.tables import PASSAGES, texts
from tests.made.collection import ASKED, CORPUS, TEST, export, jsonl, redistil, tsv, write_folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.parquet"


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "set")


def test_textless_passages_are_kept_and_counted(folder, out, caplog):
    redistil("export-passages", out, "--corpus", {"folder": str(folder)})
    assert "1 of 4 passages have no text" in caplog.text


def test_textless_queries_are_kept_and_counted(folder, out, caplog):
    (folder / "queries.jsonl").write_text(jsonl([ASKED[0], {"_id": "q1", "text": " "}]))
    assert export(folder, out)[0] == {"q1": "", "q2": "question 2"}
    assert "1 of 2 judged queries have no text" in caplog.text


def test_dangling_judgements_are_left_out_aloud(folder, out, caplog):
    rows = [*TEST, ("q9", "d1", 1), ("q9", "007", 1), TEST[0]]
    (folder / "qrels" / "test.tsv").write_text(tsv(rows))
    queries, judged = export(folder, out)
    assert set(queries) == {"q1", "q2"}
    assert sorted(judged) == sorted(TEST)
    for count, what in ((2, "a query that"), (1, "repeat")):
        assert any(f": {count} " in line and what in line for line in caplog.messages), what


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
    assert "2 of 5 judgements name a passage that is not in the corpus" in caplog.text
    with pytest.raises(BadSource, match=r"2 of 5 .*'gone'.*wanted 10% .*`missing_at_most`"):
        export(folder, out)


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
    (folder / "queries.jsonl").write_text(jsonl([*ASKED, ASKED[0]]))
    with pytest.raises(BadSource, match="'q2' comes twice"):
        export(folder, out)
    assert not out.exists()


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
        corpora.judgements(Queries({"q1": "a"}, [Judgement("q2", "d1", 0)]), "here")


def test_unjudged_queries_get_no_judgements():
    asked = Queries({"q1": "a", "q2": "b"}, [Judgement("q1", "d1", 0)])
    assert corpora.judgements(asked, "here") == (["q1"], [("q1", "d1", 0)])

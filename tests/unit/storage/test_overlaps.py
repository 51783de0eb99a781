"""Training queries that a test set has too."""

import pytest

from redistil.storage import overlaps
from redistil.storage.lineage import Made
from redistil.storage.tables import QRELS, QUERIES


def queries(path, rows):
    columns = {"query_id": list(rows), "text": list(rows.values())}
    QUERIES.write(QUERIES.rows(columns), path, Made("test", "test"))
    return path


@pytest.fixture
def training(tmp_path):
    asked = {"1": "What is BM25?", "2": "what is bm25", "3": "who was it", "4": "?", "5": "é 5"}
    return queries(tmp_path / "train.parquet", asked)


def test_case_and_punctuation_do_not_count(training, tmp_path):
    test = queries(tmp_path / "test.parquet", {"99": " what  is 'BM25' ", "98": "e\u0301 5!"})
    found = overlaps.overlapping(training, others=[test])
    assert found == dict.fromkeys("125", f"text, in {test}")
    assert overlaps.said(found, 5) == [f"3 of 5 queries left out: same text, in {test}"]


def test_ids_count_within_one_corpus(training, tmp_path):
    test = queries(tmp_path / "test.parquet", {"3": "something else", "4": "other"})
    assert overlaps.overlapping(training, others=[test]) == {}
    assert set(overlaps.overlapping(training, same=[test])) == {"3", "4"}


def test_wordless_texts_are_different_queries(training, tmp_path):
    test = queries(tmp_path / "test.parquet", {"90": "...", "91": ""})
    assert overlaps.overlapping(training, others=[test]) == {}


def test_shared_queries_are_counted_once(training, tmp_path):
    tests = [queries(tmp_path / f"{n}.parquet", {"3": "Who was it?"}) for n in ("a", "b")]
    found = overlaps.overlapping(training, same=tests[:1], others=tests[1:])
    assert found == {"3": f"id, in {tests[0]}"}
    assert overlaps.overlapping(training, same=[training]).keys() == set("12345")


def qrels(folder, name, *rows):
    columns = dict(zip(QRELS.schema.names, zip(*rows, strict=True), strict=True))
    QRELS.write(QRELS.rows(columns), folder / name, Made("test", "test"))
    return folder / name


def test_answers_on_both_sides_are_told(tmp_path):
    """As StackFAQ, which is split by query: the paraphrases of a question share its answer."""
    train = qrels(tmp_path, "train.parquet", ("q", "a", 2), ("r", "b", 1), ("r", "c", 0))
    same = qrels(tmp_path, "same.parquet", ("s", "a", 1), ("t", "a", 1), ("t", "c", 1))
    few = qrels(tmp_path, "few.parquet", *[("s", f"d{n}", 1) for n in range(20)], ("s", "a", 1))
    (told,) = overlaps.shared_passages(train, [same, few], 1)
    assert told.startswith(f"1 of 2 relevant passages of {same} are relevant to training queries")
    (told,) = overlaps.shared_passages(train, [same], 2)
    assert told.startswith("1 of 2"), "b is relevant no longer, a is"
    assert overlaps.shared_passages(train, [same], 3) == []

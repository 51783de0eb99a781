"""Training queries that a test set has too."""

import pytest

from redistil.storage import overlaps
from redistil.storage.lineage import Made
from redistil.storage.tables import QUERIES


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

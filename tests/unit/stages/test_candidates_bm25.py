"""BM25 as a first stage, against Lucene's formula a word at a time."""

import math

import pytest

from redistil.errors import BadTable
from redistil.storage import tables
from redistil.storage.tables import RUN
from tests.made import tiny
from tests.made.first_stages import bm25_run, ranking


def lucene(passages, query, k1, b):
    """Scores of Lucene's BM25, a word at a time."""
    words = {doc: text.split() for doc, text in passages.items()}
    average = sum(map(len, words.values())) / len(words)
    scores = dict.fromkeys(words, 0.0)
    for word in query.split():
        having = sum(word in text for text in words.values())
        idf = math.log(1 + (len(words) - having + 0.5) / (having + 0.5))
        for doc, text in words.items():
            tf = text.count(word)
            scores[doc] += idf * tf / (tf + k1 * (1 - b + b * len(text) / average))
    return scores


def test_bm25_is_lucenes_by_hand(tmp_path):
    passages = {"a": "tensor rank rank", "b": "rank", "c": "graph tensor tensor", "d": "table"}
    out = bm25_run(tmp_path, passages, {"q": "rank tensor", "r": "table"}, k1=1.2, b=0.5)
    rows = RUN.read(out).to_pylist()
    for query_id, query in (("q", "rank tensor"), ("r", "table")):
        wanted = {d: s for d, s in lucene(passages, query, 1.2, 0.5).items() if s > 0}
        got = {row["doc_id"]: row["score"] for row in rows if row["query_id"] == query_id}
        assert got == pytest.approx(wanted, rel=1e-5)


def test_bm25_stems_words(tmp_path):
    out = bm25_run(tmp_path, {"a": "ranking tensors", "b": "graph"}, {"q": "ranked tensor"})
    assert ranking(out) == [("q", "a", 1)]


def test_bm25_ranks_all_ties_at_cut(tmp_path):
    passages = {f"d{i:03}": "graph" for i in range(200)} | {"best": "graph graph"}
    out = bm25_run(tmp_path, passages, {"q": "graph"}, depth=3)
    assert ranking(out) == [("q", "best", 1), ("q", "d198", 3), ("q", "d199", 2)]


def test_bm25_drops_identical_ids(tmp_path):
    passages = {"a": "graph graph", "b": "graph", "c": "tensor"}
    assert ranking(bm25_run(tmp_path, passages, {"a": "graph"}, depth=1)) == [("a", "a", 1)]
    out = bm25_run(tmp_path, passages, {"a": "graph"}, depth=1, drop_identical=True)
    assert ranking(out) == [("a", "b", 1)]


def test_pieces_do_not_change_bm25(tmp_path, monkeypatch):
    """The numbers of words, their frequencies and the mean length are those of all passages."""
    passages = tiny.texts(40, "d") | {"empty": "", "odd": "zebra graphs"}
    queries = tiny.texts(5, "q", 2) | {"z": "zebra graph"}
    whole = RUN.read(bm25_run(tmp_path, passages, queries, depth=50))
    monkeypatch.setattr(tables, "ROW_GROUP", 6)
    assert RUN.read(bm25_run(tmp_path, passages, queries, depth=50)) == whole
    assert {("z", "odd", 1)} < {*ranking(tmp_path / "bm25.parquet")}


def test_passages_without_any_word_are_refused(tmp_path):
    with pytest.raises(BadTable, match="none of 2 passages has a word to be found by"):
        bm25_run(tmp_path, {"a": "", "b": "the"}, {"q": "graph"})


def test_unknown_words_find_no_candidate(tmp_path):
    out = bm25_run(tmp_path, {"a": "graph", "b": "tensor"}, {"q": "zebra", "r": "graph"})
    assert ranking(out) == [("r", "a", 1)]

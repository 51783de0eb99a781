"""Words of BM25: the same on both sides, whatever the script and the form of its letters."""

import unicodedata

import pytest

from redistil.learning.words import words
from tests.made.first_stages import bm25_run, ranking

OTHER = {"x": "graph of tensors", "y": "another passage"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("type 2 diabetes", ["type", "2", "diabetes"]),
        ("vitamin C", ["vitamin", "C"]),
        ("Alzheimer's it\u2019s don't l'eau", ["Alzheimer", "it", "don", "eau"]),
        ("cafe\u0301 5", ["caf\u00e9", "5"]),
        ("東京都の気温", ["東京", "京都", "都の", "の気", "気温"]),
        ("BERTは雨 3月", ["BERT", "は雨", "3", "月"]),
        ("...", []),
    ],
)
def test_words_of_many_scripts(text, wanted):
    assert words(text) == wanted


@pytest.mark.parametrize(("query", "passage"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_both_forms_of_letters_match(tmp_path, query, passage):
    passages = OTHER | {"a": unicodedata.normalize(passage, "éta čaš")}
    out = bm25_run(tmp_path, passages, {"q": unicodedata.normalize(query, "čaš")})
    assert ranking(out) == [("q", "a", 1)]


@pytest.mark.parametrize("query", ["c", "2"])
def test_one_letter_words_count(tmp_path, query):
    out = bm25_run(tmp_path, OTHER | {"a": "Vitamin C and type 2"}, {"q": query})
    assert ranking(out) == [("q", "a", 1)]


def test_japanese_finds_its_passage(tmp_path):
    out = bm25_run(tmp_path, OTHER | {"a": "東京都の気温は高い"}, {"q": "気温"})
    assert ranking(out) == [("q", "a", 1)]


def test_queries_without_a_word_are_counted(tmp_path, caplog):
    queries = {"q": "graph", "r": "the", "s": "?"}
    assert ranking(bm25_run(tmp_path, OTHER, queries)) == [("q", "x", 1)]
    assert "2 of 3 queries have no word but stop words (first: 'r')" in caplog.text

"""Words of BM25: the same on both sides, whatever the script and the form of its letters."""

import unicodedata
from typing import get_args

import pytest

from redistil.learning.words import queries_in_words, tokenizer, words
from redistil.study.candidates import Stemmer
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
        ("ไทย", ["ไท", "ทย"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
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
    assert "2 of 3 queries have no word, or stop words alone (first: 'r')" in caplog.text


INFLECTED = {
    "english": ("ranking", "ranked", "the"),
    "danish": ("husene", "huse", "ikke"),
    "dutch": ("katten", "kat", "het"),
    "french": ("chevaux", "cheval", "les"),
    "german": ("Häuser", "Haus", "und"),
    "italian": ("gatti", "gatto", "della"),
    "norwegian": ("husene", "huset", "ikke"),
    "portuguese": ("gatos", "gato", "para"),
    "russian": ("книги", "книга", "что"),
    "spanish": ("gatos", "gato", "para"),
    "swedish": ("husen", "huset", "inte"),
    "turkish": ("KIZLAR", "kız", "çok"),
}


def test_every_language_is_tried():
    assert {*INFLECTED, "none"} == {*get_args(Stemmer)}


@pytest.mark.parametrize("language", INFLECTED)
def test_a_language_has_its_endings_and_stop_words(language):
    one, other, stop_word = INFLECTED[language]
    first, second = queries_in_words(tokenizer(language), [one, f"{stop_word} {other} c 2"])
    assert second == [*first, "c", "2"]


def test_without_a_stemmer_every_word_counts_as_it_is(tmp_path):
    passages = {"a": "the ranks", "b": "ranking", "c": "graph"}
    out = bm25_run(tmp_path, passages, {"q": "The", "r": "ranks"}, stemmer="none")
    assert ranking(out) == [("q", "a", 1), ("r", "a", 1)]

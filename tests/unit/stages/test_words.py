"""Word vectors from a text file: which words have one, and files that are refused."""

import logging

import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import AutoTokenizer

from redistil.errors import BadSource
from redistil.stages import tokens
from redistil.storage import lineage
from redistil.storage.ragged import Ragged
from redistil.storage.tables import QUERIES
from tests.made import tiny
from tests.made.students import write_words

FILE = "dog 1 2 3\nzebra 7 7 7\ncat -1 0.5 2e-1\n"


def made_of(tmp_path, text):
    (tmp_path / "glove.txt").write_text(text, encoding="utf-8")
    return write_words(tmp_path / "made", tmp_path / "glove.txt", width=3)


def matrix_of(folder):
    return load_file(folder / "model.safetensors")["word_embeddings.weight"]


def test_words_have_the_vectors_of_the_file(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        folder = made_of(tmp_path, FILE)
    vocabulary = AutoTokenizer.from_pretrained(folder).get_vocab()
    matrix = matrix_of(folder)
    assert vocabulary["[PAD]"] == 0 and vocabulary["[UNK]"] == 1
    assert matrix.shape == (len(vocabulary), 3) and "zebra" not in vocabulary
    np.testing.assert_allclose(matrix[vocabulary["dog"]], [1, 2, 3])
    np.testing.assert_allclose(matrix[vocabulary["cat"]], [-1, 0.5, 0.2])
    drawn = matrix[vocabulary["river"]]
    assert np.linalg.norm(drawn) == pytest.approx(1)
    missing = len(vocabulary) - 4
    assert f"{missing} of {missing + 2} words have no vector" in caplog.text
    assert "file" in {made.command for made in lineage.of(folder / "made.json").chain().values()}


def test_frequent_words_come_first(tmp_path):
    vocabulary = AutoTokenizer.from_pretrained(write_words(tmp_path / "made")).get_vocab()
    assert vocabulary["the"] == 2 and vocabulary["blue"] < vocabulary["bird"]


def test_a_header_is_passed_over(tmp_path):
    plain = matrix_of(made_of(tmp_path, FILE))
    (tmp_path / "two").mkdir()
    assert np.array_equal(matrix_of(made_of(tmp_path / "two", "3 3\n" + FILE)), plain)


REFUSED = {
    "width": ("dog 1 2 3\ncat 1 2\n", "line 2: wanted a word and 3 numbers .* got 2: give"),
    "header": ("9 4\ndog 1 2 3 4\n", "line 1: wanted a word and 3 numbers, or a header that says"),
    "twice": ("dog 1 2 3\nowl 1 1 1\ndog 1 2 3\n", "line 3: 'dog' has a vector in line 1 already"),
    "word": ("dog 1 2 three\n", "line 1: the vector of 'dog' is no numbers"),
    "infinite": ("dog 1 2 inf\n", "line 1: the vector of 'dog' is no numbers"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_a_bad_file_is_refused(tmp_path, text, said):
    with pytest.raises(BadSource, match=said):
        made_of(tmp_path, text)
    assert not (tmp_path / "made" / "words").exists()


def test_no_file_is_refused(tmp_path):
    with pytest.raises(BadSource, match="does not exist: put the word vectors there"):
        write_words(tmp_path / "made", tmp_path / "none.txt")
    (tmp_path / "glove.txt").write_bytes(b"\xff\xfe\x00 1 2\n")
    with pytest.raises(BadSource, match="is not UTF-8 text"):
        write_words(tmp_path / "other", tmp_path / "glove.txt")


def test_texts_are_tokenised_in_words(tmp_path):
    folder = write_words(tmp_path / "made")
    rows = {"query_id": ["a", "b"], "text": ["The DOG, sings!", "zebra"]}
    QUERIES.write(QUERIES.rows(rows), tmp_path / "q.parquet", tiny.MADE)
    tokens.tokenize(folder, QUERIES, tmp_path / "q.parquet", tmp_path / "q.arrow", tiny.MADE, 9)
    vocabulary = AutoTokenizer.from_pretrained(folder).get_vocab()
    found = Ragged(tmp_path / "q.arrow")
    wanted = [vocabulary["the"], vocabulary["dog"], 1, vocabulary["sings"], 1]
    assert found[0].tolist() == wanted and found[1].tolist() == [1]

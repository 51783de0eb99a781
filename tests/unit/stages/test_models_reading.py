"""Inputs of a training: triples or lists, each pair with its teacher's score, or none at all."""

import numpy as np
import pytest

from redistil.errors import BadTable, Stale
from redistil.stages.models.reading import TokenFiles, read_examples
from redistil.storage.lineage import Made
from redistil.storage.tables import LISTS, TEACHER_SCORES, TRIPLES
from redistil.study.recipes import recipe as typed
from tests.made import tiny
from tests.made.trained import DISTILLING, train, write_house


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return write_house(tmp_path_factory.mktemp("house"))


@pytest.mark.parametrize("negatives", ["lists", "triples"])
@pytest.mark.parametrize("teacher", ["teacher", None])
def test_triples_and_lists_train_with_labels_and_with_scores(house, tmp_path, negatives, teacher):
    options = DISTILLING if teacher else {}
    train(house, tmp_path / "m", negatives, teacher, **options)


def test_examples_carry_the_teachers_score_of_their_own_pair(house):
    tokens = TokenFiles.of(house / "q.arrow", house / "d.arrow")
    scores = TEACHER_SCORES.read(house / "teacher.parquet").to_pylist()
    known = {(row["query_id"], row["doc_id"]): row["score"] for row in scores}
    for negatives in ("lists", "triples"):
        paths = house / f"{negatives}.parquet", house / "teacher.parquet"
        found = read_examples(tokens, *paths, typed(tiny.recipe(steps=9)))
        for row, start in enumerate(found.offsets[:-1]):
            for place in range(start, found.offsets[row + 1]):
                pair = f"q{found.queries[row]}", f"d{found.passages[place]}"
                assert found.teacher[place] == np.float32(known[pair])


@pytest.mark.parametrize("negatives", ["lists", "triples"])
@pytest.mark.parametrize("teacher", ["teacher.parquet", None])
def test_a_short_training_reads_what_it_shows_and_shows_the_same(house, negatives, teacher):
    tokens = TokenFiles.of(house / "q.arrow", house / "d.arrow")
    paths = house / f"{negatives}.parquet", house / teacher if teacher else None
    few = read_examples(tokens, *paths, typed(tiny.recipe(steps=1)))
    every = read_examples(tokens, *paths, typed(tiny.recipe(steps=9)))
    assert len(few.queries) == 2 < len(every.queries) == every.size == few.size
    ours, theirs = (each.batch(2, 3, 1, 0) for each in (few, every))
    for name in ("queries", "passages", "targets", "mask"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name


@pytest.mark.parametrize(("teacher", "missing"), [("short", 2), ("other", 20)])
def test_a_pair_that_the_teacher_did_not_score_is_refused(house, tmp_path, teacher, missing):
    with pytest.raises(BadTable, match=f"has no score for {missing} of 20 pairs of .*lists"):
        train(house, tmp_path / "m", scores=teacher, **DISTILLING)
    assert not list((tmp_path / "m").iterdir())


def test_neither_triples_nor_lists_are_refused(house, tmp_path):
    with pytest.raises(Stale, match="wants the negatives"):
        train(house, tmp_path / "m", pairs="teacher")
    with pytest.raises(BadTable, match="is not a table `triples`"):
        train(house, tmp_path / "m", pairs="teacher", negatives="wise")


@pytest.mark.parametrize("table", [LISTS, TRIPLES], ids=["lists", "triples"])
def test_an_empty_table_is_refused(house, tmp_path, table):
    table.write(table.schema.empty_table(), tmp_path / "none.parquet", Made("mine", "mined"))
    tokens = TokenFiles.of(house / "q.arrow", house / "d.arrow")
    with pytest.raises(BadTable, match=f"has no {table.name.rstrip('s')} to train on"):
        read_examples(tokens, tmp_path / "none.parquet", None, typed(tiny.recipe()))

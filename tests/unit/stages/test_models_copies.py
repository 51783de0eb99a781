"""Negatives that read as a positive does: no negatives, and counted."""

import numpy as np
import pytest

from redistil.stages.models import copies
from redistil.stages.models.reading import TokenFiles, read_examples
from redistil.storage import ragged
from redistil.storage.ragged import Ragged
from redistil.storage.tables import LISTS
from redistil.study.recipes import recipe as typed
from tests.made import tiny
from tests.made.trained import write, write_house

TOKENS = [[1, 2, 3], [1, 2, 4], [1, 3, 3], [], [], [1, 2, 3]]


@pytest.fixture
def tokens(tmp_path):
    with ragged.writer(tmp_path / "d.arrow", tiny.MADE) as append:
        append([f"d{n}" for n in range(len(TOKENS))], TOKENS)
    return Ragged(tmp_path / "d.arrow")


def graded(tokens, cap, *pools):
    """Return the grades of pools of (row, grade), one after the other."""
    flat = np.array([pair for pool in pools for pair in pool])
    sizes = np.array([len(pool) for pool in pools])
    return copies.graded(tokens, cap, sizes, flat[:, 0], flat[:, 1].astype(np.int32)).tolist()


@pytest.mark.parametrize(("cap", "wanted"), [(3, [2, 0, 0, 2]), (2, [2, 2, 0, 2]), (1, [2] * 4)])
def test_copies_have_the_grade_of_their_positive(tokens, cap, wanted):
    assert graded(tokens, cap, [(0, 2), (1, 0), (2, 0), (5, 0)]) == wanted


def test_copies_of_another_pools_positive_are_negatives(tokens):
    assert graded(tokens, 3, [(0, 1), (2, 0)], [(2, 1), (5, 0)]) == [1, 0, 1, 0]


def test_passages_without_tokens_are_no_copies(tokens):
    assert graded(tokens, 3, [(3, 1), (4, 0)]) == [1, 0]
    assert graded(tokens, 3, [(1, 0), (2, 0)]) == [0, 0], "no positive at all"


@pytest.mark.parametrize(("cap", "wanted"), [(3, [0, 2, 0, 1]), (2, [0, 2, 0, 0])])
def test_of_copies_the_first_stands_for_all(tokens, cap, wanted):
    assert copies.firsts(tokens, cap, np.array([5, 2, 0, 1])).tolist() == wanted


def test_copies_of_a_positive_are_no_in_batch_negatives(tmp_path):
    house = write_house(tmp_path)
    texts = tiny.texts(12, "d", 8) | {"d3": tiny.texts(12, "d", 8)["d0"]}
    tiny.tokens(house / "same.arrow", house / "bert", texts)
    lists = [("q0", ["d0", "d1"], [1, 0]), ("q1", ["d2", "d3"], [1, 0])]
    write(house / "two.parquet", LISTS, lists, "mined")
    files = TokenFiles.of(house / "q.arrow", house / "same.arrow")
    recipe = typed(tiny.recipe() | {"in_batch": True, "batch": 2})
    batch = read_examples(files, house / "two.parquet", None, recipe).batch(2, 2, 1, 0)
    shown = {q: set(batch.passages[batch.queries == q].tolist()) for q in set(batch.queries)}
    assert sorted(map(sorted, shown.values())) == [[0, 1, 2], [0, 1, 2]]
    assert batch.targets.sum() == 2


def test_a_training_counts_its_copies(tmp_path, caplog):
    house = write_house(tmp_path)
    texts = tiny.texts(12, "d", 8) | {"d1": tiny.texts(12, "d", 8)["d0"]}
    tiny.tokens(house / "same.arrow", house / "bert", texts)
    write(house / "one.parquet", LISTS, [("q0", ["d0", "d1", "d2"], [1, 0, 0])], "mined")
    files, recipe = TokenFiles.of(house / "q.arrow", house / "same.arrow"), typed(tiny.recipe())
    found = read_examples(files, house / "one.parquet", None, recipe)
    assert found.relevance.tolist() == [1, 1, 0]
    assert "1 of 3 passages have the first" in caplog.text
    assert not set(found.batch(1, 3, 1, 0).passages[1:]) & {0, 1}, "neither is a negative"

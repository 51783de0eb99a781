"""Scores of many pairs, in any order and batch, and a step's gradient in parts."""

from pathlib import Path

import numpy as np
import pytest
import torch

from redistil import lineage, ragged, scoring
from redistil.ragged import Ragged
from redistil.scoring import mean_scores, score_pairs
from redistil.students.cat import Cat
from tests.unit.checkpoints import PAIRS, close, ids_of, quietly, scores, student_on, write_families


@pytest.fixture(scope="module", autouse=True)
def quiet():
    with quietly():
        yield


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    return write_families(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def files(checkpoints, tmp_path) -> tuple[Cat, Ragged, Ragged]:
    """A student, and the token files of the queries and passages of PAIRS."""
    student = student_on(checkpoints["roberta"])
    for side, texts in zip(("q", "p"), zip(*PAIRS, strict=True), strict=True):
        with ragged.writer(tmp_path / f"{side}.arrow", lineage.make("t", side, {}, "", [])) as add:
            add(
                [str(i) for i in range(len(texts))],
                [row.tolist() for row in ids_of(student, texts)],
            )
    return student, Ragged(tmp_path / "q.arrow"), Ragged(tmp_path / "p.arrow")


ROWS = np.array([4, 0, 0, 3, 1, 2, 4]), np.array([4, 0, 1, 3, 1, 2, 0])


def test_scores_of_many_pairs_are_in_the_order_given(files, monkeypatch):
    student, queries, passages = files
    pairs = [(PAIRS[q][0], PAIRS[p][1]) for q, p in zip(*ROWS, strict=True)]
    wanted = scores(student, pairs)
    for budget, window in ((4096, 1 << 16), (40, 3), (1, 1)):
        monkeypatch.setitem(scoring.BUDGET, "cpu", budget)
        monkeypatch.setattr(scoring, "WINDOW", window)
        got = score_pairs(student.train(), queries, passages, ROWS, "float32")
        assert got.dtype == np.float32
        close(torch.from_numpy(got), wanted)


def test_no_pair_has_no_score(files):
    none = np.array([], np.int64)
    assert score_pairs(*files, (none, none), "float32").shape == (0,)


def test_half_precision_is_near(files):
    exact, near = (score_pairs(*files, ROWS, name) for name in ("float32", "bfloat16"))
    assert near.dtype == np.float32
    assert 0 < np.abs(exact - near).max() < 0.1


def test_an_ensemble_is_the_plain_mean_of_logits(checkpoints, files):
    first, queries, passages = files
    second = student_on(checkpoints["roberta"], seed=2)
    alone = [score_pairs(s, queries, passages, ROWS, "float32") for s in (first, second)]
    assert np.abs(alone[0] - alone[1]).max() > 0.1
    members = [(student, queries, passages) for student in (first, second)]
    both = mean_scores(members, [ROWS] * 2, "float32")
    np.testing.assert_allclose(both, sum(alone) / 2, atol=1e-6)
    np.testing.assert_array_equal(mean_scores([members[0]] * 2, [ROWS] * 2, "float32"), alone[0])

"""Scores of several members as one: standardised by query, and their mean."""

import numpy as np
import pyarrow as pa
import pytest

from redistil.learning.ensembles import Scored, mean, standardised

QUERIES = pa.chunked_array([["q", "q", "q", "q", "r", "r"]])
SCORES = np.array([[1, 3, 5, 7, 4, 4], [0.1, 0.1, 0.1, 0.1, -2, 6]], np.float32)
SPREAD = 5**0.5  # of 1, 3, 5, 7: the mean of 9, 1, 1, 9 is 5


def test_each_query_is_standardised_by_itself():
    first = [-3 / SPREAD, -1 / SPREAD, 1 / SPREAD, 3 / SPREAD, 0, 0]
    second = [0, 0, 0, 0, -1, 1]
    np.testing.assert_allclose(standardised(SCORES, QUERIES), [first, second], rtol=1e-12)


def test_scores_that_do_not_vary_become_zero():
    flat = standardised(np.full((1, 7), 0.1, np.float32), pa.chunked_array([["q"] * 3 + ["r"] * 4]))
    assert flat.tolist() == [[0.0] * 7]


@pytest.mark.parametrize("scale", [0.001, 50.0])
def test_a_members_scale_does_not_count(scale):
    scaled = np.stack([SCORES[0], SCORES[1] * np.float32(scale) + 3])
    plain, other = (mean(Scored(pairs(), s), "query") for s in (SCORES, scaled))
    np.testing.assert_allclose(plain, other, atol=1e-4)
    assert (
        np.abs(mean(Scored(pairs(), scaled), None) - mean(Scored(pairs(), SCORES), None)).max() > 1
    )


def test_the_mean_is_plain_unless_asked():
    assert mean(Scored(pairs(), SCORES), None).tolist() == SCORES.mean(0).tolist()
    wanted = standardised(SCORES, QUERIES).mean(0).astype(np.float32)
    assert mean(Scored(pairs(), SCORES), "query").tolist() == wanted.tolist()


def pairs():
    return pa.table({"query_id": QUERIES, "doc_id": pa.chunked_array([list("abcdab")])})

"""Variances of a group of several datasets, and what a family can find, worked by hand."""

import numpy as np
import pytest
from scipy import stats

from redistil.seeds import generator
from redistil.stages.report.numbers import inference, statistics
from redistil.stages.report.numbers.inference import Cell, Scope

ONE = np.array([[0.0, 0.4], [0.2, 1.0]])  # seeds in rows, queries in columns
OTHER = np.array([[0.0, 0.0], [0.0, 0.4]])
LEVEL = 0.05


def test_queries_of_two_datasets_by_hand():
    one = [np.array([[0.1, 0.5]]), np.array([[0.0, 0.0, 0.0, 0.4]])]
    zeros = [np.zeros((1, 2)), np.zeros((1, 4))]
    scope = Scope("group", [Cell("one", one), Cell("zeros", zeros)])
    estimate = scope.estimate(["one"], ["zeros"])
    # variances 0.08 over 2 queries and 0.04 over 4; a mean of two datasets has a quarter of the sum
    variances = np.array([0.08 / 2, 0.04 / 4]) / 4
    assert float(estimate.queries.variance) == pytest.approx(variances.sum())
    degrees = variances.sum() ** 2 / (variances**2 / [1, 3]).sum()
    assert float(estimate.queries.degrees) == pytest.approx(degrees)


def test_luck_of_two_datasets_by_hand():
    cells = [Cell("one", [ONE, ONE], "student"), Cell("other", [OTHER, OTHER], "student")]
    estimate = Scope("group", cells).estimate(["one"], ["other"])
    # seeds' means as on one dataset: variances 0.08 and 0.02; luck 0.02 each on a dataset
    gross, luck = (0.08 + 0.02) / 2, (0.02 + 0.02) / 2
    assert float(estimate.seeds.variance) == pytest.approx(gross - luck / 2)


def three_losses() -> list[inference.Comparison]:
    """The comparisons of three losses of a student whose seeds are alike: paired t-tests."""
    cells = []
    for name in "abc":
        values = generator(7, name).normal(0, 0.1, (1, 40))
        cells.append(Cell(name, [np.repeat(values, 2, axis=0)], "student"))
    return inference.between_losses(Scope("group", cells))


def test_the_smallest_detectable_difference_is_that_of_the_hardest_step():
    compared = three_losses()
    for comparison, record in zip(compared, inference.judge(compared, LEVEL, 0.01), strict=True):
        error = float(comparison.estimate.error)
        quantiles = stats.t.ppf(1 - LEVEL / len(compared) / 2, 39) + stats.t.ppf(0.8, 39)
        assert record.detectable == pytest.approx(error * quantiles)


def test_no_detectable_difference_is_above_the_largest_that_there_is():
    cells = [Cell("one", [np.array([[0.9]])], "s"), Cell("other", [np.array([[0.1]])], "s")]
    (record,) = inference.judge(inference.between_losses(Scope("group", cells)), LEVEL, 0.01)
    assert record.detectable == 1


def test_equivalence_is_offered_where_the_interval_is_narrower_than_the_margin():
    first = three_losses()[:1]
    half_width = float(first[0].estimate.error) * stats.t.ppf(1 - LEVEL / 2, 39)
    (refused,) = inference.judge(first, LEVEL, 0.99 * half_width)
    (offered,) = inference.judge(first, LEVEL, 1.01 * half_width)
    assert refused.p_equivalence_holm is None and offered.p_equivalence_holm is not None


def test_equal_on_paper_is_no_win():
    thirds = np.array([0.1, 0.2, 0.3])
    leads = np.array([thirds.mean() - thirds[::-1].mean(), sum(thirds) / 3 - 0.2, 0.01, -0.01])
    assert leads[1] != 0, "rounding makes a difference here"
    assert statistics.wins(leads) == 1 and statistics.wins(-leads) == 1

"""The statistics of the report: by hand, against scipy, and by simulation with a known truth."""

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from redistil.seeds import generator
from redistil.stages.report.numbers import statistics

vectors = hnp.arrays(float, st.integers(3, 30), elements=st.floats(-1, 1, width=16))


def draws(*shape: int, name: str = "draws", scale: float = 1.0) -> np.ndarray:
    return generator(7, name).normal(0, scale, shape)


def test_a_data_set_weighs_the_same_whatever_its_size():
    assert statistics.group_mean([np.zeros(1000), np.ones(2)]) == 0.5


def test_spread_is_that_of_the_plotted_aggregate():
    test, away = np.array([0.4, 0.6]), np.array([0.6, 0.4])  # each moves, their mean does not
    assert statistics.spread((test + away) / 2) == 0
    assert statistics.spread(np.array([1.0, 2.0, 6.0])) == pytest.approx(7**0.5)


def test_one_seed_has_no_spread():
    assert statistics.spread(np.array([0.4])) is None


def test_the_original_studys_spread_is_the_root_of_the_mean_variance_of_its_sets():
    sets = [np.array([[0.4], [0.6]]), np.array([[0.6], [0.4]])]  # [seeds, queries]
    assert statistics.spread_of_sets(sets) == pytest.approx(0.02**0.5)  # though the mean stands
    assert statistics.spread_of_sets([np.ones((1, 9))]) is None


def test_the_effect_is_in_standard_deviations_of_a_query():
    values = np.array([1.0, 2.0, 3.0])
    assert statistics.effect_size([values]) == 2
    assert statistics.effect_size([values, values * 3]) == pytest.approx(4 / 5**0.5)
    assert statistics.effect_size([np.ones(5)]) == statistics.effect_size([np.ones(1)]) == 0


def test_randomisation_agrees_with_the_exact_test_of_scipy():
    rows = draws(3, 9) + [[0.0], [0.5], [1.0]]
    ours = statistics.paired_randomisation([rows], 20_000, generator(1, "signs"))
    for row, p in zip(rows, ours, strict=True):
        exact = stats.permutation_test(
            (row, np.zeros(9)),
            lambda a, b, axis: np.mean(a - b, axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
        )
        assert p == pytest.approx(exact.pvalue, abs=0.012)


def test_randomisation_by_hand():
    """Two queries with one sign each: half of the four signings reach the mean seen."""
    p = statistics.paired_randomisation([np.array([[1.0, 1.0]])], 40_000, generator(1, "hand"))
    assert p[0] == pytest.approx(1 / 2, abs=0.01)


def test_randomisation_is_never_certain_and_repeats_itself():
    strata = [np.ones((1, 50)), np.ones((1, 20))]
    first, second = (
        statistics.paired_randomisation(strata, 99, generator(1, "again")) for _ in range(2)
    )
    assert first == second == 1 / 100


def test_no_difference_reaches_itself_in_every_round():
    p = statistics.paired_randomisation([np.zeros((2, 8))], 50, generator(1, "x"))
    assert p.tolist() == [1, 1]


def test_blocks_of_rounds_leave_none_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(statistics, "_AT_ONCE", 60)  # seven rounds of eight queries at once
    assert list(statistics.at_once(20, 8)) == [7, 7, 6]
    assert statistics.paired_randomisation([np.ones((1, 30))], 20, generator(1, "x")) == 1 / 21

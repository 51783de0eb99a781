"""The statistics of the report: by hand, against scipy, and by simulation with a known truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from redistil.seeds import generator
from redistil.stages.report.numbers import statistics
from redistil.stages.report.numbers.statistics import (
    BETTER,
    EQUIVALENT,
    NOT_SHOWN,
    UNDECIDED,
    WORSE,
    Part,
    Uncertainty,
)

vectors = hnp.arrays(float, st.integers(3, 30), elements=st.floats(-1, 1, width=16))


def draws(*shape: int, name: str = "draws", scale: float = 1.0) -> np.ndarray:
    return generator(7, name).normal(0, scale, shape)


# --- means and spread -------------------------------------------------------------------------


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


# --- uncertainty over queries and seeds --------------------------------------------------------


def test_one_seed_is_the_standard_error_over_queries():
    values = draws(1, 30)
    of = statistics.uncertainty([[values]])
    assert of.variance == pytest.approx(values.var(ddof=1) / 30)
    assert (of.queries.degrees, of.seeds.variance) == (pytest.approx(29), 0)
    assert of.p(values.mean()) == pytest.approx(stats.ttest_1samp(values[0], 0).pvalue)


def test_seeds_that_move_every_query_alike_are_the_standard_error_over_seeds():
    values = np.array([[0.1], [0.2], [0.6]]) + np.zeros(40)
    of = statistics.uncertainty([[values]])
    assert of.variance == of.seeds.variance == pytest.approx(np.var([0.1, 0.2, 0.6], ddof=1) / 3)
    low, high = stats.ttest_1samp([0.1, 0.2, 0.6], 0).confidence_interval(0.9)
    assert 0.3 - of.half_width(0.9) == pytest.approx(low)
    assert 0.3 + of.half_width(0.9) == pytest.approx(high)


def test_half_widths_add_in_quadrature():
    of = Uncertainty(Part(4.0, 9.0), Part(1.0, 1.0))
    wanted = (4 * stats.t.ppf(0.95, 9) ** 2 + stats.t.ppf(0.95, 1) ** 2) ** 0.5
    assert of.half_width(0.9) == pytest.approx(wanted)


@given(st.floats(-5, 5), st.floats(0.01, 4), st.floats(0, 4), st.integers(1, 9))
def test_p_is_where_the_interval_just_reaches(away: float, one: float, other: float, degrees: int):
    of = Uncertainty(Part(one, 40.0), Part(other, float(degrees)))
    p = of.p(away)
    assert 0 < p <= 1
    if 1e-11 < p < 1:
        assert of.half_width(1 - p) == pytest.approx(abs(away), rel=1e-6)


def test_noise_of_seeds_on_queries_is_counted_once():
    """Over many draws the estimate is the true variance, of which each part is known."""
    found = []
    for trial in range(400):
        rng = generator(trial, "anova")
        values = rng.normal(0, 1.5, (4, 1)) + rng.normal(0, 1, 20) + rng.normal(0, 4, (4, 20))
        found.append(statistics.uncertainty([[values]]).variance)
    true = 2.25 / 4 + 1 / 20 + 16 / 80
    assert np.mean(found) == pytest.approx(true, rel=0.08)  # counted twice it is a quarter more


def test_members_and_data_sets_weigh_alike():
    one, other = draws(2, 30, name="one"), draws(2, 50, name="other")
    apart = [statistics.uncertainty([[values]]) for values in (one, other)]
    together = statistics.uncertainty([[one, other]])
    wanted = sum(of.queries.variance for of in apart) / 4
    assert together.queries.variance == pytest.approx(wanted)
    seeds = np.array([[0.0], [1.0]]) + np.zeros(30)
    alone, twice = (statistics.uncertainty(members) for members in ([[seeds]], [[seeds], [seeds]]))
    assert twice.seeds.variance == pytest.approx(alone.seeds.variance / 2)  # taken for others
    assert (alone.seeds.degrees, twice.seeds.degrees) == (1, 2)


def test_a_single_query_says_nothing():
    of = statistics.uncertainty([[np.array([[0.5], [0.6]]), draws(2, 9)]])
    assert of.variance == np.inf and of.p(0.3) == 1
    assert statistics.interval(np.array([0.1, 0.2]), 0.15, of, 0.95, (0, 1)) == (0, 1)
    assert statistics.equivalence(0.0, of, 0.005) == 0.5


# --- equivalence ------------------------------------------------------------------------------


@given(vectors, st.floats(0.01, 1))
def test_equivalence_is_the_larger_of_two_one_sided_t_tests(values: np.ndarray, margin: float):
    if values.std() < 1e-6:
        return
    of = statistics.uncertainty([[values[None]]])
    above = stats.ttest_1samp(values, margin, alternative="less").pvalue
    below = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    p = statistics.equivalence(float(values.mean()), of, margin)
    assert p == pytest.approx(max(above, below), abs=1e-9)


def test_little_data_shows_no_equivalence_however_small_the_difference():
    few, many = draws(1, 10, scale=0.1), draws(1, 4000, scale=0.1)
    for values, word in ((few, NOT_SHOWN), (many, EQUIVALENT)):
        values = values - values.mean()
        p = statistics.equivalence(0.0, statistics.uncertainty([[values]]), 0.02)
        assert statistics.claim(p, 0.05) == word


def test_a_certain_difference_is_within_the_margin_or_not():
    certain = Uncertainty(Part(0.0, 9.0), Part(0.0, 1.0))
    assert statistics.equivalence(0.004, certain, 0.005) == 0
    assert statistics.equivalence(0.006, certain, 0.005) == 1


def test_the_effect_is_in_standard_deviations_of_a_query():
    values = np.array([1.0, 2.0, 3.0])
    assert statistics.effect_size([values]) == 2
    assert statistics.effect_size([values, values * 3]) == pytest.approx(4 / 5**0.5)
    assert statistics.effect_size([np.ones(5)]) == statistics.effect_size([np.ones(1)]) == 0


# --- the paired t-test ------------------------------------------------------------------------


@given(vectors)
def test_one_data_set_is_the_t_test_of_scipy(differences: np.ndarray):
    if differences.std() < 1e-6:
        return
    ours = statistics.paired_t([differences])
    theirs = stats.ttest_rel(differences, np.zeros(len(differences)))
    assert (ours.t, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert ours.degrees == pytest.approx(len(differences) - 1)


def test_two_data_sets_by_hand():
    got = statistics.paired_t([np.array([0.0, 0.2]), np.array([0.3, 0.4, 0.5])])
    variances = np.array([0.02 / 2, 0.01 / 3]) / 4
    assert got.difference == pytest.approx(0.25)
    assert got.t == pytest.approx(0.25 / variances.sum() ** 0.5)
    assert got.degrees == pytest.approx(variances.sum() ** 2 / (variances**2 / [1, 2]).sum())
    assert got.p == pytest.approx(2 * stats.t.sf(got.t, got.degrees))


def test_no_difference_at_all_is_no_evidence():
    assert statistics.paired_t([np.zeros(5)]).p == 1


def test_the_same_difference_everywhere_is_certain():
    assert statistics.paired_t([np.full(5, 0.5), np.full(3, 0.25)]).p == 0


def test_one_query_cannot_say_how_much_it_varies():
    assert statistics.paired_t([np.array([0.9]), np.array([0.8, 0.9, 0.85])]).p == 1


@given(vectors)
def test_swapping_the_systems_changes_the_sign_alone(differences: np.ndarray):
    ours, swapped = statistics.paired_t([differences]), statistics.paired_t([-differences])
    assert (swapped.difference, swapped.p) == pytest.approx((-ours.difference, ours.p))


# --- the randomisation test -------------------------------------------------------------------


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
    assert statistics.resample_queries([draws(2, 8)], 20, generator(1, "x")).shape == (2, 20)
    assert statistics.paired_randomisation([np.ones((1, 30))], 20, generator(1, "x")) == 1 / 21


# --- Holm -------------------------------------------------------------------------------------


def test_holm_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.5, 0.6]) == [1.0, 1.0]
    assert statistics.holm([0.2]) == [0.2]
    assert statistics.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_corrects_upwards_within_bonferroni_and_keeps_the_order(p: list[float]):
    corrected = np.array(statistics.holm(p))
    assert (corrected >= np.array(p)).all()
    assert (corrected <= np.minimum(1, len(p) * np.array(p)) + 1e-12).all()
    order = np.argsort(p)
    assert (np.diff(corrected[order]) >= 0).all()
    assert corrected[order[0]] == pytest.approx(min(1, len(p) * min(p)))


# --- verdicts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("difference", "p", "word"),
    [
        (0.1, 0.049, BETTER),
        (-0.1, 0.049, WORSE),
        (0.1, 0.05, UNDECIDED),
        (-0.1, 1.0, UNDECIDED),
        (0.0, 0.0, UNDECIDED),
    ],
)
def test_a_verdict_needs_a_p_below_alpha_and_a_direction(difference: float, p: float, word: str):
    assert statistics.verdict(difference, p, 0.05) == word


# --- the bootstrap ----------------------------------------------------------------------------


def interval(values: np.ndarray, rounds: int = 400, level: float = 0.95) -> tuple[float, float]:
    """The report's interval of [seeds, queries]."""
    of = statistics.uncertainty([[values]])
    means = statistics.resample_queries([values], rounds, generator(1, "queries"))
    samples = statistics.resample_seeds(means, of, generator(1, "seeds"))
    return statistics.interval(samples, float(values.mean()), of, level, (-9, 9))


def test_a_constant_has_no_interval():
    assert interval(np.full((2, 5), 0.3)) == pytest.approx((0.3, 0.3))


def test_all_rows_see_the_same_queries():
    rows = draws(1, 30)
    samples = statistics.resample_queries([np.vstack([rows, rows + 0.25])], 200, generator(1, "x"))
    assert samples[1] - samples[0] == pytest.approx(0.25)


def test_resampling_queries_agrees_with_scipy():
    values = draws(60)
    ours = statistics.resample_queries([values[None]], 20_000, generator(1, "x"))[0]
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=generator(2, "y")
    ).confidence_interval
    found = np.quantile(ours, [0.025, 0.975])
    assert found == pytest.approx((theirs.low, theirs.high), abs=0.012)


def test_data_sets_are_drawn_apart_and_weigh_alike():
    strata = [draws(1, 400, name="a"), draws(1, 10, name="b")]
    samples = statistics.resample_queries(strata, 20_000, generator(1, "x"))[0]
    variances = [values.var() / values.size for values in strata]
    assert samples.std() == pytest.approx(np.sqrt(sum(variances)) / 2, rel=0.03)


def test_a_single_seed_adds_nothing():
    means, of = draws(1, 50), Uncertainty(Part(1.0, 9.0), Part(0.0, 1.0))
    assert (statistics.resample_seeds(means, of, generator(1, "x")) == means[0]).all()


def test_seeds_widen_the_samples_by_the_variance_they_show():
    of = Uncertainty(Part(1.0, 9.0), Part(0.5, 1.0))
    drawn = statistics.resample_seeds(np.ones((2, 20_000)), of, generator(1, "x"))
    assert (drawn.mean(), drawn.var()) == pytest.approx((1, 0.5), abs=0.02)


def test_an_interval_of_many_queries_is_that_of_the_t_test_and_leans_as_the_values_do():
    values = draws(1, 400)
    theirs = stats.ttest_1samp(values[0], 0).confidence_interval(0.95)
    assert interval(values, 20_000) == pytest.approx((theirs.low, theirs.high), abs=0.006)
    low, high = interval(draws(1, 30, name="skew") ** 4, 20_000)
    centre = float((draws(1, 30, name="skew") ** 4).mean())
    assert high - centre > 1.1 * (centre - low)


def test_an_interval_stays_within_what_is_possible():
    samples = generator(1, "x").normal(0.05, 0.1, 500)
    of = Uncertainty(Part(0.01, 9.0), Part(0.0, 1.0))
    assert statistics.interval(samples, 0.05, of, 0.95, (0, 1))[0] == 0


# --- simulation: the truth is known -----------------------------------------------------------


def test_false_positives_are_as_rare_as_alpha_says():
    """Seldom more than 5 % +- 3 standard errors of 2000 tests without any true difference."""
    trials, queries = 2000, (20, 45)
    noise = [draws(trials, n, name=f"null {n}") ** 3 for n in queries]  # far from normal
    t_tests = [statistics.paired_t([s[i] for s in noise]).p for i in range(trials)]
    signed = statistics.paired_randomisation(noise, 400, generator(1, "null"))
    for p in (np.array(t_tests), signed):
        assert 0.025 < (p < 0.05).mean() < 0.065


def test_holm_keeps_the_whole_family_at_alpha():
    families = draws(400, 12, 30, name="families")
    wrong = [
        min(statistics.holm([statistics.paired_t([cell]).p for cell in family])) < 0.05
        for family in families
    ]
    assert np.mean(wrong) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_intervals_cover_the_truth_as_often_as_they_say(seeds: int):
    """At least 95 % less 3 standard errors of 400 trials; benchmarks/coverage.py has the whole."""
    trials, covered = 400, 0
    for trial in range(trials):
        rng = generator(trial, "coverage", seeds)
        between = rng.normal(0.4, 0.02 if seeds > 1 else 0.0, (seeds, 1))
        values = between + rng.normal(0, 0.2, 60) + rng.normal(0, 0.05, (seeds, 60))
        low, high = interval(values, rounds=200)
        covered += low <= 0.4 <= high
    assert covered / trials > 0.95 - 3 * (0.95 * 0.05 / trials) ** 0.5


def test_retrained_models_that_are_equal_seldom_differ():
    """`p_seeds` under two trainings of one loss; the test over queries alone finds a difference."""
    trials, given, retrained = 400, 0, 0
    for trial in range(trials):
        rng = generator(trial, "retrained")
        noise = rng.normal(0, 0.2, (3, 50)) + rng.normal(0, 0.03, (3, 1))
        given += statistics.paired_t([noise.mean(axis=0)]).p < 0.05
        retrained += statistics.uncertainty([[noise]]).p(float(noise.mean())) < 0.05
    bound = 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5
    assert retrained / trials < bound < given / trials


def test_equivalence_is_seldom_claimed_of_systems_a_margin_apart():
    trials, claimed, power = 1000, 0, 0
    for trial in range(trials):
        noise = generator(trial, "margin").normal(0, 0.02, (4, 60))
        of = statistics.uncertainty([[noise]])
        for true in (0.01, 0.0):
            p = statistics.equivalence(float(noise.mean()) + true, of, 0.01)
            found = statistics.claim(p, 0.05) == EQUIVALENT
            claimed, power = (claimed + found, power) if true else (claimed, power + found)
    assert 0.02 < claimed / trials < 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5
    assert power / trials > 0.9

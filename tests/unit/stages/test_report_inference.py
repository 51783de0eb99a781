"""Comparisons over queries and seeds: by hand, at their limits, and by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from redistil.seeds import generator
from redistil.stages.report.numbers import estimates, inference
from redistil.stages.report.numbers.inference import (
    BASELINES,
    BETTER,
    EQUIVALENT,
    LOSSES,
    ONE_TRAINING,
    QUERIES,
    QUERIES_AND_SEEDS,
    UNDECIDED,
    WORSE,
    Cell,
    Comparison,
    Record,
    Scope,
)


def draws(*shape: int, name: str = "draws", scale: float = 1.0) -> np.ndarray:
    return generator(7, name).normal(0, scale, shape)


def cells(losses: int = 3, seeds: int = 2, queries: tuple[int, ...] = (30, 20)) -> list[Cell]:
    """Cells of one student, and a first stage."""
    found = []
    for loss in range(losses):
        strata = []
        for dataset, size in enumerate(queries):
            name = f"{loss} {dataset}"
            worth = draws(seeds, 1, name=f"worth {name}", scale=0.05)
            strata.append(0.4 + 0.2 * draws(seeds, size, name=name) + worth)
        found.append(Cell(f"loss {loss}", strata, "student"))
    first = [0.4 + 0.2 * draws(1, size, name=f"first {size}") for size in queries]
    return [*found, Cell("first stage", first)]


def judged(one: list[np.ndarray], other: list[np.ndarray], margin: float = 0.01) -> Record:
    """The record of two losses of one student, which are all that it has."""
    scope = Scope("group", [Cell("one", one, "student"), Cell("other", other, "student")])
    return inference.judge(inference.between_losses(scope), 0.05, margin)[0]


# --- by hand ----------------------------------------------------------------------------------


ONE = np.array([[0.0, 0.4], [0.2, 1.0]])  # seeds in rows, queries in columns
OTHER = np.array([[0.0, 0.0], [0.0, 0.4]])


def test_two_seeds_and_two_queries_by_hand():
    scope = Scope("group", [Cell("one", [ONE], "student"), Cell("other", [OTHER], "student")])
    estimate = scope.estimate(["one"], ["other"])
    # queries' means 0.1, 0.7 less 0.0, 0.2: differences 0.1 and 0.5 of variance 0.08
    assert float(estimate.value) == pytest.approx(0.3)
    assert float(estimate.queries.variance) == pytest.approx(0.08 / 2)
    # seeds' means 0.2, 0.6 and 0.0, 0.2: variances 0.08 and 0.02, over 2 seeds
    # luck: of one, residuals are +-0.1: 0.04 / 1 / 2 queries; of the other likewise 0.02 + 0.02
    gross, luck = (0.08 + 0.02) / 2, (0.04 / 2 + 0.04 / 2) / 2
    assert float(estimate.seeds.variance) == pytest.approx(gross - luck)
    # moderated: a pool of 0.05 weighs 1, and so does a cell's own variance
    one, other = (0.05 + 0.08) / 2, (0.05 + 0.02) / 2
    degrees = (one + other) ** 2 / (one**2 + other**2)
    assert float(estimate.seeds.degrees) == pytest.approx(degrees)


def test_a_cells_variance_leans_on_its_pool():
    """Three cells of 2 seeds: the third's spread counts in a comparison of the other two."""
    flat = np.zeros((2, 4))
    moved = flat + np.array([[0.0], [1.0]])  # variance over seeds: 1 / 2
    names = ("a", "b", "c")
    scope = Scope("g", [Cell(n, [v], "s") for n, v in zip(names, (flat, flat, moved), strict=True)])
    quiet, loud = scope.estimate(["a"], ["b"]), scope.estimate(["a"], ["c"])
    pool = 0.5 / 3
    assert float(quiet.seeds.variance) == pytest.approx(2 * (pool / 2) / 2)
    assert float(loud.seeds.variance) == pytest.approx((pool / 2 + (pool + 0.5) / 2) / 2)


def test_a_single_seed_borrows_from_its_pool():
    one, other = np.zeros((1, 4)), np.array([[0.0], [1.0], [2.0]]) + np.zeros(4)
    scope = Scope("g", [Cell("one", [one], "s"), Cell("other", [other], "s")])
    estimate = scope.estimate(["one"], ["other"])
    assert float(estimate.seeds.variance) == pytest.approx(1 / 1 + 1 / 3)
    assert float(estimate.seeds.degrees) == pytest.approx(2)
    assert scope.over(["one"], ["other"]) == QUERIES_AND_SEEDS


def test_a_pool_weighs_seeds_not_cells():
    """Variances 1 of 3 seeds and 2 of 2: the pool is 4/3, and all of a third cell's."""
    worth = {"a": [0.0, 1.0, 2.0], "b": [0.0, 2.0], "c": [5.0]}
    made = [Cell(n, [np.array(w)[:, None] + np.zeros(4)], "s") for n, w in worth.items()]
    estimate = Scope("g", made).estimate(["c"])
    assert float(estimate.seeds.variance) == pytest.approx(4 / 3)
    assert Scope("g", made).pools["s"].degrees == 3


def test_datasets_weigh_alike_whatever_their_size():
    one = [np.full((2, 100), 0.6), np.full((2, 3), 0.2)]
    assert judged(one, [np.zeros((2, 100)), np.zeros((2, 3))]).difference == pytest.approx(0.4)


def test_students_together_are_a_mean_of_cells():
    made = [Cell(f"{s}/{n}", [draws(2, 9, name=f"{s}{n}")], s) for s in "pq" for n in "ab"]
    scope = Scope("g", made)
    both = scope.estimate(["p/a", "q/a"], ["p/b", "q/b"])
    parts = [scope.estimate([f"{s}/a"], [f"{s}/b"]) for s in "pq"]
    assert float(both.value) == pytest.approx(np.mean([part.value for part in parts]))
    variances = [float(part.seeds.variance) for part in parts]
    assert float(both.seeds.variance) == pytest.approx(sum(variances) / 4)


def test_a_student_of_one_seed_leaves_its_mean_without_seeds():
    made = [Cell(f"{s}/{n}", [draws(k, 9, name=f"{s}{n}")], s) for s, k in (("p", 1), ("q", 2))
            for n in "ab"]  # fmt: skip
    scope = Scope("g", made)
    assert scope.over(["p/a", "q/a"], ["p/b", "q/b"]) == ONE_TRAINING
    assert float(scope.estimate(["p/a", "q/a"], ["p/b", "q/b"]).seeds.variance) == 0


# --- limits -----------------------------------------------------------------------------------


def test_without_worth_of_seeds_it_is_the_paired_t_test():
    one, other = draws(1, 40, name="one"), draws(1, 40, name="other")
    record = judged([np.repeat(one, 3, axis=0)], [np.repeat(other, 3, axis=0)])
    theirs = stats.ttest_rel(one[0], other[0])
    low, high = theirs.confidence_interval(0.95)
    assert record.p == pytest.approx(theirs.pvalue)
    assert (record.low, record.high) == pytest.approx((low, high))
    assert record.degrees == pytest.approx(39)


def test_queries_alike_leave_a_t_test_over_seeds():
    worth = np.array([[0.1], [0.2], [0.6]])
    scope = Scope("g", [Cell("one", [worth + np.zeros(40)], "s")])
    estimate = scope.estimate(["one"])
    theirs = stats.ttest_1samp(worth[:, 0], 0)
    assert float(estimate.p(estimate.value)) == pytest.approx(theirs.pvalue)
    low, _ = theirs.confidence_interval(0.9)
    assert float(estimate.value - estimate.half_width(0.9)) == pytest.approx(low)


def test_luck_is_counted_once():
    """Over many studies the mean of the variances is the true one, of which each part is known."""
    rng = generator(1, "luck")
    worth, strength = rng.normal(0, 1.5, (4000, 4, 1)), rng.normal(0, 1, (4000, 1, 20))
    values = worth + strength + rng.normal(0, 4, (4000, 4, 20))
    estimate = Scope("g", [Cell("one", [values], "s")]).estimate(["one"])
    found = float(np.mean(estimate.queries.variance + estimate.seeds.variance))
    assert found == pytest.approx(2.25 / 4 + 1 / 20 + 16 / 80, rel=0.05)  # twice: a quarter more


def test_one_training_each_holds_over_queries_alone():
    one, other = draws(1, 40, name="one"), draws(1, 40, name="other")
    record = judged([one], [other])
    assert record.over == ONE_TRAINING
    assert record.p == pytest.approx(stats.ttest_rel(one[0], other[0]).pvalue)
    assert (record.low, record.high) == (record.queries_low, record.queries_high)


def test_systems_that_stay_as_they_are_hold_over_queries():
    scope = Scope("g", [Cell("bm25", [draws(1, 9)]), Cell("splade", [draws(1, 9, name="x")])])
    assert inference.compare(BASELINES, scope, "bm25", "splade").over == QUERIES


def test_a_single_query_says_nothing():
    record = judged([np.array([[0.9], [0.9]])], [np.array([[0.1], [0.1]])])
    assert (record.p, record.word, record.low, record.high) == (1, UNDECIDED, -1, 1)
    assert record.p_equivalence_holm is None


def test_equal_values_are_no_difference():
    record = judged([np.full((2, 5), 0.3)], [np.full((2, 5), 0.3)])
    assert (record.p, record.low, record.high, record.word) == (1, 0, 0, EQUIVALENT)


def test_the_same_difference_everywhere_is_certain():
    record = judged([np.full((2, 5), 0.5)], [np.full((2, 5), 0.25)])
    assert (record.p, record.word) == (0, BETTER)


def test_other_queries_are_refused():
    with pytest.raises(ValueError, match="same queries"):
        Scope("g", [Cell("a", [draws(1, 9)]), Cell("b", [draws(1, 8)])])


# --- symmetry and invariance ------------------------------------------------------------------


def test_swapping_two_losses_changes_the_sign_alone():
    made = cells()
    scope, swapped = Scope("g", made), Scope("g", made[::-1])
    one = inference.judge([inference.compare(LOSSES, scope, "loss 0", "loss 1")], 0.05, 0.01)[0]
    other = inference.judge([inference.compare(LOSSES, swapped, "loss 1", "loss 0")], 0.05, 0.01)[0]
    assert other.difference == pytest.approx(-one.difference)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert (other.p, other.detectable) == pytest.approx((one.p, one.detectable))


def test_order_and_level_of_values_change_nothing():
    made, rng = cells(queries=(30,)), generator(1, "order")
    order, hard = rng.permutation(30), rng.normal(0, 1, 30)
    changed = [Cell(c.name, [(c.strata[0] + hard)[::-1][:, order]], c.pool) for c in made]
    before, after = (inference.between_losses(Scope("g", some)) for some in (made, changed))
    for one, other in zip(*(inference.judge(c, 0.05, 0.01) for c in (before, after)), strict=True):
        assert (one.difference, one.p, one.high) == pytest.approx(
            (other.difference, other.p, other.high)
        )


def test_units_scale_everything_but_p():
    scopes = [
        Scope("g", [Cell(c.name, [v * by for v in c.strata], c.pool) for c in cells()])
        for by in (1.0, 0.1)
    ]
    one, small = (scope.estimate(["loss 0"], ["loss 1"]) for scope in scopes)
    assert float(small.half_width(0.95)) == pytest.approx(0.1 * float(one.half_width(0.95)))
    assert float(small.p(small.value)) == pytest.approx(float(one.p(one.value)))


def test_many_studies_at_once_are_each_alone():
    made = [Cell(n, [draws(5, 2, 12, name=n)], "s") for n in "abc"]
    together = Scope("g", made).estimate(["a"], ["b"])
    for study in range(5):
        alone = Scope("g", [Cell(c.name, [c.strata[0][study]], "s") for c in made])
        estimate = alone.estimate(["a"], ["b"])
        assert float(estimate.half_width(0.95)) == pytest.approx(together.half_width(0.95)[study])


@settings(deadline=None)
@given(st.floats(0.01, 5), st.floats(0.01, 4), st.floats(0, 4), st.floats(1, 40), st.floats(1, 300))
def test_p_is_where_the_interval_ends(
    away: float, one: float, other: float, few: float, many: float
):
    parts = [estimates.Part(np.array(v), np.array(f)) for v, f in ((one, many), (other, few))]
    of = estimates.Estimate(np.array(0.0), *parts)
    p = float(of.p(np.array(away)))
    assert 0 < p <= 1
    if p > 1e-10:
        assert float(of.half_width(1 - p)) == pytest.approx(away, rel=1e-5)


def test_the_least_p_does_not_jump():
    """Seeds that add next to nothing leave a certain difference certain."""
    queries = estimates.Part(np.array(1.0), np.array(300.0))
    seeds = estimates.Part(np.array(1e-12), np.array(2.0))
    of = estimates.Estimate(np.array(40.0), queries, seeds)
    assert float(of.p(of.value)) == pytest.approx(1e-12)


# --- families, words and power ----------------------------------------------------------------


def test_holm_by_hand():
    p = np.array([[0.01, 0.04, 0.03, 0.005], [0.5, 0.6, 0.9, 0.7]])
    corrected = inference.holm(p)
    assert corrected[0] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert corrected[1] == pytest.approx([1, 1, 1, 1])


def test_holm_leaves_out_what_is_not_offered():
    corrected = inference.holm(np.array([0.02, np.nan, 0.01]))
    assert corrected[[0, 2]] == pytest.approx([0.02, 0.02]) and np.isnan(corrected[1])


def families() -> tuple[list[Comparison], list[Record]]:
    scopes = [Scope(group, cells()) for group in ("in", "out")]
    compared = []
    for scope in scopes:
        compared += inference.between_losses(scope)
        compared += inference.with_baselines(scope, ["first stage"])
    return compared, inference.judge(compared, 0.05, 0.01)


def test_a_family_spans_the_groups_of_a_study():
    compared, records = families()
    sizes = {(record.family, record.size) for record in records}
    assert sizes == {(LOSSES, 6), (BASELINES, 6)}
    for family in (LOSSES, BASELINES):
        members = [record for record in records if record.family == family]
        corrected = inference.holm(np.array([member.p for member in members]))
        assert [member.p_holm for member in members] == pytest.approx(corrected.tolist())
    assert [(r.group, r.system, r.against) for r in records] == [
        (c.group, c.system, c.against) for c in compared
    ]


def test_losses_are_compared_within_a_student():
    made = [Cell(f"{s}/{n}", [draws(2, 9, name=f"{s}{n}")], s) for s in "pq" for n in "abc"]
    pairs = [(c.system, c.against) for c in inference.between_losses(Scope("g", made))]
    assert len(pairs) == 6
    assert all(system[0] == against[0] for system, against in pairs)


@pytest.mark.parametrize(
    ("difference", "p", "close", "word"),
    [
        (0.1, 0.049, None, BETTER),
        (-0.1, 0.049, 0.01, WORSE),
        (0.1, 0.05, None, UNDECIDED),
        (0.1, 0.05, 0.04, EQUIVALENT),
        (0.1, 0.5, 0.05, UNDECIDED),
        (0.0, 0.0, None, UNDECIDED),
    ],
)
def test_a_word_needs_a_corrected_p(difference: float, p: float, close: float | None, word: str):
    assert inference.word(difference, p, close, 0.05) == word


def test_equivalence_is_offered_where_it_could_show():
    """Equal in truth: many queries show it; few could not, whatever they hold."""
    few, many = draws(1, 10, scale=0.1), draws(1, 4000, scale=0.1)
    for values, expected in ((few, UNDECIDED), (many, EQUIVALENT)):
        centred = np.repeat(values - values.mean(), 2, axis=0)
        record = judged([centred + 0.5], [np.full_like(centred, 0.5)], margin=0.02)
        assert record.word == expected
        assert (record.p_equivalence_holm is None) == (expected == UNDECIDED)


def test_zeros_are_equivalent_to_nothing():
    zeros, ones = np.zeros((2, 4000)), np.ones((2, 4000))
    assert judged([zeros], [zeros]).word == UNDECIDED
    nearly = zeros.copy()
    nearly[:, :2] = 0.001
    assert judged([zeros], [nearly]).word == judged([nearly], [zeros]).word == UNDECIDED
    assert judged([nearly], [np.roll(nearly, 1, axis=1)]).word == EQUIVALENT
    assert judged([ones], [ones]).word == EQUIVALENT


def test_equivalence_is_the_larger_of_two_one_sided_tests():
    values = draws(1, 200, scale=0.02)[0] + 0.002
    record = judged([np.tile(0.5 + values, (2, 1))], [np.full((2, 200), 0.5)], margin=0.005)
    above = stats.ttest_1samp(values, 0.005, alternative="less").pvalue
    below = stats.ttest_1samp(values, -0.005, alternative="greater").pvalue
    assert record.p_equivalence_holm == pytest.approx(max(above, below))


def test_the_detectable_difference_is_found_with_its_power():
    rng, alpha = generator(1, "power"), 0.05
    noise = rng.normal(0, 0.1, (4000, 1, 60)).repeat(2, axis=1)
    scope = Scope("g", [Cell("a", [noise], "s"), Cell("b", [np.zeros_like(noise)], "s")])
    estimate = scope.estimate(["a"], ["b"])
    true = float(np.mean(inference.tests([estimate], alpha, 0.01).detectable))
    found = estimate.p(estimate.value + true) < alpha
    assert float(found.mean()) == pytest.approx(inference.POWER, abs=0.025)

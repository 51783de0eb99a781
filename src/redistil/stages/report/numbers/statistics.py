"""Means, intervals and tests over queries and seeds: pure functions of arrays.

A group of data sets is a list of *strata*, one array per data set, whose last axis is its queries.
The value of a group is the unweighted mean of its data sets' means, and every function here is
about that number: a data set of 43 queries weighs as much as one of 6,980.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Strata = Sequence[Floats]

BETTER, WORSE, UNDECIDED = "better", "worse", "not distinguishable"
EQUIVALENT, NOT_SHOWN = "equivalent", "not shown"

_AT_ONCE = 1 << 22  # numbers in a block of resampling weights or signs: 32 MiB


def group_mean(strata: Strata) -> Floats:
    """Return the unweighted mean over data sets of the mean over queries."""
    means: Floats = np.mean([values.mean(axis=-1) for values in strata], axis=0)
    return means


def over_members(members: Sequence[Strata]) -> list[Floats]:
    """Return, for each data set, each query's mean over members and seeds."""
    means = []
    for of_members in zip(*members, strict=True):
        over_seeds = [values.mean(axis=0) for values in of_members]
        means.append(np.mean(over_seeds, axis=0))
    return means


def spread(per_seed: Floats) -> float | None:
    """Return the standard deviation over seeds (n - 1), or None for a single seed.

    Give it one aggregate per seed: the mean of the data sets' own variances is not the variance
    of their mean (docs/protocol.md; the original study's notebook plots the former).
    """
    return float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None


def spread_of_sets(strata: Strata) -> float | None:
    """Return the root of the mean over data sets of their variances over seeds [seeds, queries].

    This is how the notebook of arXiv 2603.03010 draws the bars of its aggregates. It is kept to be
    set beside theirs: it is not the spread of the aggregate, which `spread` is.
    """
    if strata[0].shape[0] < 2:
        return None
    return float(np.sqrt(np.mean([values.mean(axis=-1).var(ddof=1) for values in strata])))


@dataclass(frozen=True)
class Part:
    """A variance, and the degrees of freedom with which it is known."""

    variance: float
    degrees: float


@dataclass(frozen=True)
class Uncertainty:
    """What an estimate owes to its queries and to its seeds.

    The half-widths of both t intervals add in quadrature (Howe 1974; the MOVER of Zou and Donner
    2008). A variance known from one degree of freedom, as of two seeds, then widens the interval by
    what it must, where Satterthwaite's single t falls short (measured: docs/protocol.md).
    """

    queries: Part
    seeds: Part

    @property
    def variance(self) -> float:
        return self.queries.variance + self.seeds.variance

    def half_width(self, level: float) -> float:
        """Return half the width of the central interval that holds the truth with `level`."""
        from scipy import special

        squared = 0.0
        for part in (self.queries, self.seeds):
            if part.variance > 0:
                t = special.stdtrit(part.degrees, (1 + level) / 2)
                squared += t**2 * part.variance
        return float(np.sqrt(squared))

    def p(self, difference: float) -> float:
        """Return the two-sided p that the true difference is 0: what level just reaches it."""
        from scipy import optimize

        if self.variance == 0:
            return float(difference == 0)
        if not np.isfinite(self.variance) or difference == 0:
            return 1.0
        if self.half_width(1 - _LEAST) <= abs(difference):
            return _LEAST
        away = abs(difference)
        return float(
            10 ** optimize.brentq(lambda x: self.half_width(1 - 10**x) - away, np.log10(_LEAST), 0)
        )


_LEAST = 1e-12  # the smallest p that is worth a digit


def uncertainty(members: Sequence[Strata]) -> Uncertainty:
    """Return that of the mean over `members` of their group means, over queries and seeds.

    A member is strata of [seeds, queries]: the seeds of one student, on the same queries as every
    other member's. Seeds and queries are crossed, so the variance of a mean over both is that of
    the seeds' means plus that of the queries' means less the noise that both contain (a two-way
    random model). A single seed says nothing of others, and its part is then 0; a data set of a
    single query says nothing at all, and the part of the queries is infinite. Degrees of freedom of
    several data sets or members are Satterthwaite's.
    """
    queries = _of_queries(over_members(members))
    if 0 in [part.degrees for part in queries]:
        return Uncertainty(Part(np.inf, 1.0), Part(0.0, 1.0))
    between, noise = [], 0.0
    for strata in members:
        seeds = len(strata[0])
        if seeds > 1:
            variance = float(group_mean(strata).var(ddof=1)) / seeds / len(members) ** 2
            between.append(Part(variance, seeds - 1.0))
            noise += _noise(strata) / len(members) ** 2
    of_seeds = _together(between)
    return Uncertainty(
        _together(queries), Part(max(0.0, of_seeds.variance - noise), of_seeds.degrees)
    )


def _together(parts: Sequence[Part]) -> Part:
    """Return the sum of independent variances, with Satterthwaite's degrees of freedom."""
    variance = sum(part.variance for part in parts)
    squares = sum(part.variance**2 / part.degrees for part in parts)
    degrees = variance**2 / squares if squares else min((p.degrees for p in parts), default=1.0)
    return Part(variance, degrees)


def _of_queries(strata: Strata) -> list[Part]:
    """Return what the queries of each data set [queries] add to the variance of the group mean."""
    parts = []
    for values in strata:
        of_set = float(values.var(ddof=1)) / values.size if values.size > 1 else 0.0
        parts.append(Part(of_set / len(strata) ** 2, values.size - 1))
    return parts


def _noise(strata: Strata) -> float:
    """Return what each seed's luck with each query adds to the variance of the group mean.

    It is in the seeds' means, and in those of the queries, which have counted it already.
    """
    total = 0.0
    for v in strata:
        rest = v - v.mean(axis=0) - v.mean(axis=1, keepdims=True) + v.mean()
        degrees = (v.shape[0] - 1) * (v.shape[1] - 1)
        total += float((rest**2).sum()) / degrees / v.size / len(strata) ** 2
    return total


@dataclass(frozen=True)
class PairedTest:
    """A mean difference and how surprising it would be if the true one were zero (two-sided p).

    effect: the difference in standard deviations of a query's difference (Cohen's d_z).
    """

    difference: float
    t: float
    degrees: float
    p: float
    effect: float


def paired_t(strata: Strata) -> PairedTest:
    """Return the paired t-test of the group's mean difference; each stratum is [queries].

    One stratum is the textbook test. With more, the standard errors of the data sets add up and
    the degrees of freedom are Satterthwaite's. Differences that are all zero give p = 1; a data
    set of one query says nothing about its variance, and p = 1.
    """
    from scipy import stats

    difference = float(group_mean(strata))
    effect = effect_size(strata)
    sizes = [len(values) for values in strata]
    if min(sizes) < 2:
        return PairedTest(difference, 0.0, 0.0, 1.0, effect)
    parts = np.array([values.var(ddof=1) / len(values) for values in strata]) / len(strata) ** 2
    variance = parts.sum()
    if variance == 0:
        return PairedTest(difference, 0.0, 0.0, float(difference == 0), effect)
    degrees = float(variance**2 / (parts**2 / (np.array(sizes) - 1)).sum())
    t = difference / float(np.sqrt(variance))
    return PairedTest(difference, t, degrees, float(2 * stats.t.sf(abs(t), degrees)), effect)


def effect_size(strata: Strata) -> float:
    """Return the mean difference in standard deviations of a query's difference: Cohen's d_z.

    Over several data sets both are means, of the differences and of the variances. 0 where no query
    differs from its data set's mean.
    """
    varied = [values.var(ddof=1) for values in strata if len(values) > 1]
    deviation = float(np.sqrt(np.mean(varied))) if varied else 0.0
    return float(group_mean(strata)) / deviation if deviation else 0.0


def equivalence(difference: float, of: Uncertainty, margin: float) -> float:
    """Return the p of the two one-sided tests (TOST): small if |difference| < `margin` is sure.

    The hypothesis is that the true difference is `margin` or more, in either direction; p is the
    larger of the two tests' (Schuirmann 1987).
    """
    left = margin - abs(difference)
    return of.p(left) / 2 if left > 0 else 1.0 - of.p(left) / 2


def paired_randomisation(strata: Strata, rounds: int, rng: np.random.Generator) -> Floats:
    """Return two-sided p values of the paired randomisation test, one for each row.

    Each stratum is [rows, queries] of differences. Under the null hypothesis a query's difference
    could as well have the other sign: p is the share of `rounds` random signings, and of the one
    observed, whose mean difference is at least as large. All rows see the same signings.
    """
    observed = np.abs(group_mean(strata))
    reached = np.zeros(observed.shape)
    for some in at_once(rounds, max(values.shape[-1] for values in strata)):
        means = 0.0
        for values in strata:
            signs = rng.integers(0, 2, (some, values.shape[-1])) * 2.0 - 1.0
            means = means + values @ signs.T / values.shape[-1]
        # sums in another order differ in the last digits: what is equal on paper must count
        reached += (np.abs(means / len(strata)) >= observed[:, None] - 1e-12).sum(axis=1)
    return (reached + 1) / (rounds + 1)


def holm(p: Sequence[float]) -> list[float]:
    """Return p values corrected by Holm's step-down method over the family that `p` is."""
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(p), 0, -1)
    stepped = np.minimum(1.0, np.maximum.accumulate(np.asarray(p, dtype=float)[order] * factors))
    corrected = np.empty(len(p))
    corrected[order] = stepped
    return [float(value) for value in corrected]


def verdict(difference: float, p: float, alpha: float) -> str:
    """Return the word for a tested difference: one of BETTER, WORSE, UNDECIDED."""
    if p >= alpha or difference == 0:
        return UNDECIDED
    return BETTER if difference > 0 else WORSE


def claim(p: float, alpha: float) -> str:
    """Return the word for a test of equivalence: EQUIVALENT or NOT_SHOWN."""
    return EQUIVALENT if p < alpha else NOT_SHOWN


def resample_queries(strata: Strata, rounds: int, rng: np.random.Generator) -> Floats:
    """Return bootstrap group means [rows, rounds] of strata [rows, queries].

    In each round the queries of every data set are drawn again with replacement, the same for all
    rows, so that the difference of two rows is a paired bootstrap.
    """
    blocks = []
    for some in at_once(rounds, max(values.shape[-1] for values in strata)):
        means = np.zeros((strata[0].shape[0], some))
        for values in strata:
            queries = values.shape[-1]
            times = rng.multinomial(queries, np.full(queries, 1 / queries), size=some)
            means += values @ times.T / queries
        blocks.append(means / len(strata))
    return np.concatenate(blocks, axis=1)


def resample_seeds(means: Floats, of: Uncertainty, rng: np.random.Generator) -> Floats:
    """Return [rounds]: for each round of `means` [seeds, rounds], their mean had others been drawn.

    The second level of the bootstrap. Two or three seeds cannot be drawn again with replacement:
    their mean would vary by half or two thirds of what it should, over three or ten values. So
    their part is drawn from a normal distribution of the variance that they show.
    """
    rounds: Floats = means.mean(axis=0) + rng.normal(0, np.sqrt(of.seeds.variance), means.shape[1])
    return rounds


def interval(
    samples: Floats, centre: float, of: Uncertainty, level: float, within: tuple[float, float]
) -> tuple[float, float]:
    """Return the interval around `centre` that holds the truth as often as `level` says.

    The bootstrap gives its shape: how far the central quantiles lie below and above the centre.
    Its width is that of the t interval of `of`, since the variance of so few seeds is itself hardly
    known. `within` is what is possible at all. Measured coverage: docs/protocol.md.
    """
    from scipy import stats

    if not np.isfinite(of.variance):
        return within
    usual = float(stats.norm.ppf((1 + level) / 2) * samples.std())
    wider = of.half_width(level) / usual if usual else 0.0
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return (
        max(within[0], float(centre - max(0.0, centre - low) * wider)),
        min(within[1], float(centre + max(0.0, high - centre) * wider)),
    )


def at_once(rounds: int, width: int) -> Iterator[int]:
    """Yield how many rounds to do at once, so that memory stays bounded."""
    most = max(1, _AT_ONCE // width)
    while rounds > 0:
        yield min(rounds, most)
        rounds -= most

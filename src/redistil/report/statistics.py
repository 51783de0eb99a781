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

_AT_ONCE = 1 << 22  # numbers in a block of resampling weights: 32 MiB


def group_mean(strata: Strata) -> Floats:
    """Return the unweighted mean over data sets of the mean over queries."""
    means: Floats = np.mean([values.mean(axis=-1) for values in strata], axis=0)
    return means


def spread(per_seed: Floats) -> float | None:
    """Return the standard deviation over seeds (n - 1), or None for a single seed.

    Give it one aggregate per seed: the mean of the data sets' own variances is not the variance
    of their mean (docs/protocol.md; the original study's notebook plots the former).
    """
    return float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None


@dataclass(frozen=True)
class PairedTest:
    """A mean difference and how surprising it would be if the true one were zero (two-sided p)."""

    difference: float
    t: float
    degrees: float
    p: float


def paired_t(strata: Strata) -> PairedTest:
    """Return the paired t-test of the group's mean difference; each stratum is [queries].

    One stratum is the textbook test. With more, the standard errors of the data sets add up and
    the degrees of freedom are Satterthwaite's. Differences that are all zero give p = 1; a data
    set of one query says nothing about its variance, and p = 1.
    """
    from scipy import stats

    difference = float(group_mean(strata))
    sizes = [len(values) for values in strata]
    if min(sizes) < 2:
        return PairedTest(difference, 0.0, 0.0, 1.0)
    parts = np.array([values.var(ddof=1) / len(values) for values in strata]) / len(strata) ** 2
    variance = parts.sum()
    if variance == 0:
        return PairedTest(difference, 0.0, 0.0, float(difference == 0))
    degrees = float(variance**2 / (parts**2 / (np.array(sizes) - 1)).sum())
    t = difference / float(np.sqrt(variance))
    return PairedTest(difference, t, degrees, float(2 * stats.t.sf(abs(t), degrees)))


def paired_randomisation(strata: Strata, rounds: int, rng: np.random.Generator) -> Floats:
    """Return two-sided p values of the paired randomisation test, one for each row.

    Each stratum is [rows, queries] of differences. Under the null hypothesis a query's difference
    could as well have the other sign: p is the share of `rounds` random signings, and of the one
    observed, whose mean difference is at least as large. All rows see the same signings.
    """
    observed = np.abs(group_mean(strata))
    reached = np.zeros(observed.shape)
    for some in _blocks(rounds, max(values.shape[-1] for values in strata)):
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


def resample_queries(strata: Strata, rounds: int, rng: np.random.Generator) -> Floats:
    """Return bootstrap group means [rows, rounds] of strata [rows, queries].

    In each round the queries of every data set are drawn again with replacement, the same for all
    rows, so that the difference of two rows is a paired bootstrap.
    """
    blocks = []
    for some in _blocks(rounds, max(values.shape[-1] for values in strata)):
        means = np.zeros((strata[0].shape[0], some))
        for values in strata:
            queries = values.shape[-1]
            times = rng.multinomial(queries, np.full(queries, 1 / queries), size=some)
            means += values @ times.T / queries
        blocks.append(means / len(strata))
    return np.concatenate(blocks, axis=1)


def resample_seeds(means: Floats, rng: np.random.Generator) -> Floats:
    """Return [rounds]: for each round of `means` [seeds, rounds], the mean of seeds drawn again.

    The second level of the bootstrap. With two or three seeds it can only see the seeds there are:
    intervals are then too narrow rather than too wide.
    """
    seeds, rounds = means.shape
    drawn = rng.integers(0, seeds, (seeds, rounds))
    mean: Floats = np.take_along_axis(means, drawn, axis=0).mean(axis=0)
    return mean


def interval(samples: Floats, level: float) -> tuple[float, float]:
    """Return the central interval that holds `level` of the bootstrap samples."""
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _blocks(rounds: int, width: int) -> Iterator[int]:
    """Yield how many rounds to do at once, so that memory stays bounded."""
    at_once = max(1, _AT_ONCE // width)
    while rounds > 0:
        yield min(rounds, at_once)
        rounds -= at_once

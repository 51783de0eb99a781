"""Means, spreads and the randomisation test: pure functions of arrays.

A group of datasets is a list of *strata*, one array per dataset, whose last axis is its queries.
The value of a group is the unweighted mean of its datasets' means. Every function here is
about that number: a dataset of 43 queries weighs as much as one of 6,980.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Strata = Sequence[Floats]

_AT_ONCE = 1 << 22  # numbers in a block of signs: 32 MiB
_EQUAL = 1e-12  # sums in another order differ in the last digits: what is equal on paper is equal


def group_mean(strata: Strata) -> Floats:
    """Return the unweighted mean over datasets of the mean over queries."""
    means: Floats = np.mean([values.mean(axis=-1) for values in strata], axis=0)
    return means


def wins(leads: Floats) -> int:
    """Return how many leads, by query, are above 0."""
    return int((leads > _EQUAL).sum())


def spread(per_seed: Floats) -> float | None:
    """Return the standard deviation over seeds (n - 1), or None for a single seed.

    Give it one aggregate per seed: the mean of the datasets' own variances is not the variance
    of their mean (docs/protocol.md; the original study's notebook plots the former).
    """
    return float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None


def spread_of_sets(strata: Strata) -> float | None:
    """Return the root of the mean over datasets of their variances over seeds [seeds, queries].

    This is how the notebook of arXiv 2603.03010 draws the bars of its aggregates. It is kept to be
    set beside theirs: it is not the spread of the aggregate, which `spread` is.
    """
    if strata[0].shape[0] < 2:
        return None
    return float(np.sqrt(np.mean([values.mean(axis=-1).var(ddof=1) for values in strata])))


def effect_size(strata: Strata) -> float:
    """Return the mean difference in standard deviations of a query's difference: Cohen's d_z.

    Over several datasets both are means, of the differences and of the variances. 0 where no query
    differs from its dataset's mean.
    """
    varied = [values.var(ddof=1) for values in strata if len(values) > 1]
    deviation = float(np.sqrt(np.mean(varied))) if varied else 0.0
    return float(group_mean(strata)) / deviation if deviation else 0.0


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
        reached += (np.abs(means / len(strata)) >= observed[:, None] - _EQUAL).sum(axis=1)
    return (reached + 1) / (rounds + 1)


def at_once(rounds: int, width: int) -> Iterator[int]:
    """Yield how many rounds to do at once, so that memory stays bounded."""
    most = max(1, _AT_ONCE // width)
    while rounds > 0:
        yield min(rounds, most)
        rounds -= most

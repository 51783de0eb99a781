"""Variance of a value or a difference: its parts from queries and from trainings.

A *cell* is a student under one loss, trained with some seeds, or a system that stays as it is. The
value of seed s on query q of a dataset is taken for

    mean + query[q] + seed[s] + luck[s, q]

with independent, centred terms: a two-way random model of crossed factors (Searle, Casella and
McCulloch 1992, chapter 4). The mean over S seeds and Q queries then has the variance

    var(query) / Q + var(seed) / S + var(luck) / (S Q)

- *Queries.* Take the variance over queries of the difference of two cells (each query's mean over
  the seeds). Divided by Q, it holds the first and the third term. It is paired: what makes a query
  hard for both cells drops out.
- *Seeds.* The variance over seeds of a cell's mean over queries holds the second term, and the
  third once more. The mean square of the luck takes that out again.
- *Groups.* The value of a group is the unweighted mean over its datasets, whose queries are drawn
  apart; their terms add up. A training has one value on the group. So nothing is assumed about
  how its worth on one dataset goes with that on another.

Two or three seeds hardly tell the variance of a cell's seeds. So the cells of one student (a
*pool*) lend each other theirs. A cell's variance is the mean of its own, which weighs its degrees
of freedom, and the pool's, which weighs `PRIOR`. This is the moderated variance of Smyth 2004, with
a prior weight that is declared: six cells cannot tell it. The half-widths of the intervals over
queries and over seeds add in quadrature (Howe 1974; Zou and Donner 2008).

Equal seeds of two losses share the head and the order of the queries. Their worth is taken for
independent all the same: were it alike, intervals would be wider than they need be (half alike:
97 % of 95 % intervals hold the truth). A loss whose seeds spread three times as much as the others'
borrows too little: its own intervals hold the truth in 88 % (2 seeds) to 94 % (5 seeds).

Measured on simulated studies: `python -m benchmarks.coverage`, docs/protocol.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from redistil.stages.report.numbers.statistics import group_mean

Floats = npt.NDArray[np.float64]

# Degrees of freedom that the pool's variance counts for beside a cell's own. With 1, families err
# in at most 5 % of studies though a loss is three times as noisy as the others; with 2 in 6 %.
PRIOR = 1.0

# What an estimate holds over.
QUERIES_AND_SEEDS = "queries and seeds"
QUERIES = "queries"  # of systems that no seed changes
ONE_TRAINING = "queries, of one training"  # no cell of the pool has a second seed


@dataclass(frozen=True)
class Cell:
    """A system and its headline values on a group of datasets.

    strata: for each dataset the values [..., seeds, queries]; queries are those of every cell.
    pool: the student, whose cells are taken to be about equally sensitive to the seed; None for a
    system that stays as it is (a first stage, a teacher), of which one row is enough.
    """

    name: str
    strata: Sequence[Floats]
    pool: str | None = None

    @property
    def seeds(self) -> int:
        return int(self.strata[0].shape[-2])

    @property
    def queries(self) -> tuple[int, ...]:
        """How many each dataset has."""
        return tuple(values.shape[-1] for values in self.strata)


@dataclass(frozen=True)
class Part:
    """A variance, and the degrees of freedom with which it is known; arrays of one shape."""

    variance: Floats
    degrees: Floats

    @staticmethod
    def stack(parts: "Sequence[Part]", axis: int) -> "Part":
        """Return the parts as one, along a new axis."""
        variances, degrees = [], []
        for part in parts:
            variances.append(part.variance)
            degrees.append(part.degrees)
        return Part(np.stack(variances, axis=axis), np.stack(degrees, axis=axis))


@dataclass(frozen=True)
class Estimate:
    """A value or a difference on a group of datasets, and what it owes to queries and to seeds."""

    value: Floats
    queries: Part
    seeds: Part

    @property
    def error(self) -> Floats:
        """Return the standard error over queries and seeds."""
        error: Floats = np.sqrt(self.queries.variance + self.seeds.variance)
        return error

    @property
    def degrees(self) -> Floats:
        """Return Satterthwaite's degrees of freedom of the whole: no test reads them."""
        return _together([self.queries, self.seeds]).degrees

    def half_width(self, level: float | Floats) -> Floats:
        """Return half the width of the central interval that holds the truth with `level`."""
        return _reach(self.queries, self.seeds, (1 - np.asarray(level)) / 2)

    def half_width_over_queries(self, level: float | Floats) -> Floats:
        """Return the same for these very trainings: only the queries are drawn again."""
        none = Part(np.zeros_like(self.seeds.variance), self.seeds.degrees)
        return _reach(self.queries, none, (1 - np.asarray(level)) / 2)

    def p(self, away: Floats) -> Floats:
        """Return the two-sided p of a distance `away` from the value: the interval ends there."""
        return _p(self, np.abs(np.asarray(away, dtype=float)))


class Scope:
    """The cells of one group of datasets, and what their seeds are worth, student by student.

    Raises ValueError when cells differ in their queries.
    """

    def __init__(self, group: str, cells: Sequence[Cell]) -> None:
        self.group = group
        sizes = {cell.queries for cell in cells}
        if len(sizes) > 1:
            raise ValueError(f"{group}: wanted cells of the same queries, got {sorted(sizes)}")
        self.cells: dict[str, Cell] = {}
        self._means: dict[str, list[Floats]] = {}
        students: dict[str, list[Cell]] = {}
        for cell in cells:
            self.cells[cell.name] = cell
            self._means[cell.name] = [values.mean(axis=-2) for values in cell.strata]
            if cell.pool is not None:
                students.setdefault(cell.pool, []).append(cell)
        self.pools: dict[str, Pool] = {}
        for student, members in students.items():
            self.pools[student] = Pool(members)

    def estimate(self, ones: Sequence[str], others: Sequence[str] = ()) -> Estimate:
        """Return the mean of the cells `ones` less that of `others`, or the former alone."""
        weights = dict.fromkeys(ones, 1 / len(ones))
        for name in others:
            weights[name] = weights.get(name, 0.0) - 1 / len(others)
        per_query = []
        for dataset in range(len(self._means[ones[0]])):
            total: Floats = np.asarray(0.0)
            for name, weight in weights.items():
                total = total + weight * self._means[name][dataset]
            per_query.append(total)
        value = group_mean(per_query)
        return Estimate(value, _of_queries(per_query), self._of_seeds(weights, value))

    def over(self, ones: Sequence[str], others: Sequence[str] = ()) -> str:
        """Return what an estimate holds over: QUERIES_AND_SEEDS, QUERIES or ONE_TRAINING."""
        pools = self._pools_of([*ones, *others])
        if not pools:
            return QUERIES
        for pool in pools:
            if self.pools[pool].degrees == 0:
                return ONE_TRAINING
        return QUERIES_AND_SEEDS

    def _pools_of(self, names: Sequence[str]) -> list[str]:
        pools: list[str] = []
        for name in names:
            pool = self.cells[name].pool
            if pool is not None and pool not in pools:
                pools.append(pool)
        return pools

    def _of_seeds(self, weights: Mapping[str, float], like: Floats) -> Part:
        """Return the part of the seeds; 0 where none varies, or none of a pool has a second."""
        nothing = Part(np.zeros_like(like), np.ones_like(like))
        if self.over(list(weights)) != QUERIES_AND_SEEDS:
            return nothing
        by_pool: dict[str, dict[str, float]] = {}
        for name, weight in weights.items():
            pool = self.cells[name].pool
            if pool is not None:
                by_pool.setdefault(pool, {})[name] = weight
        parts = []
        for pool, members in by_pool.items():
            parts.append(self.pools[pool].part(members))
        return _together(parts)


@dataclass(frozen=True)
class _Trained:
    """A cell of several seeds. between: the variance of its seeds' values; luck: its part of that.

    own: degrees of freedom of both.
    """

    own: int
    between: Floats
    luck: Floats


class Pool:
    """Variance over seeds in the cells of one student: that of each cell, moderated.

    degrees: how many, over all cells; 0 if no cell has a second seed.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.degrees = 0
        self._seeds: dict[str, int] = {}
        self._trained: dict[str, _Trained] = {}
        for cell in cells:
            self._seeds[cell.name] = cell.seeds
            if cell.seeds > 1:
                own = cell.seeds - 1
                between, luck = _between_seeds(cell.strata), _luck(cell.strata)
                self._trained[cell.name] = _Trained(own, between, luck)
                self.degrees += own

    def part(self, weights: Mapping[str, float]) -> Part:
        """Return what seeds add to the variance of a weighted sum of this pool's cells.

        The moderated variance of a sum is itself a weighted sum of the cells' own variances. Its
        degrees of freedom are Satterthwaite's, with each cell's variance moderated. Only for a pool
        that has degrees of freedom.
        """
        whole = self._pooled()
        gross, luck = np.zeros_like(whole), np.zeros_like(whole)
        sums, squares = np.zeros_like(whole), np.zeros_like(whole)
        for name, share in self._shares(weights).items():
            trained = self._trained[name]
            gross = gross + share * trained.between
            luck = luck + share * trained.luck
            moderated = (PRIOR * whole + trained.own * trained.between) / (PRIOR + trained.own)
            sums = sums + share * moderated
            squares = squares + (share * moderated) ** 2 / trained.own
        degrees = np.where(squares > 0, sums**2 / _safe(squares), self.degrees)
        return Part(np.maximum(0.0, np.asarray(gross - luck)), degrees)

    def _shares(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Return how much each cell's own variance counts for that of a weighted sum of cells."""
        shares = dict.fromkeys(self._trained, 0.0)
        for name, weight in weights.items():
            own = self._seeds[name] - 1
            variance = weight**2 / self._seeds[name]
            if own > 0:
                shares[name] += variance * own / (PRIOR + own)
            lent = variance * PRIOR / (PRIOR + own)
            for lender, trained in self._trained.items():
                shares[lender] += lent * trained.own / self.degrees
        return shares

    def _pooled(self) -> Floats:
        """Return the mean of the cells' variances, by their degrees of freedom."""
        total: Floats = np.asarray(0.0)
        for trained in self._trained.values():
            total = total + trained.own * trained.between / self.degrees
        return np.asarray(total)


def _between_seeds(strata: Sequence[Floats]) -> Floats:
    """Return the variance over seeds of the group's value: a seed's worth, and its luck."""
    return np.asarray(group_mean(strata).var(axis=-1, ddof=1))


def _luck(strata: Sequence[Floats]) -> Floats:
    """Return what the luck of one seed with its queries adds to the variance of its value."""
    total: Floats = np.zeros(strata[0].shape[:-2])
    for values in strata:
        seeds, queries = values.shape[-2:]
        if queries < 2:
            continue
        # the interaction's sum of squares is what rows and columns leave of the whole
        of_seeds = values.mean(axis=-1).var(axis=-1) * seeds * queries
        of_queries = values.mean(axis=-2).var(axis=-1) * seeds * queries
        rest = values.var(axis=(-2, -1)) * seeds * queries - of_seeds - of_queries
        mean_square = np.maximum(0.0, rest) / ((seeds - 1) * (queries - 1))
        total = total + mean_square / queries / len(strata) ** 2
    return total


def _of_queries(per_query: Sequence[Floats]) -> Part:
    """Return what queries add to the variance; infinite where a dataset has a single query."""
    parts = []
    for values in per_query:
        queries = values.shape[-1]
        if queries < 2:
            unknown = np.full(values.shape[:-1], np.inf)
            return Part(unknown, np.ones_like(unknown))
        variance = values.var(axis=-1, ddof=1) / queries / len(per_query) ** 2
        parts.append(Part(variance, np.full_like(variance, queries - 1.0)))
    return _together(parts)


def _together(parts: Sequence[Part]) -> Part:
    """Return the sum of independent variances, with Satterthwaite's degrees of freedom."""
    if len(parts) == 1:
        return parts[0]
    each = Part.stack(parts, axis=0)
    variance = each.variance.sum(axis=0)
    is_known = (variance > 0) & np.isfinite(variance)
    shares = np.where(is_known, each.variance, 0.0) / np.where(is_known, variance, 1.0)
    squares = (shares**2 / each.degrees).sum(axis=0)
    return Part(variance, np.where(is_known, 1 / _safe(squares), each.degrees.min(axis=0)))


def _safe(divisor: Floats) -> Floats:
    """Return a divisor with 1 in place of 0."""
    return np.where(divisor > 0, divisor, 1.0)


def _reach(queries: Part, seeds: Part, tail: Floats) -> Floats:
    """Return how far an interval reaches that leaves out `tail` on either side."""
    from scipy import special

    of_queries = special.stdtrit(queries.degrees, tail) ** 2 * queries.variance
    of_seeds = special.stdtrit(seeds.degrees, tail) ** 2 * seeds.variance
    return np.asarray(np.sqrt(of_queries + of_seeds))


_LEAST = 1e-12  # the smallest p that is worth a digit
_ROUNDING = 1e-7  # of log p, by which a root may lie outside of its bounds


def _p(of: Estimate, away: Floats) -> Floats:
    """Return the two-sided p of a distance.

    t with the degrees of freedom of either part bounds it; between those, a root is looked for.
    """
    from scipy import special
    from scipy.optimize import elementwise

    queries, seeds, error = of.queries, of.seeds, of.error
    certain, unknown = error == 0, ~np.isfinite(error)
    t = -away / np.where(certain | unknown, 1.0, error)
    one = np.where(queries.variance > 0, queries.degrees, seeds.degrees)
    other = np.where(seeds.variance > 0, seeds.degrees, one)
    above = np.maximum(_LEAST, 2 * special.stdtr(np.minimum(one, other), t))
    below = np.maximum(_LEAST, 2 * special.stdtr(np.maximum(one, other), t))

    def short(x: Floats, vq: Floats, fq: Floats, vs: Floats, fs: Floats, a: Floats) -> Floats:
        return _reach(Part(vq, fq), Part(vs, fs), np.exp(x) / 2) - a

    both = (queries.variance, queries.degrees, seeds.variance, seeds.degrees)
    args = [np.where(unknown, 1.0, value) for value in (*both, away)]
    ends = (np.log(below) - _ROUNDING, np.log(above) + _ROUNDING)
    root = elementwise.find_root(short, ends, args=tuple(args))
    # no root: the interval of the least p already ends before, or that of the largest beyond
    end = np.where(short(ends[0], *args) <= 0, below, above)
    p = np.where(root.success, np.minimum(above, np.exp(root.x)), end)
    p = np.where(certain, (away == 0).astype(float), p)
    return np.asarray(np.where(unknown, 1.0, p))

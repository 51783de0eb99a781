"""Whether a system is better than another, over queries and seeds: one record a comparison.

What is displayed of a comparison, wherever it stands, is read from its `Record`. How sure a
difference is says `estimates`: its word is meant for other queries and for other seeds.

LOSSES is the one primary family of a study: every two losses of each student, on the headline,
in each group of datasets. Holm's correction is over all of it. So with probability 1 - alpha
no "better" or "worse" of the whole page is false. Averages over students are in no family: they
would test the same question again. BASELINES are the comparisons with what was there before.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from redistil.stages.report.numbers.estimates import (
    ONE_TRAINING,
    QUERIES,
    QUERIES_AND_SEEDS,
    Cell,
    Estimate,
    Floats,
    Part,
    Scope,
)

__all__ = [
    "BASELINES", "BETTER", "EQUIVALENT", "LEVEL", "LOSSES", "ONE_TRAINING", "POWER", "QUERIES",
    "QUERIES_AND_SEEDS", "UNDECIDED", "WORSE", "Cell", "Comparison", "Estimate", "Floats",
    "Record", "Scope", "Tests", "between_losses", "compare", "holm", "judge", "tests",
    "with_baselines", "word",
]  # fmt: skip

LEVEL = 0.95  # of intervals
POWER = 0.8  # with which a smallest detectable difference is found

BETTER, WORSE, UNDECIDED = "better", "worse", "not distinguishable"
EQUIVALENT = "equivalent"

# The families, each corrected by itself. The first is what a study is made for.
LOSSES = "losses"  # every two losses of a student, on every group of datasets: one family
# every student and loss against what was there before; teachers, checkpoints against first stages
BASELINES = "baselines"


@dataclass(frozen=True)
class Tests:
    """The tests of a family; the last axis is that of its comparisons.

    detectable: the smallest true difference found with `POWER` at alpha over the size of the
    family, which is Holm's first and hardest step. offered: where the study could show
    equivalence, because the half-width of the interval is below the margin; NaN elsewhere in
    p_equivalence and p_equivalence_holm.
    """

    p: Floats
    p_holm: Floats
    detectable: Floats
    offered: npt.NDArray[np.bool_]
    p_equivalence: Floats
    p_equivalence_holm: Floats


def tests(estimates: Sequence[Estimate], alpha: float, margin: float) -> Tests:
    """Return the tests of one family: that a difference is 0, and that it is `margin` or more.

    The second is the larger of two one-sided p values (TOST, Schuirmann 1987). Holm's correction
    of it is over the comparisons to which it is offered: that is decided by the width of an
    interval, never by where it lies.
    """
    of = _stack(estimates)
    p = of.p(of.value)
    corrected = alpha / len(estimates)
    beyond = of.half_width(2 * POWER - 1)
    inside = margin - np.abs(of.value)
    two_sided = of.p(inside)
    offered = of.half_width(1 - alpha) < margin
    one_sided = np.where(inside > 0, two_sided / 2, 1 - two_sided / 2)
    close = np.where(offered, one_sided, np.nan)
    return Tests(p, holm(p), of.half_width(1 - corrected) + beyond, offered, close, holm(close))


def _stack(estimates: Sequence[Estimate]) -> Estimate:
    """Return the estimates as one, along a new last axis."""
    values, queries, seeds = [], [], []
    for estimate in estimates:
        values.append(estimate.value)
        queries.append(estimate.queries)
        seeds.append(estimate.seeds)
    stacked = np.stack(values, axis=-1)
    return Estimate(stacked, Part.stack(queries, axis=-1), Part.stack(seeds, axis=-1))


def holm(p: Floats) -> Floats:
    """Return p corrected by Holm's step-down method over the last axis; NaN is no member."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, axis=-1, kind="stable")  # NaN last
    ascending = np.take_along_axis(p, order, axis=-1)
    members = (~np.isnan(p)).sum(axis=-1, keepdims=True)
    stepped = ascending * np.maximum(1, members - np.arange(p.shape[-1]))
    corrected = np.empty_like(p)
    risen = np.minimum(1.0, np.maximum.accumulate(stepped, axis=-1))
    np.put_along_axis(corrected, order, risen, axis=-1)
    return corrected


@dataclass(frozen=True)
class Comparison:
    """Two systems on a group of datasets, and the family of tests that they are in.

    is_empty: one of the two has no value above 0, so nothing of it was measured.
    """

    family: str
    group: str
    system: str
    against: str
    over: str
    estimate: Estimate
    is_empty: bool = False


def between_losses(scope: Scope, pools: Iterable[str] | None = None) -> list[Comparison]:
    """Return the comparisons of LOSSES on a group: every two cells of each student.

    pools: the students; None: every pool is one.
    """
    compared = []
    for pool in scope.pools if pools is None else pools:
        names = [cell.name for cell in scope.cells.values() if cell.pool == pool]
        for one, other in combinations(names, 2):
            compared.append(compare(LOSSES, scope, one, other))
    return compared


def with_baselines(
    scope: Scope, baselines: Sequence[str], pools: Collection[str] | None = None
) -> list[Comparison]:
    """Return the comparisons of BASELINES on a group: every student and loss with each baseline.

    pools: as of `between_losses`.
    """
    compared = []
    for cell in scope.cells.values():
        if cell.pool in (scope.pools if pools is None else pools):
            for baseline in baselines:
                compared.append(compare(BASELINES, scope, cell.name, baseline))
    return compared


def compare(family: str, scope: Scope, system: str, against: str) -> Comparison:
    """Return the comparison of two cells of a group."""
    over = scope.over([system], [against])
    estimate = scope.estimate([system], [against])
    is_empty = _is_empty(scope.cells[system]) or _is_empty(scope.cells[against])
    return Comparison(family, scope.group, system, against, over, estimate, is_empty)


def _is_empty(cell: Cell) -> bool:
    """Return whether a system has no value above 0."""
    return not any(values.any() for values in cell.strata)


@dataclass(frozen=True)
class Record:
    """A comparison as it is shown, wherever it is shown. Values are not rounded.

    difference: `system` less `against`; low, high: its interval of `LEVEL`, over what `over` says;
    queries_low, queries_high: over queries alone, the trainings as they are. error: standard error.
    p: two-sided; p_holm: corrected over the family, which has `size` members. word: BETTER, WORSE,
    EQUIVALENT or UNDECIDED, by p_holm. detectable: the smallest true difference that the family's
    hardest step finds with `POWER`. p_equivalence_holm: None where the study could not show it,
    or where every value of one of them is 0.
    """

    family: str
    group: str
    system: str
    against: str
    over: str
    difference: float
    low: float
    high: float
    queries_low: float
    queries_high: float
    error: float
    degrees: float
    p: float
    p_holm: float
    size: int
    word: str
    detectable: float
    p_equivalence_holm: float | None


def judge(comparisons: Sequence[Comparison], alpha: float, margin: float) -> list[Record]:
    """Return a record for each comparison, in their order.

    Comparisons of one family name are corrected together: give all groups and students at once.
    """
    families: dict[str, list[int]] = {}
    for place, comparison in enumerate(comparisons):
        families.setdefault(comparison.family, []).append(place)
    records: dict[int, Record] = {}
    for places in families.values():
        estimates = [comparisons[place].estimate for place in places]
        family = tests(estimates, alpha, margin)
        for member, place in enumerate(places):
            records[place] = _record(comparisons[place], family, member, alpha)
    return [records[place] for place in range(len(comparisons))]


def _record(comparison: Comparison, family: Tests, member: int, alpha: float) -> Record:
    estimate = comparison.estimate
    difference = float(estimate.value)
    half = float(estimate.half_width(LEVEL))
    half_over_queries = float(estimate.half_width_over_queries(LEVEL))
    p_holm = float(family.p_holm[member])
    is_offered = family.offered[member] and not comparison.is_empty
    close = float(family.p_equivalence_holm[member]) if is_offered else None
    return Record(
        family=comparison.family,
        group=comparison.group,
        system=comparison.system,
        against=comparison.against,
        over=comparison.over,
        difference=difference,
        low=max(-1.0, difference - half),
        high=min(1.0, difference + half),
        queries_low=max(-1.0, difference - half_over_queries),
        queries_high=min(1.0, difference + half_over_queries),
        error=float(estimate.error),
        degrees=float(estimate.degrees),
        p=float(family.p[member]),
        p_holm=p_holm,
        size=len(family.p),
        word=word(difference, p_holm, close, alpha),
        detectable=min(1.0, float(family.detectable[member])),
        p_equivalence_holm=close,
    )


def word(difference: float, p_holm: float, p_equivalence: float | None, alpha: float) -> str:
    """Return the word of a comparison; a shown difference comes before a shown equivalence."""
    if p_holm < alpha and difference != 0:
        return BETTER if difference > 0 else WORSE
    if p_equivalence is not None and p_equivalence < alpha:
        return EQUIVALENT
    return UNDECIDED

"""Any two systems compared: paired tests over queries, for each data set and group.

The tests are those of the leaderboard (`statistics`), only between all lines of it. Holm's
correction is over all pairs of a data set or group. What is compared are means over
seeds. Nothing here is declared beforehand: a reader who looks for a pair reads the corrected p.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from redistil.seeds import generator
from redistil.stages.report.numbers import statistics
from redistil.stages.report.numbers.comparisons import LEVEL
from redistil.stages.report.numbers.entries import Values, entries
from redistil.stages.report.numbers.statistics import Floats
from redistil.storage.tables import PAIRS
from redistil.study import artefacts as studies
from redistil.study.study import Study


@dataclass(frozen=True)
class Between:
    """Two systems on one scope: the t-test, its interval, and how many queries each side wins."""

    queries: int
    difference: float
    low: float
    high: float
    p: float
    wins: int
    losses: int


def scopes(study: Study) -> dict[str, list[str]]:
    """Return the data sets of each group, and of each data set itself."""
    return {**study["groups"], **{dataset: [dataset] for dataset in study["grid"]["datasets"]}}


def compare(study: Study, values: Values, rounds: int, seed: int) -> pa.Table:
    """Return rows of PAIRS: in each scope, every line of the leaderboard against every later.

    rounds: signings of the randomisation test, drawn under `seed`.
    """
    lines = entries(studies.systems(study))
    names = [line.name for line in lines]
    rows = []
    for scope, datasets in scopes(study).items():
        strata = []
        for dataset in datasets:
            strata.append(np.stack([values.mean(line, dataset) for line in lines]))
        rng = generator(seed, "report", "pairs", scope)
        rows += _scope(scope, names, strata, rounds, rng)
    return PAIRS.rows({name: [row[name] for row in rows] for name in PAIRS.schema.names})


def _scope(
    scope: str,
    names: Sequence[str],
    strata: list[Floats],
    rounds: int,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Return the rows of one scope; each stratum is [systems, queries] of a data set."""
    places = list(combinations(range(len(names)), 2))
    signed = randomised(strata, places, rounds, rng)
    tested = []
    for one, other in places:
        tested.append(_between([stratum[one] - stratum[other] for stratum in strata]))
    corrected = statistics.holm([between.p for between in tested])
    rows = []
    for (one, other), between, p, p_holm in zip(places, tested, signed, corrected, strict=True):
        who = {"scope": scope, "system": names[one], "against": names[other]}
        rows.append(who | asdict(between) | {"p_randomisation": float(p), "p_holm": p_holm})
    return rows


def _between(differences: list[Floats]) -> Between:
    """Return the test of two systems from their differences on each data set.

    A data set of one query says nothing of others: the interval is then all that is possible.
    """
    from scipy import stats

    test = statistics.paired_t(differences)
    sizes = [len(values) for values in differences]
    low, high = -1.0, 1.0
    if min(sizes) > 1:
        variance = sum(values.var(ddof=1) / len(values) for values in differences)
        error = np.sqrt(variance) / len(differences)
        reach = stats.t.ppf((1 + LEVEL) / 2, test.degrees) if test.degrees else 0.0
        low = test.difference - float(reach * error)
        high = test.difference + float(reach * error)
    together = np.concatenate(differences)
    wins, losses = int((together > 0).sum()), int((together < 0).sum())
    return Between(sum(sizes), test.difference, low, high, test.p, wins, losses)


def randomised(
    strata: Sequence[Floats],
    pairs: Sequence[tuple[int, int]],
    rounds: int,
    rng: np.random.Generator,
) -> Floats:
    """Return the p values of the paired randomisation test of every pair.

    As `statistics.paired_randomisation` of the pairs' differences; but a sum of signed differences
    is a difference of signed sums, so signing each system once serves all pairs.
    """
    first, second = np.array(pairs, dtype=int).reshape(-1, 2).T
    means = statistics.group_mean(strata)
    observed = np.abs(means[first] - means[second])
    reached = np.zeros(len(pairs))
    width = max([len(pairs), *(stratum.shape[1] for stratum in strata)])
    for some in statistics.at_once(rounds, width):
        sums: Any = 0.0
        for stratum in strata:
            signs = rng.integers(0, 2, (some, stratum.shape[1]), dtype=np.int8) * 2.0 - 1.0
            sums = sums + stratum @ signs.T / stratum.shape[1]
        leads = np.abs(sums[first] - sums[second]) / len(strata)
        reached += (leads >= observed[:, None] - 1e-12).sum(axis=1)
    p: Floats = (reached + 1) / (rounds + 1)
    return p

"""Any two systems compared: paired tests over queries, for each data set and group.

The tests are those of the leaderboard (`statistics`), only between all lines of it. Holm's
correction is over all pairs of a data set or group. What is compared are means over
seeds. Nothing here is declared beforehand: a reader who looks for a pair reads the corrected p.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from redistil.seeds import generator
from redistil.stages.report.numbers import statistics
from redistil.stages.report.numbers.leaderboard import LEVEL, Values, entries
from redistil.stages.report.numbers.statistics import Floats
from redistil.storage.tables import PAIRS
from redistil.study import artefacts as studies
from redistil.study.study import Study

Row = dict[str, Any]


def scopes(study: Study) -> dict[str, list[str]]:
    """Return the data sets of each group, and of each data set itself."""
    return {**study["groups"], **{dataset: [dataset] for dataset in study["grid"]["datasets"]}}


def compare(study: Study, values: Values, rounds: int, seed: int) -> pa.Table:
    """Return rows of PAIRS: in each scope, every line of the leaderboard against every later.

    rounds: signings of the randomisation test, drawn under `seed`.
    """
    lines = entries(studies.systems(study))
    names = [line.name for line in lines]
    rows = [
        row
        for scope, datasets in scopes(study).items()
        for row in _scope(
            scope,
            names,
            [np.stack([values.mean(line, dataset) for line in lines]) for dataset in datasets],
            rounds,
            generator(seed, "report", "pairs", scope),
        )
    ]
    return PAIRS.rows({name: [row[name] for row in rows] for name in PAIRS.schema.names})


def _scope(
    scope: str,
    names: Sequence[str],
    strata: list[Floats],
    rounds: int,
    rng: np.random.Generator,
) -> list[Row]:
    """Return the rows of one scope; each stratum is [systems, queries] of a data set."""
    pairs = list(combinations(range(len(names)), 2))
    signed = randomised(strata, pairs, rounds, rng)
    rows = [_pair([stratum[a] - stratum[b] for stratum in strata]) for a, b in pairs]
    corrected = statistics.holm([row["p"] for row in rows])
    return [
        {
            "scope": scope,
            "system": names[a],
            "against": names[b],
            **row,
            "p_randomisation": float(p_signed),
            "p_holm": p_holm,
        }
        for (a, b), row, p_signed, p_holm in zip(pairs, rows, signed, corrected, strict=True)
    ]


def _pair(differences: list[Floats]) -> Row:
    """Return the t-test of a pair, its interval, and how many queries each side wins.

    A data set of one query says nothing of others: the interval is then all that is possible.
    """
    from scipy import stats

    test = statistics.paired_t(differences)
    low, high = -1.0, 1.0
    if min(len(d) for d in differences) > 1:
        error = np.sqrt(sum(d.var(ddof=1) / len(d) for d in differences)) / len(differences)
        reach = stats.t.ppf((1 + LEVEL) / 2, test.degrees) if test.degrees else 0.0
        low, high = (test.difference + float(side * reach * error) for side in (-1, 1))
    return {
        "queries": sum(len(d) for d in differences),
        "difference": test.difference,
        "low": low,
        "high": high,
        "p": test.p,
        "wins": int(sum((d > 0).sum() for d in differences)),
        "losses": int(sum((d < 0).sum() for d in differences)),
    }


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

"""Any two systems compared, for each dataset and group.

A comparison that is in a declared family on a group has the record of that family. All others, and
those on single datasets, are judged by the same engine in a family of their scope: nobody declared
them beforehand, so their p is corrected over all of them.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from redistil.seeds import generator
from redistil.stages.report.numbers import inference, statistics
from redistil.stages.report.numbers.comparisons import Group, Settings, records
from redistil.stages.report.numbers.contrasts import columns_of
from redistil.stages.report.numbers.entries import Values, entries
from redistil.stages.report.numbers.inference import BETTER, WORSE, Record
from redistil.stages.report.numbers.statistics import Floats
from redistil.storage.tables import PAIRS
from redistil.study import artefacts as studies
from redistil.study.study import Study

EXPLORED = "explored"  # the family of what nobody declared, in each scope by itself
OPPOSITE = {BETTER: WORSE, WORSE: BETTER}


def scopes(study: Study) -> dict[str, list[str]]:
    """Return the datasets of each group, and of each dataset itself."""
    datasets: dict[str, list[str]] = dict(study["groups"])
    for dataset in study["grid"]["datasets"]:
        datasets[dataset] = [dataset]
    return datasets


def compare(study: Study, values: Values, rounds: int, seed: int) -> pa.Table:
    """Return rows of PAIRS: in each scope, every line of the leaderboard against every later.

    rounds: signings of the randomisation test, drawn under `seed`. Level and margin of the tests
    are those of the study.
    """
    lines = entries(studies.systems(study))
    first = study["grid"]["first_stage"]
    alpha, margin = study["statistics"]["alpha"], study["statistics"]["margin"]
    settings = Settings(alpha, rounds, seed, margin)
    groups = []
    for name, datasets in study["groups"].items():
        groups.append(Group(name, datasets, lines, first, values))
    declared = records(groups, settings)
    names = [line.name for line in lines]
    rows = []
    for scope, datasets in scopes(study).items():
        here = Group(scope, datasets, lines, first, values)
        rows += _scope(here, names, declared.get(scope, []), settings)
    return PAIRS.rows(columns_of(rows, PAIRS.schema.names))


def _scope(
    scope: Group, names: Sequence[str], declared: Sequence[Record], settings: Settings
) -> list[dict[str, Any]]:
    """Return the rows of one scope; declared: the records of its families."""
    pairs = list(combinations(names, 2))
    of_pair = _of_pairs(scope, pairs, declared, settings)
    rng = generator(settings.seed, "report", "pairs", scope.name)
    means = list(map(np.stack, zip(*map(scope.means, names), strict=True)))
    places = list(combinations(range(len(names)), 2))
    signed = randomised(means, places, settings.resamples, rng)
    rows = []
    for (one, other), p in zip(pairs, signed, strict=True):
        rows.append(_row(scope, one, other, of_pair[frozenset((one, other))], float(p)))
    return rows


def _of_pairs(
    scope: Group,
    pairs: Sequence[tuple[str, str]],
    declared: Sequence[Record],
    settings: Settings,
) -> dict[frozenset[str], Record]:
    """Return the record of every pair: that of its family, or else one of EXPLORED."""
    of_pair: dict[frozenset[str], Record] = {}
    for record in declared:
        of_pair[frozenset((record.system, record.against))] = record
    others = []
    for one, other in pairs:
        if frozenset((one, other)) not in of_pair:
            others.append(inference.compare(EXPLORED, scope.scope, one, other))
    for record in inference.judge(others, settings.alpha, settings.margin):
        of_pair[frozenset((record.system, record.against))] = record
    return of_pair


def _row(scope: Group, one: str, other: str, record: Record, p: float) -> dict[str, Any]:
    """Return the row of a pair; its record may be of the pair the other way round."""
    turned = record.system != one
    lead = np.concatenate(scope.lead(one, other))
    return {
        "scope": scope.name,
        "system": one,
        "against": other,
        "queries": scope.queries,
        "difference": -record.difference if turned else record.difference,
        "low": -record.high if turned else record.low,
        "high": -record.low if turned else record.high,
        "p": record.p,
        "p_holm": record.p_holm,
        "p_randomisation": p,
        "family": record.family,
        "over": record.over,
        "verdict": OPPOSITE.get(record.word, record.word) if turned else record.word,
        "wins": statistics.wins(lead),
        "losses": statistics.wins(-lead),
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
    width = len(pairs)
    for stratum in strata:
        width = max(width, stratum.shape[1])
    for some in statistics.at_once(rounds, width):
        sums: Any = 0.0
        for stratum in strata:
            signs = rng.integers(0, 2, (some, stratum.shape[1]), dtype=np.int8) * 2.0 - 1.0
            sums = sums + stratum @ signs.T / stratum.shape[1]
        leads = np.abs(sums[first] - sums[second]) / len(strata)
        reached += (leads >= observed[:, None] - 1e-12).sum(axis=1)
    p: Floats = (reached + 1) / (rounds + 1)
    return p

"""The mean of several teachers, and how far they agree."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redistil.errors import BadTable
from redistil.learning import ensembles
from redistil.machine import costs
from redistil.stages.teachers import COST
from redistil.storage import digests
from redistil.storage.lineage import Made
from redistil.storage.pieces import in_row_groups
from redistil.storage.stretches import stretches
from redistil.storage.tables import TEACHER_SCORES, aside

Floats = npt.NDArray[np.float32]
Ranks = npt.NDArray[np.int64]

COMPARED = 1 << 24  # signs of margins held at a time, for each member

ENSEMBLE = "ensemble"


def average(
    members: Sequence[Path], out: Path, agreement: Path, made: Made, standardise: str | None = None
) -> list[str]:
    """Write the mean of several teachers' scores, and how far they agree.

    standardise: as of `ensembles.mean`. agreement: JSON with each member's mean and spread. It also
    has the rank correlation and the share of inverted margins: for each two members and each with
    the ensemble. Members stream. What all members cost is written beside `out`, if it is known.
    Returns the agreement in sentences. Raises UserError when members scored different pairs.
    """
    names = [path.stem for path in members]
    agreed = Agreement([*names, ENSEMBLE])
    with aside(out) as first, aside(agreement) as second:
        with (
            TEACHER_SCORES.writer(first, made) as write,
            in_row_groups(TEACHER_SCORES, write) as append,
        ):
            for scored in ensembles.together(TEACHER_SCORES, members):
                mean = ensembles.mean(scored, standardise)
                agreed.add(scored.pairs["query_id"], np.vstack([scored.scores, mean[None]]))
                append(scored.pairs.append_column("score", pa.array(mean)))
        if not agreed.pairs:
            raise BadTable(f"{members[0]} has no score: score something with every member")
        digests.put_json(agreed.record(), second)
    spent = [member.with_suffix(COST) for member in members]
    costs.account_together(spent, agreed.pairs, out.with_suffix(COST))
    return agreed.said()


@dataclass
class Agreement:
    """How several teachers agree, query by query: sums over what was added.

    The rank correlation is Spearman's (ties share a rank): the mean over queries in which both
    vary. A margin is the difference of two passages' scores. Of the margins to which both teachers
    give a sign, those with opposite signs are inverted.
    """

    names: list[str]
    pairs: int = 0
    queries: int = 0
    total: Any = 0.0
    squares: Any = 0.0
    correlations: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    margins: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def add(self, query_id: pa.ChunkedArray, scores: Floats) -> None:
        """Add whole queries: query_id [N], sorted; scores [teachers, N]."""
        codes = query_id.combine_chunks().dictionary_encode().indices.to_numpy()
        starts, sizes = stretches(codes)
        wide = scores.astype(np.float64)
        self.pairs += len(codes)
        self.queries += len(starts)
        self.total = self.total + wide.sum(1)
        self.squares = self.squares + (wide**2).sum(1)
        for size in np.unique(sizes[sizes > 1]).tolist():
            of_size = starts[sizes == size]
            together = max(COMPARED // size**2, 1)
            for start in range(0, len(of_size), together):
                firsts = of_size[start : start + together]
                places = firsts[:, None] + np.arange(size)
                self._compare(scores[:, places])

    def _compare(self, scores: Floats) -> None:
        """Add queries with equally many passages; scores: [teachers, queries, passages]."""
        signs, ranks = [], []
        for of_teacher in scores:
            margins = of_teacher[:, :, None] - of_teacher[:, None, :]
            sign = np.sign(margins).astype(np.int8)
            signs.append(sign)
            ranks.append(sign.sum(2, dtype=np.int64))  # centred: 2 rank - n - 1
        for a, b in combinations(range(len(signs)), 2):
            self._count_margins((a, b), signs[a] * signs[b])
            self._correlate((a, b), ranks[a], ranks[b])

    def _count_margins(self, teachers: tuple[int, int], both: npt.NDArray[np.int8]) -> None:
        """both: 1 where two teachers order two passages alike, -1 where not, 0 where one ties."""
        ordered = int(np.count_nonzero(both)) // 2
        agreed = int(both.sum(dtype=np.int64)) // 2
        counts = self.margins.setdefault(teachers, [0, 0])
        counts[0] += (ordered - agreed) // 2
        counts[1] += ordered

    def _correlate(self, teachers: tuple[int, int], left: Ranks, right: Ranks) -> None:
        norm = np.sqrt((left**2).sum(1) * (right**2).sum(1))
        rho = (left * right).sum(1)[norm > 0] / norm[norm > 0]
        sums = self.correlations.setdefault(teachers, [0.0, 0])
        sums[0] += float(rho.sum())
        sums[1] += len(rho)

    def record(self) -> dict[str, Any]:
        """Return plain values; what cannot be said (a teacher that never varies) is None."""
        agreement = []
        for teachers in combinations(range(len(self.names)), 2):
            agreement.append(self._agreement(teachers))
        return {
            "queries": self.queries,
            "pairs": self.pairs,
            "scores": self._scores(),
            "agreement": agreement,
        }

    def _scores(self) -> list[dict[str, Any]]:
        means = self.total / self.pairs
        variances = np.maximum(self.squares / self.pairs - means**2, 0)
        spreads = np.sqrt(variances)
        scores = []
        for name, mean, spread in zip(self.names, means, spreads, strict=True):
            scores.append({"teacher": name, "mean": float(mean), "spread": float(spread)})
        return scores

    def _agreement(self, teachers: tuple[int, int]) -> dict[str, Any]:
        correlation, queries = self.correlations.get(teachers, (0, 0))
        inverted, margins = self.margins.get(teachers, (0, 0))
        return {
            "between": [self.names[teacher] for teacher in teachers],
            "rank_correlation": _share(correlation, queries),
            "inverted_margins": _share(inverted, margins),
            "margins": margins,
        }

    def said(self) -> list[str]:
        """Return the record in sentences."""
        record = self.record()
        lines = []
        for each in record["scores"]:
            lines.append(f"{each['teacher']}: mean {each['mean']:.3f}, spread {each['spread']:.3f}")
        for each in record["agreement"]:
            left, right = each["between"]
            lines.append(
                f"{left} and {right}: rank correlation {_said(each['rank_correlation'], '.3f')}, "
                f"{_said(each['inverted_margins'], '.1%')} of {each['margins']} margins inverted"
            )
        return lines


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _said(value: float | None, form: str) -> str:
    return "undefined" if value is None else format(value, form)

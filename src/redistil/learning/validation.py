"""How well a student ranks judged candidates while it is trained.

The definitions are those of the stage `measures`, whose library takes seconds to start: here they
are a few lines of numpy, and a test holds the two equal.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from redistil.errors import BadSettings
from redistil.learning.batches import Rows

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """The candidates of one data set, and what is known of them.

    query [N]: 0 to Q - 1; queries, passages [N]: rows of token files; grade [N], 0 where nobody
    judged; last [N]: place of the doc_id in descending order, which breaks ties; ideal: the
    grades of all judged passages, query by query, best first; relevant [Q]: how many reach
    relevant_from. Q counts every judged query, with candidates or without.
    """

    query: Rows
    queries: Rows
    passages: Rows
    grade: Floats
    last: Rows
    ideal: tuple[Floats, ...]
    relevant_from: int

    def value(self, measure: str, scores: npt.NDArray[np.float32]) -> float:
        """Return the mean over the judged queries of `measure`; one without candidates is 0."""
        function, cutoff = parse(measure)
        order = np.lexsort((self.last, -scores, self.query))
        bounds = np.searchsorted(self.query[order], np.arange(len(self.ideal) + 1))
        grades = self.grade[order]
        values = [
            function(grades[start:end][:cutoff], ideal, cutoff, self.relevant_from)
            for start, end, ideal in zip(bounds[:-1], bounds[1:], self.ideal, strict=True)
        ]
        return float(np.mean(values))


def _dcg(grades: Floats) -> float:
    return float((grades.clip(0) / np.log2(np.arange(len(grades)) + 2)).sum())


def ndcg(grades: Floats, ideal: Floats, cutoff: int | None, relevant_from: int) -> float:
    """Return the discounted gain of a ranking's grades over that of the ideal ranking."""
    best = _dcg(ideal[:cutoff])
    return _dcg(grades) / best if best else 0.0


def reciprocal_rank(grades: Floats, ideal: Floats, cutoff: int | None, relevant_from: int) -> float:
    """Return 1 / the rank of the first relevant passage."""
    hits = np.flatnonzero(grades >= relevant_from)
    return 1 / (int(hits[0]) + 1) if len(hits) else 0.0


def average_precision(
    grades: Floats, ideal: Floats, cutoff: int | None, relevant_from: int
) -> float:
    """Return the mean of the precisions at the ranks of all relevant passages."""
    ranks = np.flatnonzero(grades >= relevant_from) + 1
    relevant = int((ideal >= relevant_from).sum())
    return float((np.arange(1, len(ranks) + 1) / ranks).sum() / relevant) if relevant else 0.0


Function = Callable[[Floats, Floats, int | None, int], float]
MEASURES: dict[str, Function] = {
    "nDCG": ndcg,
    "RR": reciprocal_rank,
    "AP": average_precision,
}


def parse(measure: str) -> tuple[Function, int | None]:
    """Return the function and cutoff of a measure such as nDCG@10; BadSettings if it is none."""
    spelled = re.fullmatch(r"(nDCG|RR|AP)(?:@([1-9][0-9]*))?", measure)
    if spelled is None:
        raise BadSettings(
            f"validation.measure: wanted nDCG, RR or AP, with a cutoff such as @10 or without, got "
            f"{measure!r}"
        )
    return MEASURES[spelled[1]], int(spelled[2]) if spelled[2] else None

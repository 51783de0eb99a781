"""How well a student ranks judged candidates while it is trained."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from redistil.learning.batches import Rows
from redistil.study.measures import Floats, Ranking, parse


@dataclass(frozen=True)
class Judged:
    """The candidates of one dataset, and their judgements.

    query [N]: 0 to Q - 1; queries, passages [N]: rows of token files; grade [N], 0 where nobody
    judged; last [N]: place of the doc_id in descending order, which breaks ties; ideal: the
    grades of all judged passages, query by query, best first. Q counts every judged query, with
    candidates or without.
    """

    query: Rows
    queries: Rows
    passages: Rows
    grade: Floats
    last: Rows
    ideal: tuple[Floats, ...]
    relevant_from: int

    def value(self, name: str, scores: npt.NDArray[np.float32]) -> float:
        """Return the mean of a measure over the judged queries; one without candidates is 0."""
        measure = parse(name)
        order = np.lexsort((self.last, -scores, self.query))
        grades = self.grade[order]
        bounds = np.searchsorted(self.query[order], np.arange(len(self.ideal) + 1))
        values = np.zeros(len(self.ideal))
        for query, ideal in enumerate(self.ideal):
            ranked = grades[bounds[query] : bounds[query + 1]]
            shown = ranked[: measure.cutoff]
            ranking = Ranking(shown, ideal, measure.cutoff, self.relevant_from)
            values[query] = measure.kind.value(ranking)
        return float(np.mean(values))

"""Rank and score of a run from elsewhere: whether they tell one order, and which it is.

Scores decide. Passages of equal score fall by the rank that the file gives them, and where it
gives none by doc_id, downwards. A query whose passages all have one rank has no ranks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redistil.errors import BadTable

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]

ORDER = [
    ("query_id", "ascending"),
    ("score", "descending"),
    ("rank", "ascending"),
    ("doc_id", "descending"),
]


def _as_they_are(rows: pa.Table) -> pa.Table:
    return rows


@dataclass
class Order:
    """Agreement of rank and score in a run, counted as its pieces pass by.

    inverted: passages that score less than one of a worse rank; first: an example.
    tied: passages with the score of the one before; by_rank: those of them that ranks tell apart.
    spelled: makes ids of the codes that rows may have in their place.
    """

    spelled: Callable[[pa.Table], pa.Table] = _as_they_are
    passages: int = 0
    inverted: int = 0
    first: str = ""
    tied: int = 0
    by_rank: int = 0

    def add(self, rows: pa.Table) -> pa.Table:
        """Count the rows (query_id, doc_id, score, rank), whole queries in ORDER, and return them.

        The scores that come back are strictly ordered where ranks are: a tie falls by the least
        step of a float32.
        """
        steps = _Steps.of(rows)
        inverted = steps.follows & ~steps.tied & (steps.rises < 0)
        by_rank = steps.tied & (steps.rises > 0)
        self.passages += len(rows)
        self.inverted += int(inverted.sum())
        self.tied += int(steps.tied.sum())
        self.by_rank += int(by_rank.sum())
        if inverted.any() and not self.first:
            self.first = self._example(rows, int(np.argmax(inverted)))
        if not by_rank.any():
            return rows
        scores = _told_apart(steps, rows["score"].to_numpy())
        place = rows.column_names.index("score")
        return rows.set_column(place, "score", pa.array(scores, pa.float32()))

    def _example(self, rows: pa.Table, place: int) -> str:
        higher, lower = self.spelled(rows.slice(place - 1, 2)).to_pylist()
        return (
            f"query {lower['query_id']!r}: rank {lower['rank']} scores {lower['score']:.6g}, "
            f"rank {higher['rank']} scores {higher['score']:.6g}"
        )

    def refuse(self, who: str) -> None:
        """Raise BadTable where ranks and scores contradict each other."""
        if self.inverted:
            raise BadTable(
                f"{who}: {self.inverted} of {self.passages} passages score less than one of a "
                f"worse rank (first: {self.first}): let scores fall from rank to rank, or write "
                "one rank in all lines if the scores are right"
            )

    def said(self) -> list[str]:
        """Return how many passages tie, and what ordered them; nothing where none does."""
        if not self.tied:
            return []
        ties = f"{self.tied} of {self.passages} passages have the score of the one before them"
        return [
            f"{ties}: {self.by_rank} ordered by their rank, {self.tied - self.by_rank} by doc_id"
        ]


@dataclass(frozen=True)
class _Steps:
    """Of each row: whether it follows one of its query, whether it ties with that, and by how
    many ranks it is worse.
    """

    follows: Flags
    tied: Flags
    rises: npt.NDArray[np.int64]

    @staticmethod
    def of(rows: pa.Table) -> "_Steps":
        query = rows["query_id"].combine_chunks().dictionary_encode().indices.to_numpy()
        score, rank = rows["score"].to_numpy(), rows["rank"].to_numpy()
        follows = np.zeros(len(rows), bool)
        follows[1:] = query[1:] == query[:-1]
        tied = follows.copy()
        tied[1:] &= score[1:] == score[:-1]
        return _Steps(follows, tied, np.diff(rank, prepend=rank[:1]))


def _told_apart(steps: _Steps, scores: Scores) -> Scores:
    """Return scores that fall, by a step at least, wherever the rank grows within a tie."""
    apart = scores.copy()
    follows, tied, rises = steps.follows.tolist(), steps.tied.tolist(), steps.rises.tolist()
    lowest = np.float32(-np.inf)
    for row in range(1, len(scores)):
        if not follows[row] or (not tied[row] and scores[row] < apart[row - 1]):
            continue
        is_equal = tied[row] and rises[row] == 0
        apart[row] = apart[row - 1] if is_equal else np.nextafter(apart[row - 1], lowest)
    return apart

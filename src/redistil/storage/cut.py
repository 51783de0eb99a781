"""Scored pairs cut at a depth, in canonical order."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redistil.storage.tables import ranked


class Candidates(NamedTuple):
    """Scored pairs as rows of queries and of passages, query by query."""

    query: npt.NDArray[np.int32]
    passage: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]

    def at(self, where: npt.NDArray[np.generic]) -> "Candidates":
        """Return the candidates at these positions, or where the mask is true."""
        return Candidates(self.query[where], self.passage[where], self.score[where])

    def moved(self, queries: int, passages: int) -> "Candidates":
        """Return the candidates with so much added to the rows of their queries and passages."""
        return Candidates(self.query + np.int32(queries), self.passage + passages, self.score)

    def pairs(self, query_ids: pa.Array, doc_ids: pa.Array) -> pa.Table:
        """Return the ids that the rows stand for, with the scores."""
        return pa.table(
            {
                "query_id": query_ids.take(pa.array(self.query)),
                "doc_id": doc_ids.take(pa.array(self.passage)),
                "score": pa.array(self.score, pa.float32()),
            }
        )


NOTHING = Candidates(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float32))


def joined(*parts: Candidates) -> Candidates:
    """Return the candidates of all parts, in the order given."""
    query, passage, score = zip(*parts, strict=True)
    return Candidates(np.concatenate(query), np.concatenate(passage), np.concatenate(score))


def first(pairs: pa.Table, depth: int, drop_identical: bool) -> pa.Table:
    """Return scored pairs as a run cut at `depth`."""
    if drop_identical:
        pairs = pairs.filter(pc.not_equal(pairs["query_id"], pairs["doc_id"]))
    run = ranked(pairs["query_id"], pairs["doc_id"], pairs["score"])
    return run.filter(pc.less_equal(run["rank"], depth))

"""Students that encode query and passage apart, and then let the two meet."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor

from redistil.learning.batches import Rows
from redistil.learning.pairs import Pairs
from redistil.learning.students.interface import Base
from redistil.learning.students.states import States
from redistil.storage.ragged import Tokens


class Apart(Base):
    """A student whose score is a function of the states of a query and those of a passage.

    A score of stored states differs from one computed at once in where the states come from, and
    in nothing else.

    encodes_once: whether the states of a step's texts are all in memory before any two meet.
    """

    encodes_once = True

    def query_sizes(self, texts: Sequence[Tokens]) -> Rows:
        """Return how many tokens of each query are read, special ones included."""
        raise NotImplementedError

    def passage_sizes(self, texts: Sequence[Tokens]) -> Rows:
        """Return how many tokens of each passage are read, special ones included."""
        raise NotImplementedError

    def encode_queries(self, texts: Sequence[Tokens]) -> States:
        """Return the states of queries."""
        raise NotImplementedError

    def encode_passages(self, texts: Sequence[Tokens]) -> States:
        """Return the states of passages."""
        raise NotImplementedError

    def interact(self, queries: States, passages: States, query: Rows, passage: Rows) -> Tensor:
        """Return the scores [N], float32, of pairs (query[n], passage[n]) of encoded texts."""
        raise NotImplementedError

    def costs(self, pairs: Pairs) -> list[int]:
        """Return how many tokens the two texts of each pair have."""
        queries, passages = self.query_sizes(pairs.queries), self.passage_sizes(pairs.passages)
        costs: list[int] = (queries[pairs.query] + passages[pairs.passage]).tolist()
        return costs

    def scores(self, pairs: Pairs) -> Tensor:
        """Return the raw score of each pair [N]; every text is encoded once."""
        queries = self.encode_queries(pairs.queries)
        passages = self.encode_passages(pairs.passages)
        return self.interact(queries, passages, pairs.query, pairs.passage)


def in_float32(values: Tensor) -> AbstractContextManager[None]:
    """Let products be computed in float32 on the device of `values`.

    A sum of 768 products near 100 has no digit after the point in bfloat16: scores would tie.
    """
    return torch.autocast(values.device.type, enabled=False)


def by_query(query: Rows) -> list[tuple[int, Rows]]:
    """Return each query of N pairs with the places of its pairs."""
    order = np.argsort(query, kind="stable")
    queries, starts = np.unique(query[order], return_index=True)
    return list(zip(queries.tolist(), np.split(order, starts[1:]), strict=True))

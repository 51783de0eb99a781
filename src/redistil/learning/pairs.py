"""Pairs of a query and a passage, in which every distinct text stands once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from redistil.learning.batches import Rows
from redistil.storage.ragged import Ragged, Tokens


@dataclass(frozen=True)
class Pairs:
    """N pairs of texts, as token ids without special tokens, not yet cut.

    queries, passages: the distinct texts; query, passage [N]: the places of a pair's two texts in
    these. A student that encodes the sides apart encodes every text once.
    """

    queries: Sequence[Tokens]
    passages: Sequence[Tokens]
    query: Rows
    passage: Rows

    def __len__(self) -> int:
        return len(self.query)

    @classmethod
    def aligned(cls, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> "Pairs":
        """Return the pairs of N queries and N passages; all of them count as different texts."""
        places = np.arange(len(queries))
        return cls(queries, passages, places, places)

    @classmethod
    def of_rows(
        cls, queries: Ragged, passages: Ragged, query_rows: Rows, passage_rows: Rows
    ) -> "Pairs":
        """Return the pairs of N rows of two token files."""
        distinct_queries, query = np.unique(query_rows, return_inverse=True)
        distinct_passages, passage = np.unique(passage_rows, return_inverse=True)
        query_texts = [queries[row] for row in distinct_queries]
        passage_texts = [passages[row] for row in distinct_passages]
        return cls(query_texts, passage_texts, query, passage)

    def at(self, places: Rows) -> "Pairs":
        """Return some of the pairs, with no text that none of them has."""
        query_places, query = np.unique(self.query[places], return_inverse=True)
        passage_places, passage = np.unique(self.passage[places], return_inverse=True)
        queries = [self.queries[place] for place in query_places]
        passages = [self.passages[place] for place in passage_places]
        return Pairs(queries, passages, query, passage)

    def query_texts(self) -> list[Tokens]:
        """Return the query of each pair [N]."""
        return [self.queries[place] for place in self.query]

    def passage_texts(self) -> list[Tokens]:
        """Return the passage of each pair [N]."""
        return [self.passages[place] for place in self.passage]

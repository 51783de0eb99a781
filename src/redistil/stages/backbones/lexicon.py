"""BM25 over token ids: which passages look alike, and what each query token is worth.

The warm-up's private teacher. Robertson and Zaragoza 2009, with Lucene's idf; passages are cut to
what the encoder will see of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from sparse_dot_topn import sp_matmul_topn
from torch import Tensor

from redistil.storage.ragged import Tokens


@dataclass(frozen=True)
class Lexicon:
    """idf [V] of every token, the mean passage length, and BM25's k1 and b."""

    idf: npt.NDArray[np.float32]
    mean_length: float
    k1: float
    b: float

    @classmethod
    def of(cls, passages: Sequence[Tokens], vocabulary: int, k1: float, b: float) -> "Lexicon":
        """Return the lexicon of a collection."""
        found = np.zeros(vocabulary)
        for tokens in passages:
            found[np.unique(tokens)] += 1
        idf = np.log(1 + (len(passages) - found + 0.5) / (found + 0.5))
        return cls(idf.astype(np.float32), float(np.mean([len(t) for t in passages])), k1, b)

    def neighbours(
        self, queries: Sequence[Tokens], passages: Sequence[Tokens], depth: int
    ) -> list[npt.NDArray[np.int64]]:
        """Return the rows of the `depth` best passages of each query that share a word."""
        terms = _counts(passages, len(self.idf)).tocoo()
        lengths = np.array([len(tokens) for tokens in passages])
        weights = self.idf[terms.col] * self._saturated(terms.data, lengths[terms.row])
        index = sparse.csr_matrix(
            (weights.astype(np.float32), (terms.row, terms.col)), shape=terms.shape
        )
        asked = _counts(queries, len(self.idf))
        best = sp_matmul_topn(asked, index.T.tocsr(), top_n=depth, sort=True)
        return [
            best.indices[start:end].astype(np.int64)
            for start, end in zip(best.indptr[:-1], best.indptr[1:], strict=True)
        ]

    def worth(self, ids: Tensor, counts: Tensor, lengths: Tensor) -> Tensor:
        """Return what each token [N, L] adds to BM25, occurring `counts` times on the other side.

        lengths [N, 1]: words of the passage.
        """
        worth: Tensor = torch.from_numpy(self.idf)[ids] * self._saturated(counts, lengths)
        return worth

    def _saturated(self, counts: Any, lengths: Any) -> Any:
        norm = self.k1 * (1 - self.b + self.b * lengths / self.mean_length)
        return counts * (self.k1 + 1) / (counts + norm)


def _counts(texts: Sequence[Tokens], vocabulary: int) -> sparse.csr_matrix:
    """Return how often each text [rows] has each token [columns]."""
    rows = np.repeat(np.arange(len(texts)), [len(t) for t in texts])
    columns = np.concatenate([np.zeros(0, np.int32), *texts])
    ones = np.ones(len(rows), np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), shape=(len(texts), vocabulary))

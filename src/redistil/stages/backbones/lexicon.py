"""BM25 over token ids: which passages are lexically near, and how much each token adds.

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
        frequency = np.zeros(vocabulary)  # of a token: passages that have it
        for tokens in passages:
            frequency[np.unique(tokens)] += 1
        idf = np.log(1 + (len(passages) - frequency + 0.5) / (frequency + 0.5))
        mean_length = float(np.mean(_lengths(passages)))
        return cls(idf.astype(np.float32), mean_length, k1, b)

    def neighbours(
        self, queries: Sequence[Tokens], passages: Sequence[Tokens], depth: int
    ) -> list[npt.NDArray[np.int64]]:
        """Return the rows of the `depth` best passages of each query that share a word."""
        terms = _counts(passages, len(self.idf)).tocoo()
        lengths = _lengths(passages)
        weights = self.idf[terms.col] * self._saturated(terms.data, lengths[terms.row])
        cells = weights.astype(np.float32), (terms.row, terms.col)
        index = sparse.csr_matrix(cells, shape=terms.shape)
        counts = _counts(queries, len(self.idf))
        best = sp_matmul_topn(counts, index.T.tocsr(), top_n=depth, sort=True)
        rows = best.indices.astype(np.int64)
        return np.split(rows, best.indptr[1:-1])

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
    rows = np.repeat(np.arange(len(texts)), _lengths(texts))
    columns = np.concatenate([np.zeros(0, np.int32), *texts])
    ones = np.ones(len(rows), np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), shape=(len(texts), vocabulary))


def _lengths(texts: Sequence[Tokens]) -> npt.NDArray[np.int64]:
    return np.fromiter(map(len, texts), np.int64, len(texts))

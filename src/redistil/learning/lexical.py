"""BM25 over the passages of a corpus: scores of all passages, or of given pairs."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

from redistil.errors import BadTable
from redistil.learning.words import queries_in_words, tokenizer
from redistil.storage.identifiers import Places
from redistil.storage.stretches import stretches
from redistil.storage.tables import PASSAGES, QUERIES

Scores = npt.NDArray[np.float32]

PIECE = 1 << 12  # passages whose words are Python objects at a time


class Index:
    """The words of a file of passages, scored by BM25 (Lucene's variant).

    doc_ids: of the passages, in the order of the scores. Raises BadTable where no passage has a
    word.
    """

    def __init__(self, passages: Path, *, k1: float, b: float, stemmer: str) -> None:
        import bm25s

        self._tokenizer = tokenizer(stemmer)
        self._index = bm25s.BM25(k1=k1, b=b, method="lucene", csc_backend="scipy")
        self._index.index(Words(passages, self._tokenizer), show_progress=False)
        self.doc_ids = PASSAGES.read(passages, ["doc_id"])["doc_id"].combine_chunks()

    def words(self, queries: Iterable[str]) -> list[list[str]]:
        """Return the words of each query, as `scores` takes them."""
        return queries_in_words(self._tokenizer, queries)

    def scores(self, query: Sequence[str]) -> Scores:
        """Return the score of every passage for the words of a query; 0 where none occurs."""
        scores: Scores = self._index.get_scores_from_ids(self._index.get_tokens_ids(query))
        return scores


class PairScorer:
    """BM25's scores of given pairs of the queries and passages of two files."""

    def __init__(self, queries: Path, passages: Path, *, k1: float, b: float, stemmer: str) -> None:
        texts = QUERIES.read(queries)
        self._index = Index(passages, k1=k1, b=b, stemmer=stemmer)
        self._words = self._index.words(texts["text"].to_pylist())
        self._queries = Places(texts["query_id"], queries)
        self._passages = Places(self._index.doc_ids, passages)

    def scores(self, pairs: pa.Table) -> Scores:
        """Return the score of each pair (query_id, doc_id); those of a query are adjacent.

        They are those of a first stage over the same passages. Raises BadTable naming the first
        unknown id.
        """
        queries = self._queries.of(pairs["query_id"])
        passages = self._passages.of(pairs["doc_id"])
        starts, sizes = stretches(queries)
        scores = np.empty(len(pairs), np.float32)
        for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
            own = slice(start, start + size)
            of_all = self._index.scores(self._words[queries[start]])
            scores[own] = of_all[passages[own]]
        return scores


class Flat(NamedTuple):
    """The words of some passages one after the other, and where the words of each end."""

    words: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int64]


def _flat(passages: Sequence[Sequence[int]]) -> Flat:
    ends = np.cumsum(list(map(len, passages)))
    words = np.fromiter(chain.from_iterable(passages), np.int32, int(ends[-1]))
    return Flat(words, ends)


class Words:
    """The words of passages as numbers, read in pieces: the input of an index of bm25s.

    ids iterates over the numbers of each passage like a list of lists, but holds 4 bytes a word.
    """

    def __init__(self, passages: Path, tokenizer: Any) -> None:
        self._pieces: list[Flat] = []
        total = PASSAGES.count(passages)
        with tqdm(total=total, desc="passages", unit_scale=True, delay=1) as bar:
            for texts in _pieces(passages):
                words = list(tokenizer.streaming_tokenize(texts, allow_empty=False))
                self._pieces.append(_flat(words))
                bar.update(len(texts))
        self.vocab: dict[str, int] = tokenizer.get_vocab_dict()
        if not self.vocab:
            raise BadTable(f"{passages}: none of {total} passages has a word to be found by")

    @property
    def ids(self) -> "Words":
        return self

    def __len__(self) -> int:
        return sum(len(piece.ends) for piece in self._pieces)

    def __iter__(self) -> Iterator[list[int]]:
        for piece in self._pieces:
            words = piece.words.tolist()
            start = 0
            for end in piece.ends.tolist():
                yield words[start:end]
                start = end


def _pieces(passages: Path) -> Iterator[list[str]]:
    for batch in PASSAGES.batches(passages, ["text"]):
        for start in range(0, len(batch), PIECE):
            yield batch["text"].slice(start, PIECE).to_pylist()

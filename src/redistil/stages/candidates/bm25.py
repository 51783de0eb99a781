"""BM25 as a first stage."""

import logging
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

from redistil.errors import BadTable
from redistil.stages.candidates.cut import Candidates, first
from redistil.stages.candidates.judged import Judged
from redistil.stages.candidates.words import queries_in_words, tokenizer
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QUERIES, RUN

TOGETHER = 256  # queries ranked and written at once
PIECE = 1 << 12  # passages whose words are Python objects at a time

_log = logging.getLogger(__name__)


def retrieve_bm25(
    passages: Path,
    queries: Path,
    qrels: Path,
    out: Path,
    made: Made,
    *,
    k1: float,
    b: float,
    stemmer: str,
    depth: int,
    drop_identical: bool,
    least_success: float,
) -> None:
    """Write the `depth` best passages of each query under BM25 (Lucene's variant).

    A passage without any word of the query is no candidate. Raises BadSource, as `Judged` does,
    when too few queries find a relevant passage.
    """
    divider = tokenizer(stemmer)
    index = _index(Words(passages, divider), k1, b)
    doc_ids = PASSAGES.read(passages, ["doc_id"])["doc_id"].combine_chunks()
    texts = QUERIES.read(queries)
    query_ids = texts["query_id"].combine_chunks()
    words = queries_in_words(divider, texts["text"].to_pylist())
    _warn_without_words(query_ids, words)
    keep = depth + int(drop_identical)
    judged = Judged(qrels, least_success)
    with RUN.writer(out, made) as write:
        for start, candidates in _batches(index, words, keep):
            pairs = candidates.pairs(query_ids.slice(start, TOGETHER), doc_ids)
            write(judged.passing(first(pairs, depth, drop_identical)))
        judged.conclude(made.name)


def _index(words: "Words", k1: float, b: float) -> Any:
    import bm25s

    index = bm25s.BM25(k1=k1, b=b, method="lucene", csc_backend="scipy")
    index.index(words, show_progress=False)
    return index


def _warn_without_words(query_ids: pa.Array, words: Sequence[Sequence[str]]) -> None:
    """Log the queries that have no word at all, or none but stop words."""
    empty = [place for place, query in enumerate(words) if not query]
    if empty:
        _log.warning(
            "BM25: %d of %d queries have no word but stop words (first: %r): no candidate for them",
            len(empty),
            len(words),
            query_ids[empty[0]].as_py(),
        )


def _batches(index: Any, words: Sequence[list[str]], keep: int) -> Iterator[tuple[int, Candidates]]:
    """Yield the candidates of `TOGETHER` queries, and the row of the first of these."""
    with tqdm(total=len(words), unit="query", desc="retrieving", delay=1) as bar:
        for start in range(0, len(words), TOGETHER):
            some = words[start : start + TOGETHER]
            yield start, _candidates(index, some, keep)
            bar.update(len(some))


def _candidates(index: Any, queries: Sequence[list[str]], keep: int) -> Candidates:
    """Return the best passages of queries in words, as `_best` chooses them."""
    query, passage, score = [], [], []
    for row, words in enumerate(queries):
        scores = index.get_scores_from_ids(index.get_tokens_ids(words))
        best = _best(scores, keep)
        query.append(np.full(len(best), row, np.int32))
        passage.append(best)
        score.append(scores[best])
    return Candidates(np.concatenate(query), np.concatenate(passage), np.concatenate(score))


def _best(scores: npt.NDArray[np.float32], keep: int) -> npt.NDArray[np.int64]:
    """Return the rows of the `keep` highest scores above 0, and all that tie with the last."""
    rows = np.flatnonzero(scores > 0)
    if len(rows) > keep:
        last = np.partition(scores[rows], -keep)[-keep]
        rows = rows[scores[rows] >= last]
    return rows


def _pieces(passages: Path) -> Iterator[list[str]]:
    for batch in PASSAGES.batches(passages, ["text"]):
        for start in range(0, len(batch), PIECE):
            yield batch["text"].slice(start, PIECE).to_pylist()


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

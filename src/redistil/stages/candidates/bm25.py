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
from redistil.stages.candidates.cut import first
from redistil.stages.candidates.judged import Judged
from redistil.stages.candidates.words import queries_in_words, tokenizer
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QUERIES, RUN

TOGETHER = 256  # queries ranked and written at once
PIECE = 1 << 12  # passages whose words are Python objects at a time

_log = logging.getLogger(__name__)


class Hits(NamedTuple):
    """Passages that a query retrieves, by their rows, with their scores."""

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


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
    import bm25s

    texts = QUERIES.read(queries)
    divider = tokenizer(stemmer)
    index = bm25s.BM25(k1=k1, b=b, method="lucene", csc_backend="scipy")
    index.index(Words(passages, divider), show_progress=False)
    doc_ids = PASSAGES.read(passages, ["doc_id"])["doc_id"].combine_chunks()
    query_ids = texts["query_id"].combine_chunks()
    words = queries_in_words(divider, texts["text"].to_pylist())
    _warn_without_words(query_ids, words)
    keep = depth + int(drop_identical)
    judged = Judged(qrels, least_success)
    with (
        RUN.writer(out, made) as write,
        tqdm(total=len(words), unit="query", desc="retrieving", delay=1) as bar,
    ):
        for start in range(0, len(words), TOGETHER):
            some = words[start : start + TOGETHER]
            hits = [_best(index, query, keep) for query in some]
            pairs = _pairs(query_ids.slice(start, len(hits)), doc_ids, hits)
            write(judged.passing(first(pairs, depth, drop_identical)))
            bar.update(len(hits))
        judged.conclude(made.name)


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


def _best(index: Any, query: list[str], keep: int) -> Hits:
    """Return the `keep` passages of highest score above 0, and all that tie with the last."""
    scores = index.get_scores_from_ids(index.get_tokens_ids(query))
    rows = np.flatnonzero(scores > 0)
    if len(rows) > keep:
        last = np.partition(scores[rows], -keep)[-keep]
        rows = rows[scores[rows] >= last]
    return Hits(rows, scores[rows])


def _pieces(passages: Path) -> Iterator[list[str]]:
    for batch in PASSAGES.batches(passages, ["text"]):
        for start in range(0, len(batch), PIECE):
            yield batch["text"].slice(start, PIECE).to_pylist()


class Words:
    """The words of passages as numbers, read in pieces: the input of an index of bm25s.

    ids iterates over the numbers of each passage like a list of lists, but holds 4 bytes a word.
    """

    def __init__(self, passages: Path, tokenizer: Any) -> None:
        self._pieces: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]] = []
        total = PASSAGES.count(passages)
        with tqdm(total=total, desc="passages", unit_scale=True, delay=1) as bar:
            for texts in _pieces(passages):
                words = list(tokenizer.streaming_tokenize(texts, allow_empty=False))
                ends = np.cumsum(list(map(len, words)))
                flat = np.fromiter(chain.from_iterable(words), np.int32, int(ends[-1]))
                self._pieces.append((flat, ends))
                bar.update(len(texts))
        self.vocab: dict[str, int] = tokenizer.get_vocab_dict()
        if not self.vocab:
            raise BadTable(f"{passages}: none of {total} passages has a word to be found by")

    @property
    def ids(self) -> "Words":
        return self

    def __len__(self) -> int:
        return sum(len(ends) for _, ends in self._pieces)

    def __iter__(self) -> Iterator[list[int]]:
        for flat, ends in self._pieces:
            words, starts = flat.tolist(), [0, *ends[:-1].tolist()]
            for start, end in zip(starts, ends.tolist(), strict=True):
                yield words[start:end]


def _pairs(query_ids: pa.Array, doc_ids: pa.Array, hits: Sequence[Hits]) -> pa.Table:
    """Return the hits of consecutive queries as scored pairs."""
    counts = [len(each.rows) for each in hits]
    queries = np.repeat(np.arange(len(hits)), counts)
    rows = np.concatenate([each.rows for each in hits])
    scores = np.concatenate([each.scores for each in hits])
    return pa.table(
        {
            "query_id": query_ids.take(pa.array(queries)),
            "doc_id": doc_ids.take(pa.array(rows)),
            "score": pa.array(scores, pa.float32()),
        }
    )

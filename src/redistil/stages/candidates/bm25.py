"""BM25 as a first stage."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tqdm import tqdm

from redistil.errors import BadTable
from redistil.stages.candidates.cut import first
from redistil.stages.candidates.judged import Judged
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QUERIES, RUN

TOGETHER = 256  # queries ranked and written at once
PIECE = 1 << 12  # passages whose words are Python's objects at a time


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

    A passage without any word of the query is no candidate. A run that finds nothing is refused, as
    by `Judged`.
    """
    import bm25s
    import Stemmer
    from bm25s.tokenization import Tokenizer

    asked = QUERIES.read(queries)
    options = {"stemmer": Stemmer.Stemmer(stemmer), "stopwords": "en"}
    index = bm25s.BM25(k1=k1, b=b, method="lucene", csc_backend="scipy")
    index.index(Words(passages, Tokenizer(**options)), show_progress=False)
    keep = depth + int(drop_identical)
    doc_ids = PASSAGES.read(passages, ["doc_id"])["doc_id"].combine_chunks()
    query_ids = asked["query_id"].combine_chunks()
    words = bm25s.tokenize(
        asked["text"].to_pylist(), return_ids=False, show_progress=False, **options
    )
    judged = Judged(qrels, least_success)
    with RUN.writer(out, made) as write:
        for start in tqdm(range(0, len(words), TOGETHER), unit=f"{TOGETHER} queries", delay=1):
            found = []
            for query in words[start : start + TOGETHER]:
                scores = index.get_scores_from_ids(index.get_tokens_ids(query))
                rows = _best(scores, keep)
                found.append((rows, scores[rows]))
            pairs = _pairs(query_ids.slice(start, len(found)), doc_ids, found)
            write(judged.passing(first(pairs, depth, drop_identical)))
        judged.conclude(made.name)


def _pieces(passages: Path) -> Iterator[list[str]]:
    for batch in PASSAGES.batches(passages, ["text"]):
        for start in range(0, len(batch), PIECE):
            yield batch["text"].slice(start, PIECE).to_pylist()


class Words:
    """The words of passages, which are read in pieces, as numbers: what bm25s makes an index of.

    ids goes over the numbers of each passage like a list of lists, but holds 4 bytes a word.
    """

    def __init__(self, passages: Path, tokenizer: Any) -> None:
        self._pieces: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]] = []
        total = PASSAGES.count(passages)
        with tqdm(total=total, desc="passages", unit_scale=True, delay=1) as bar:
            for texts in _pieces(passages):
                found = list(tokenizer.streaming_tokenize(texts, allow_empty=False))
                ends = np.cumsum([len(words) for words in found])
                flat = np.fromiter(chain.from_iterable(found), np.int32, int(ends[-1]))
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


Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]  # rows of passages, scores


def _pairs(query_ids: pa.Array, doc_ids: pa.Array, found: Sequence[Found]) -> pa.Table:
    owners = np.repeat(np.arange(len(found)), [len(rows) for rows, _ in found])
    return pa.table(
        {
            "query_id": query_ids.take(pa.array(owners)),
            "doc_id": doc_ids.take(pa.array(np.concatenate([rows for rows, _ in found]))),
            "score": pa.array(np.concatenate([scores for _, scores in found]), pa.float32()),
        }
    )


def _best(scores: npt.NDArray[np.float32], keep: int) -> npt.NDArray[np.int64]:
    """Return the rows of the `keep` highest scores above 0, and all that tie with the last."""
    rows = np.flatnonzero(scores > 0)
    if len(rows) > keep:
        rows = rows[scores[rows] >= np.partition(scores[rows], -keep)[-keep]]
    return rows

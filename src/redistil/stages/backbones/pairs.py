"""The training pairs of a warm-up: queries and passages as token ids."""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redistil.storage.ragged import Tokens

_log = logging.getLogger(__name__)

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """Queries with a relevant passage each, as token ids.

    ids[i], queries[i], positives[i]: id of a query, its tokens, and the row of its passage.
    """

    passages: list[Tokens]
    ids: list[str]
    queries: list[Tokens]
    positives: Rows

    @classmethod
    def of(cls, tokenizer: Any, passages: pa.Table, queries: pa.Table, qrels: pa.Table) -> "Pairs":
        """Return the pairs of a dataset.

        qrels: of relevant passages alone; those of queries that are not in `queries` are passed
        over.
        """
        columns = queries.to_pydict()
        text_of = dict(zip(columns["query_id"], columns["text"], strict=True))
        row_of = {doc_id: row for row, doc_id in enumerate(passages["doc_id"].to_pylist())}
        ids: list[str] = []
        texts: list[str] = []
        positives: list[int] = []
        for judgement in qrels.select(["query_id", "doc_id"]).to_pylist():
            query_id, doc_id = judgement["query_id"], judgement["doc_id"]
            if query_id in text_of and doc_id in row_of:
                ids.append(query_id)
                texts.append(text_of[query_id])
                positives.append(row_of[doc_id])
        tokens = _tokens(tokenizer, passages["text"].to_pylist())
        return cls(tokens, ids, _tokens(tokenizer, texts), np.array(positives, np.int64))

    def parted(self, ids: Collection[str]) -> tuple["Pairs", "Pairs"]:
        """Return the pairs of all other queries, and those of the queries `ids`."""
        inside: list[int] = []
        outside: list[int] = []
        for row, query_id in enumerate(self.ids):
            (inside if query_id in ids else outside).append(row)
        return self._only(outside), self._only(inside)

    def _only(self, rows: list[int]) -> "Pairs":
        ids = [self.ids[row] for row in rows]
        return Pairs(self.passages, ids, taken(self.queries, rows), self.positives[rows])


class Relevant:
    """The passages that are no negatives of a query: the relevant ones, and their copies.

    A copy has the tokens of another passage, as far as the encoder reads. A passage without a token
    has none. The log counts the copies of relevant passages.
    """

    def __init__(self, pairs: Pairs, length: int) -> None:
        """Find the copies; length: the tokens of a passage that the encoder reads."""
        self._first = _first_rows(pairs.passages, length)
        self._ids = pairs.ids
        self._of_query: defaultdict[str, set[int]] = defaultdict(set)
        own = self._first[pairs.positives]
        for query_id, row in zip(pairs.ids, own, strict=True):
            self._of_query[query_id].add(row)
        copies = np.isin(self._first, own).sum() - len(np.unique(pairs.positives))
        if copies:
            _log.info("%d passages read like a relevant one: no negatives of its query", copies)

    def among(self, rows: Rows, passages: Rows) -> Flags:
        """Return which of the passages [N, W] are no negatives of the queries of `rows` [N]."""
        relevant = np.zeros(passages.shape, bool)
        for place, row in enumerate(rows):
            own = list(self._of_query[self._ids[row]])
            relevant[place] = np.isin(self._first[passages[place]], own)
        return relevant


def _first_rows(passages: Sequence[Tokens], length: int) -> Rows:
    """Return for each passage the first row of the same tokens, up to `length`."""
    first: dict[bytes, int] = {}
    rows = np.arange(len(passages))
    for row, tokens in enumerate(passages):
        if len(tokens):
            rows[row] = first.setdefault(tokens[:length].tobytes(), row)
    return rows


def _tokens(tokenizer: Any, texts: Sequence[str]) -> list[Tokens]:
    encoded = tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
    return [np.asarray(ids, np.int32) for ids in encoded]


def taken(texts: Sequence[Tokens], rows: Iterable[int]) -> list[Tokens]:
    """Return the texts of these rows."""
    return [texts[row] for row in rows]

"""Scored triples and scored pairs, each once, from sorted rows of whole queries.

Pure: tables of codes (`storage.identifiers`) in, sorted arrays out.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

TRIPLE = ("query_id", "positive_id", "negative_id", "positive_score", "negative_score")
PAIR = ("query_id", "doc_id", "score", "rank")  # a rank of 0 is none

# how rows are sorted that become triples, and those that become lists
BY_TRIPLE = "query_id, positive_id, negative_id"
BEST_FIRST = "query_id, score DESC, rank, doc_id DESC"  # that of `storage.orders`

BITS = 32  # of a passage's code in the key of a pair


class Pairs(NamedTuple):
    """Distinct (query, passage) pairs in order, and how far apart the scores of one were."""

    query: Ints
    passage: Ints
    score: Scores
    apart: Scores


def triples(rows: pa.Table) -> tuple[pa.Table, Pairs]:
    """Return the distinct triples and the distinct pairs of rows in the order BY_TRIPLE.

    Where the scores of a pair differ, the mean of each side (as a positive, as a negative) counts,
    then of both.
    """
    positives = _keys(rows, "positive_id")
    negatives = _keys(rows, "negative_id")
    of_positives = _distinct(positives, _scores(rows, "positive_score"))
    order = np.argsort(negatives, kind="stable")
    of_negatives = _distinct(negatives[order], _scores(rows, "negative_score")[order])
    new = _first(positives) | _first(negatives)
    distinct = rows.select(TRIPLE[:3]).filter(pa.array(new))
    return distinct, _pairs(_merged(of_positives, of_negatives))


def pairs(rows: pa.Table) -> Pairs:
    """Return the distinct pairs of scored pairs, in whatever order."""
    keys = _keys(rows, "doc_id")
    order = np.argsort(keys, kind="stable")
    return _pairs(_distinct(keys[order], _scores(rows, "score")[order]))


class _Scored(NamedTuple):
    """Keys with a score each, and how far apart the scores were that it is the mean of."""

    key: Ints
    score: Scores
    apart: Scores


def _distinct(key: Ints, score: Scores, apart: Scores | None = None) -> _Scored:
    """Return sorted keys once, with the mean of their scores."""
    if apart is None:
        apart = np.zeros(len(key), np.float32)
    new = _first(key)
    if new.all():
        return _Scored(key, score, apart)
    starts = np.flatnonzero(new)
    furthest = np.maximum.reduceat(apart, starts)
    repeats_differ = (score[1:] != score[:-1])[~new[1:]]
    if not repeats_differ.any():
        return _Scored(key[starts], score[starts], furthest)
    score = score[np.lexsort((score, key))]  # a sum that is the same whatever the order of the file
    low = np.minimum.reduceat(score, starts)
    high = np.maximum.reduceat(score, starts)
    total = np.add.reduceat(score.astype(np.float64), starts)
    mean = (total / np.diff(starts, append=len(key))).astype(np.float32)
    return _Scored(key[starts], np.where(low == high, low, mean), np.maximum(high - low, furthest))


def _merged(left: _Scored, right: _Scored) -> _Scored:
    key = np.concatenate([left.key, right.key])
    score = np.concatenate([left.score, right.score])
    apart = np.concatenate([left.apart, right.apart])
    order = np.argsort(key, kind="stable")
    return _distinct(key[order], score[order], apart[order])


def _pairs(scored: _Scored) -> Pairs:
    passages = scored.key & ((1 << BITS) - 1)
    return Pairs(scored.key >> BITS, passages, scored.score, scored.apart)


def _keys(rows: pa.Table, name: str) -> Ints:
    """Return the query and the passage of each row as one number, which sorts as the two do."""
    queries = rows["query_id"].to_numpy().astype(np.int64)
    keys: Ints = queries << BITS | rows[name].to_numpy()
    return keys


def _scores(rows: pa.Table, name: str) -> Scores:
    scores: Scores = rows[name].to_numpy()
    return scores


def _first(keys: Ints) -> Flags:
    """Return where keys differ from the key before."""
    new = np.ones(len(keys), bool)
    new[1:] = keys[1:] != keys[:-1]
    return new

"""Scored triples and scored pairs, put in order a bucket at a time.

Pure: records of codes (`storage.identifiers`) in, sorted arrays out. A bucket holds every row of
its queries.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Records = npt.NDArray[np.void]

TRIPLE = np.dtype(
    [
        ("query_id", "i4"),
        ("positive_id", "i4"),
        ("negative_id", "i4"),
        ("positive_score", "f4"),
        ("negative_score", "f4"),
    ]
)
PAIR = np.dtype([("query_id", "i4"), ("doc_id", "i4"), ("score", "f4")])


class Pairs(NamedTuple):
    """Distinct (query, passage) pairs in order, and how far apart the scores of one were."""

    query: Ints
    doc: Ints
    score: npt.NDArray[np.float32]
    apart: npt.NDArray[np.float32]


class Triples(NamedTuple):
    """Distinct triples in order, and how many rows repeated another."""

    query: Ints
    positive: Ints
    negative: Ints
    repeated: int


class Lists(NamedTuple):
    """Queries with their passages, best first: those of query i end at ends[i]."""

    query: Ints
    doc: Ints
    ends: Ints


def triples(rows: Records, bits: int) -> tuple[Triples, Pairs]:
    """Return the distinct triples by (query, positive, negative), and the distinct pairs.

    bits: those that hold a passage's code. Where the scores of a pair differ, the mean of each
    side (as a positive, as a negative) is taken, then of both: the same whatever the order of rows.
    """
    rows = rows.take(_order(_key(rows, "negative_id", bits)))
    negatives = _distinct(_key(rows, "negative_id", bits), rows["negative_score"])
    key = _key(rows, "positive_id", bits)
    if (key[1:] < key[:-1]).any():  # some query has several positives
        order = _order(key)
        rows, key = rows.take(order), key.take(order)
    negative = _wide(rows, "negative_id")
    positives = _distinct(key, rows["positive_score"])
    new = _first(key, negative)
    if not new.all():
        key, negative = key[new], negative[new]
    found = Triples(key >> bits, key & _low(bits), negative, len(rows) - len(key))
    return found, _pairs(_merged(negatives, positives), bits)


def _order(keys: Ints) -> Ints:
    """Return the order that sorts keys; equal ones stay as they are.

    16 bits at a time, which numpy sorts by counting: in half the time that comparing takes.
    """
    order = np.arange(len(keys))
    for shift in range(0, int(keys.max(initial=0)).bit_length(), 16):
        digits = (keys >> shift).astype(np.uint16)
        order = order.take(np.argsort(digits.take(order), kind="stable"))
    return order


def _first(*keys: Ints) -> npt.NDArray[np.bool_]:
    """Return where sorted rows differ from the row before."""
    new = np.ones(len(keys[0]), bool)
    new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return new


class _Scored(NamedTuple):
    """Keys with a score each, and how far apart the scores were that it is the mean of."""

    key: Ints
    score: npt.NDArray[np.float32]
    apart: npt.NDArray[np.float32]


def _distinct(key: Ints, score: npt.NDArray[np.float32], apart: Any = None) -> _Scored:
    """Return sorted keys once, with the mean of their scores."""
    apart = np.zeros(len(key), np.float32) if apart is None else apart
    new = _first(key)
    if new.all():
        return _Scored(key, score, apart)
    starts = np.flatnonzero(new)
    if not (score[1:] != score[:-1])[~new[1:]].any():
        return _Scored(key[starts], score[starts], np.maximum.reduceat(apart, starts))
    low, high = np.minimum.reduceat(score, starts), np.maximum.reduceat(score, starts)
    total = np.add.reduceat(score.astype(np.float64), starts)
    mean = (total / np.diff(starts, append=len(key))).astype(np.float32)
    apart = np.maximum(high - low, np.maximum.reduceat(apart, starts))
    return _Scored(key[starts], np.where(low == high, low, mean), apart)


def _merged(left: _Scored, right: _Scored) -> _Scored:
    key, score, apart = (np.concatenate([a, b]) for a, b in zip(left, right, strict=True))
    order = np.argsort(key, kind="stable")
    return _distinct(key[order], score[order], apart[order])


def _pairs(found: _Scored, bits: int) -> Pairs:
    return Pairs(found.key >> bits, found.key & _low(bits), found.score, found.apart)


def _low(bits: int) -> int:
    return (1 << bits) - 1


def lists(rows: Records, bits: int) -> tuple[Lists, Pairs, int]:
    """Return each query's passages, best first, the pairs, and how many rows repeat a pair.

    Ties by passage downwards, the canonical order of a run.
    """
    query, doc = _wide(rows, "query_id"), _wide(rows, "doc_id")
    best = np.lexsort((-doc, -rows["score"], query))
    starts = np.flatnonzero(_first(query[best]))
    ranked = Lists(query[best][starts], doc[best], np.append(starts, len(rows))[1:])
    rows = rows.take(_order(_key(rows, "doc_id", bits)))
    pairs = _pairs(_distinct(_key(rows, "doc_id", bits), rows["score"]), bits)
    return ranked, pairs, len(rows) - len(pairs.doc)


def _key(rows: Records, doc: str, bits: int) -> Any:
    return _wide(rows, "query_id") << bits | rows[doc]


def _wide(rows: Records, name: str) -> Any:
    return rows[name].astype(np.int64)

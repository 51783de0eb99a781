"""By how much teachers put the positive of a training pair above its negative."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadTable
from redistil.seeds import fraction
from redistil.stages.report.numbers.statistics import Floats
from redistil.storage.tables import LISTS, TEACHER_SCORES, TRIPLES, Table

QUERIES = 2000  # whose pairs are looked at: enough for a share of pairs to within one per cent


class Pair(NamedTuple):
    """A query with two passages, of which the first is labelled as positive."""

    query: str
    positive: str
    negative: str


@dataclass(frozen=True)
class Margins:
    """The margins of a teacher on the pairs of its negatives, in an order that others share."""

    teacher: str
    negatives: str
    values: Floats

    @property
    def ordered(self) -> float:
        """The share of pairs whose positive it puts above the negative."""
        return float((self.values > 0).mean())


def agreement(one: Margins, other: Margins) -> float:
    """Return the share of pairs that two teachers order alike."""
    return float((np.sign(one.values) == np.sign(other.values)).mean())


def margins(teacher: str, scores: Path, negatives: Path, name: str) -> Margins | None:
    """Return a teacher's margins; None where nothing is labelled as positive.

    Reads both files in pieces. Of more than `QUERIES` queries a fixed sample is looked at, which
    depends on the query_ids alone. Raises BadTable when a pair has no score.
    """
    pairs = _pairs(negatives)
    if not pairs:
        return None
    score = _scores(scores, {pair.query for pair in pairs})
    values = []
    try:
        for query, positive, negative in pairs:
            values.append(score[query, positive] - score[query, negative])
    except KeyError as missing:
        raise BadTable(f"{scores} has no score for {missing} of {negatives}") from None
    return Margins(teacher, name, np.array(values))


def _scores(path: Path, queries: Iterable[str]) -> dict[tuple[str, str], float]:
    """Return a teacher's scores on some queries, by query and passage."""
    ids = pa.array(sorted(queries))
    scores: dict[tuple[str, str], float] = {}
    for batch in TEACHER_SCORES.batches(path):
        rows = batch.filter(pc.is_in(batch["query_id"], ids)).to_pydict()
        keys = zip(rows["query_id"], rows["doc_id"], strict=True)
        scores |= zip(keys, rows["score"], strict=True)
    return scores


def _pairs(negatives: Path) -> list[Pair]:
    """Return the labelled pairs of a sample of queries, in the order of the file."""
    try:
        TRIPLES.expect(negatives)
    except BadTable:
        return _pairs_of_lists(negatives)
    triples = _sampled(TRIPLES, negatives)
    return [Pair(row["query_id"], row["positive_id"], row["negative_id"]) for row in triples]


def _pairs_of_lists(negatives: Path) -> list[Pair]:
    pairs = []
    for row in _sampled(LISTS, negatives):
        positives: list[str] = []
        others: list[str] = []
        for doc, grade in zip(row["doc_ids"], row["relevances"], strict=True):
            (positives if grade > 0 else others).append(doc)
        for positive in positives:
            for negative in others:
                pairs.append(Pair(row["query_id"], positive, negative))
    return pairs


def _sampled(table: Table, path: Path) -> list[dict[str, Any]]:
    """Return the rows of at most `QUERIES` queries, which depend on the query_ids alone."""
    ids: set[str] = set()
    for batch in table.batches(path, ["query_id"]):
        ids.update(pc.unique(batch["query_id"]).to_pylist())
    sample = pa.array(sorted(ids, key=fraction)[:QUERIES], pa.string())
    rows: list[dict[str, Any]] = []
    for batch in table.batches(path):
        rows += batch.filter(pc.is_in(batch["query_id"], sample)).to_pylist()
    return rows

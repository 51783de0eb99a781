"""What teachers say of training pairs: by how much they put the positive above the negative."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadTable
from redistil.seeds import fraction
from redistil.stages.report.numbers.statistics import Floats
from redistil.storage.tables import LISTS, TEACHER_SCORES, TRIPLES, Table

QUERIES = 2000  # whose pairs are looked at: enough for a share of pairs to within one per cent

Pair = tuple[str, str, str]  # query, positive, negative


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
    queries = pa.array(sorted({query for query, _, _ in pairs}))
    score: dict[tuple[str, str], float] = {}
    for batch in TEACHER_SCORES.batches(scores):
        rows = batch.filter(pc.is_in(batch["query_id"], queries)).to_pydict()
        score |= zip(zip(rows["query_id"], rows["doc_id"], strict=True), rows["score"], strict=True)
    try:
        values = [score[q, positive] - score[q, negative] for q, positive, negative in pairs]
    except KeyError as missing:
        raise BadTable(f"{scores} has no score for {missing} of {negatives}") from None
    return Margins(teacher, name, np.array(values))


def _pairs(negatives: Path) -> list[Pair]:
    """Return the labelled pairs of a sample of queries, in the order of the file."""
    try:
        TRIPLES.expect(negatives)
    except BadTable:
        return [
            (row["query_id"], positive, negative)
            for row in _sampled(LISTS, negatives)
            for positive in _judged(row, True)
            for negative in _judged(row, False)
        ]
    return [
        (row["query_id"], row["positive_id"], row["negative_id"])
        for row in _sampled(TRIPLES, negatives)
    ]


def _judged(row: Mapping[str, Any], positive: bool) -> list[str]:
    both = zip(row["doc_ids"], row["relevances"], strict=True)
    return [doc for doc, grade in both if (grade > 0) == positive]


def _sampled(table: Table, path: Path) -> list[dict[str, Any]]:
    ids: set[str] = set()
    for batch in table.batches(path, ["query_id"]):
        ids.update(pc.unique(batch["query_id"]).to_pylist())
    sample = pa.array(sorted(ids, key=fraction)[:QUERIES], pa.string())
    return [
        row
        for batch in table.batches(path)
        for row in batch.filter(pc.is_in(batch["query_id"], sample)).to_pylist()
    ]

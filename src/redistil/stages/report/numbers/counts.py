"""The queries of each test set: how many there are, and what was left out of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from redistil.storage import lineage
from redistil.storage.tables import COUNTS, QRELS
from redistil.study.study import Study


class SetFiles(NamedTuple):
    """The judgements of a dataset, and the counts of what its export left out."""

    qrels: Path
    counts: Path


@dataclass(frozen=True)
class SetCounts:
    """How many queries and judgements a test set has; noted: what its export left out or kept.

    without_relevant_passage: queries that no system can answer, which count as 0.
    """

    dataset: str
    queries: int
    without_relevant_passage: int
    judgements: int
    noted: str


def of_sets(study: Study, files: Sequence[SetFiles]) -> list[SetCounts]:
    """Return the counts of every dataset, in the order of the files."""
    counted = []
    for each in files:
        name = lineage.of(each.qrels).name
        least = study.datasets[name].relevant_from
        counted.append(_counted(name, QRELS.read(each.qrels), least, _noted(each.counts)))
    return counted


def _counted(name: str, qrels: pa.Table, least: int, noted: str) -> SetCounts:
    queries = pc.count_distinct(qrels["query_id"]).as_py()
    relevant = qrels.filter(pc.greater_equal(qrels["relevance"], least))
    answerable = pc.count_distinct(relevant["query_id"]).as_py()
    return SetCounts(name, queries, queries - answerable, len(qrels), noted)


def _noted(counts: Path) -> str:
    rows = COUNTS.read(counts).to_pylist()
    return "; ".join(f"{row['what']}: {row['count']}" for row in rows)

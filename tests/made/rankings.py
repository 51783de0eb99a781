"""Runs and qrels as dicts, and what `measures` makes of them."""

from collections.abc import Mapping

import pyarrow as pa

from redistil.stages import measures
from redistil.storage.tables import QRELS, ranked

Scores = Mapping[str, Mapping[str, float]]
Grades = Mapping[str, Mapping[str, int]]


def run_of(scores: Scores) -> pa.Table:
    rows = [(q, d, s) for q, docs in scores.items() for d, s in docs.items()]
    return ranked(*([row[i] for row in rows] for i in range(3)))


def qrels_of(grades: Grades) -> pa.Table:
    rows = [(q, d, g) for q, docs in grades.items() for d, g in docs.items()]
    columns = dict(zip(QRELS.schema.names, zip(*rows, strict=True), strict=True))
    return QRELS.check(QRELS.rows(columns), "test")


def values(
    scores: Scores, grades: Grades, names: list[str], relevant_from: int = 1
) -> dict[tuple[str, str], float]:
    wanted = [measures.parse(name) for name in names]
    found = measures.evaluate("d", run_of(scores), qrels_of(grades), wanted, relevant_from)
    return {(row["query_id"], row["measure"]): row["value"] for row in found.rows.to_pylist()}

"""Hard negatives: unjudged candidates of the first stage, drawn for each training query."""

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadTable
from redistil.seeds import fraction, generator
from redistil.storage.lineage import Made
from redistil.storage.pieces import in_row_groups
from redistil.storage.pools import by_query
from redistil.storage.tables import LISTS, QRELS, TRIPLES

TOGETHER = 512  # queries written at a time: of 500 passages each, some 30 MB

Grades = Mapping[str, Mapping[str, int]]  # query_id -> doc_id -> relevance


class Drawn(NamedTuple):
    """A query with its positives, their grades, and its negatives."""

    query_id: str
    positives: list[str]
    grades: list[int]
    negatives: list[str]


def mine(
    candidates: Path,
    qrels: Path,
    out: Path,
    made: Made,
    *,
    kind: str,
    positives: str,
    relevant_from: int,
    depth: int,
    per_query: int,
    seed: int,
    at_most: int | None = None,
    leave_out: Collection[str] = (),
) -> dict[str, int]:
    """Write triples or lists; return counts of what was used and what was not.

    Negatives come from ranks 1 to `depth`, `per_query` of each query (fewer where there are fewer),
    without replacement; a judged passage or the query's own is never one. Each query draws from a
    stream of its own, so one more query shifts no other's. positives: "judged" ones, retrieved or
    not; those "retrieved" at `depth`, as arXiv 2603.03010 has it when the paper was written; or the
    "first-retrieved", as its code has it later; all of a grade of at least `relevant_from`.
    at_most: queries used, chosen by a hash of their id. leave_out: queries not used. The candidates
    stream: a query's own are all that is held.
    Raises BadTable when nothing is drawn.
    """
    grades = some(QRELS.read(qrels), at_most, leave_out)
    found = draw(
        by_query(candidates),
        grades,
        positives=positives,
        relevant_from=relevant_from,
        depth=depth,
        per_query=per_query,
        seed=seed,
    )
    table, rows = (LISTS, _lists) if kind == "lists" else (TRIPLES, _triples)
    used = 0
    with table.writer(out, made) as write, in_row_groups(table, write) as append:
        while drawn := list(islice(found, TOGETHER)):
            append(rows(drawn))
            used += len(drawn)
        if not used:
            raise BadTable(
                f"no query of {qrels} has a relevant passage and an unjudged candidate in "
                f"{candidates}: are both of one dataset?"
            )
    return {
        "queries": used,
        "queries left out: no relevant passage, or no negative": len(grades) - used,
    }


def some(qrels: pa.Table, at_most: int | None, leave_out: Collection[str] = ()) -> Grades:
    """Return the judgements of at most so many queries, by query and passage."""
    ids = set(pc.unique(qrels["query_id"]).to_pylist()) - set(leave_out)
    grades: dict[str, dict[str, int]] = {q: {} for q in sorted(ids, key=fraction)[:at_most]}
    columns = (qrels[name].to_pylist() for name in QRELS.schema.names)
    for query_id, doc_id, relevance in zip(*columns, strict=True):
        if query_id in grades:
            grades[query_id][doc_id] = relevance
    return grades


def draw(
    run: Iterator[tuple[str, list[str]]],
    grades: Grades,
    *,
    positives: str,
    relevant_from: int,
    depth: int,
    per_query: int,
    seed: int,
) -> Iterator[Drawn]:
    """Yield the positives and negatives of every query with a positive and a candidate left.

    Queries in the order of the run, positives by doc_id, negatives in the order of the run.
    """
    for query_id, doc_ids in run:
        judged = grades.get(query_id)
        if not judged:
            continue
        near = doc_ids[:depth]
        pool = [doc_id for doc_id in near if doc_id not in judged and doc_id != query_id]
        relevant = _relevant(judged, near, positives, relevant_from)
        if relevant and pool:
            rng = generator(seed, "negatives", query_id)
            chosen = rng.choice(len(pool), size=min(per_query, len(pool)), replace=False)
            grade = [judged[doc_id] for doc_id in relevant]
            yield Drawn(query_id, relevant, grade, [pool[i] for i in sorted(chosen)])


def _relevant(judged: Mapping[str, int], near: list[str], which: str, least: int) -> list[str]:
    if which == "judged":
        return sorted(doc_id for doc_id, grade in judged.items() if grade >= least)
    found = [doc_id for doc_id in near if judged.get(doc_id, 0) >= least]
    return found[:1] if which == "first-retrieved" else sorted(found)


def _triples(drawn: list[Drawn]) -> pa.Table:
    rows = sorted((e.query_id, p, n) for e in drawn for p in e.positives for n in e.negatives)
    query_ids, positive_ids, negative_ids = zip(*rows, strict=True)
    return TRIPLES.rows(
        {"query_id": query_ids, "positive_id": positive_ids, "negative_id": negative_ids}
    )


def _lists(drawn: list[Drawn]) -> pa.Table:
    return LISTS.rows(
        {
            "query_id": [each.query_id for each in drawn],
            "doc_ids": [each.positives + each.negatives for each in drawn],
            "relevances": [e.grades + [0] * len(e.negatives) for e in drawn],
        }
    )

"""Hard negatives: unjudged candidates of the first stage, drawn for each training query."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadTable
from redistil.seeds import fraction, generator
from redistil.storage.copies import Copies, find
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
    passages: Path | None = None,
) -> dict[str, int]:
    """Write triples or lists; return counts of the queries that were used and that were not.

    Negatives come from ranks 1 to `depth`, without replacement: `per_query` for each query, or
    all where there are fewer. A judged passage is never one, nor is the query's own. Each query
    draws from a random stream of its own, so that one more query changes no other draw.
    positives: of a grade of at least `relevant_from`: all "judged" ones, retrieved or not; those
    "retrieved" at `depth`, as arXiv 2603.03010 did when it was written; or the "first-retrieved",
    as its code does now. at_most: queries used, chosen by a hash of their id. leave_out: queries
    not used. passages: the corpus; a passage with a positive's text is no negative, and a
    positive that the corpus lacks is none. The candidates stream, one query at a time.
    Raises BadTable when nothing is drawn.
    """
    grades = some(QRELS.read(qrels), at_most, leave_out)
    copies = Copies()
    if passages is not None:
        copies = find(passages, _positives(grades, relevant_from))
    counts: Counter[str] = Counter()
    draws = draw(
        by_query(candidates),
        grades,
        positives=positives,
        relevant_from=relevant_from,
        depth=depth,
        per_query=per_query,
        seed=seed,
        copies=copies,
        counts=counts,
    )
    table, rows_of = (LISTS, _lists) if kind == "lists" else (TRIPLES, _triples)
    with table.writer(out, made) as write, in_row_groups(table, write) as append:
        used = 0
        while drawn := list(islice(draws, TOGETHER)):
            append(rows_of(drawn))
            used += len(drawn)
        if not used:
            raise BadTable(
                f"no query of {qrels} has a relevant passage and an unjudged candidate in "
                f"{candidates}: are both of one dataset?"
            )
    return {
        "queries": used,
        "queries left out: no relevant passage, or no negative": len(grades) - used,
        "candidates left out: the text of a relevant passage": counts["copies"],
        "relevant passages left out: not in the corpus": len(copies.absent),
    }


def _positives(grades: Grades, relevant_from: int) -> set[str]:
    positives: set[str] = set()
    for judged in grades.values():
        positives |= _relevant(judged, relevant_from)
    return positives


def _relevant(judged: Mapping[str, int], least: int) -> set[str]:
    return {doc_id for doc_id, grade in judged.items() if grade >= least}


def some(qrels: pa.Table, at_most: int | None, leave_out: Collection[str] = ()) -> Grades:
    """Return the judgements of at most so many queries, by query and passage."""
    query_ids = set(pc.unique(qrels["query_id"]).to_pylist()) - set(leave_out)
    grades: dict[str, dict[str, int]] = {}
    for query_id in sorted(query_ids, key=fraction)[:at_most]:
        grades[query_id] = {}
    columns = map(pa.ChunkedArray.to_pylist, qrels.select(QRELS.schema.names).columns)
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
    copies: Copies | None = None,
    counts: Counter[str] | None = None,
) -> Iterator[Drawn]:
    """Yield the positives and negatives of every query with a positive and a candidate left.

    Queries in the order of the run, positives by doc_id, negatives in the order of the run.
    counts: gets the number of "copies", candidates with the text of a positive.
    """
    copies = copies or Copies()
    for query_id, doc_ids in run:
        judged = grades.get(query_id)
        if not judged:
            continue
        near = doc_ids[:depth]
        relevant = _relevant(judged, relevant_from)
        pool = [doc_id for doc_id in near if doc_id not in judged and doc_id != query_id]
        same = copies.of(relevant, pool)
        if counts is not None:
            counts["copies"] += len(same)
        pool = _without(same, pool)
        used = _without(copies.absent, _used(relevant, near, positives))
        if used and pool:
            negatives = _some(pool, per_query, generator(seed, "negatives", query_id))
            yield Drawn(query_id, used, [judged[doc_id] for doc_id in used], negatives)


def _without(left_out: Collection[str], doc_ids: list[str]) -> list[str]:
    return [doc_id for doc_id in doc_ids if doc_id not in left_out] if left_out else doc_ids


def _used(relevant: Collection[str], near: list[str], which: str) -> list[str]:
    """Return the relevant passages that are positives: `which` is an option of `mine`."""
    if which == "judged":
        return sorted(relevant)
    retrieved = [doc_id for doc_id in near if doc_id in relevant]
    return retrieved[:1] if which == "first-retrieved" else sorted(retrieved)


def _some(pool: list[str], count: int, rng: np.random.Generator) -> list[str]:
    """Return at most `count` passages at random, in the order of the pool."""
    places = rng.choice(len(pool), size=min(count, len(pool)), replace=False)
    return [pool[place] for place in sorted(places)]


def _triples(drawn: list[Drawn]) -> pa.Table:
    rows: list[tuple[str, str, str]] = []
    for each in drawn:
        rows.extend(product([each.query_id], each.positives, each.negatives))
    columns = zip(*sorted(rows), strict=True)
    return TRIPLES.rows(dict(zip(TRIPLES.schema.names, columns, strict=True)))


def _lists(drawn: list[Drawn]) -> pa.Table:
    query_ids, doc_ids, relevances = [], [], []
    for each in drawn:
        query_ids.append(each.query_id)
        doc_ids.append(each.positives + each.negatives)
        relevances.append(each.grades + [0] * len(each.negatives))
    return LISTS.rows({"query_id": query_ids, "doc_ids": doc_ids, "relevances": relevances})

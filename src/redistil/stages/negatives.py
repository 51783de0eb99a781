"""Hard negatives: candidates of the first stage, drawn for each training query.

They are unjudged, or also judged not relevant where the study says `judged: include`.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
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

INCLUDE = "include"  # of `judged`

# counted while negatives are drawn: queries with candidates, those with a relevant passage;
# candidates with the text of one, and those that were judged not relevant
KNOWN, ANSWERABLE = "known", "answerable"
COPIES, JUDGED_NOT_RELEVANT = "copies", "judged not relevant"

Grades = Mapping[str, Mapping[str, int]]  # query_id -> doc_id -> relevance


@dataclass(frozen=True)
class Drawing:
    """Settings of the drawing, by the words of an entry of `negatives` in params.yaml.

    kind: "triples" or "lists". positives: of a grade of at least `relevant_from`: all "judged"
    ones, retrieved or not; those "retrieved" at `depth`, as arXiv 2603.03010 did when it was
    written; or the "first-retrieved", as its code does now. depth: the last rank of a negative.
    per_query: negatives of each query, or all where there are fewer. at_most: queries used,
    chosen by a hash of their id. judged: "include" where passages that were judged not relevant
    may be negatives.
    """

    kind: str
    positives: str
    relevant_from: int
    depth: int
    per_query: int
    seed: int
    at_most: int | None = None
    judged: str | None = None


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
    how: Drawing,
    leave_out: Collection[str] = (),
    passages: Path | None = None,
) -> dict[str, int]:
    """Write triples or lists; return counts of the queries that were used and that were not.

    Negatives are drawn without replacement. A relevant passage is never one, nor is the query's
    own. Each query draws from a random stream of its own, so that one more query changes no other
    draw. leave_out: queries not used. passages: the corpus; a passage with a positive's text is no
    negative, and a positive that the corpus lacks is none. The candidates stream, one query at a
    time. Raises BadTable when nothing is drawn.
    """
    grades = some(QRELS.read(qrels), how.at_most, leave_out)
    copies = Copies()
    if passages is not None:
        copies = find(passages, _positives(grades, how.relevant_from))
    counts: Counter[str] = Counter()
    draws = draw(by_query(candidates), grades, how, copies, counts)
    table, rows_of = (LISTS, _lists) if how.kind == "lists" else (TRIPLES, _triples)
    with table.writer(out, made) as write, in_row_groups(table, write) as append:
        used = 0
        while drawn := list(islice(draws, TOGETHER)):
            append(rows_of(drawn))
            used += len(drawn)
        if not used:
            raise BadTable(_none_drawn(candidates, qrels, grades, counts, how))
    not_relevant = counts[JUDGED_NOT_RELEVANT]
    return {
        "queries": used,
        "queries left out: no relevant passage, or no negative": len(grades) - used,
        "candidates left out: the text of a relevant passage": counts[COPIES],
        "candidates left out: judged not relevant (`judged: include` draws them)": not_relevant,
        "relevant passages left out: not in the corpus": len(copies.absent),
    }


def _none_drawn(
    candidates: Path, qrels: Path, grades: Grades, counts: Counter[str], how: Drawing
) -> str:
    """Return why no query has a positive and a negative."""
    if not grades:
        return f"every query of {qrels} is asked by a test set too: none is left to train on"
    problem = f"no query of {qrels} has a relevant passage and a negative in {candidates}"
    if not counts[KNOWN]:
        return f"{problem}: they share no query, check that both are of one dataset"
    if not counts[ANSWERABLE]:
        return (
            f"{problem}: none of {len(grades)} queries has a passage of the grade "
            f"{how.relevant_from} or more, check `relevant_from`"
        )
    return (
        f"{problem}: of {counts[KNOWN]} queries with candidates, {counts[ANSWERABLE]} have a "
        f"relevant passage; {counts[JUDGED_NOT_RELEVANT]} of their candidates were judged not "
        f"relevant and {counts[COPIES]} have the text of a relevant passage"
    )


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
    how: Drawing,
    copies: Copies | None = None,
    counts: Counter[str] | None = None,
) -> Iterator[Drawn]:
    """Yield the positives and negatives of every query with a positive and a candidate left.

    Queries in the order of the run, positives by doc_id, negatives in the order of the run.
    counts: gets the numbers of queries that are KNOWN and ANSWERABLE, and of candidates that are
    COPIES or JUDGED_NOT_RELEVANT.
    """
    copies = copies or Copies()
    counts = counts if counts is not None else Counter()
    for query_id, doc_ids in run:
        judged = grades.get(query_id)
        if not judged:
            continue
        near = doc_ids[: how.depth]
        relevant = _relevant(judged, how.relevant_from)
        counts[KNOWN] += 1
        counts[ANSWERABLE] += bool(relevant)
        pool = _pool(query_id, near, judged, relevant, how, counts)
        same = copies.of(relevant, pool)
        counts[COPIES] += len(same)
        pool = _without(same, pool)
        used = _without(copies.absent, _used(relevant, near, how.positives))
        if used and pool:
            negatives = _some(pool, how.per_query, generator(how.seed, "negatives", query_id))
            yield Drawn(query_id, used, [judged[doc_id] for doc_id in used], negatives)


def _pool(
    query_id: str,
    near: list[str],
    judged: Collection[str],
    relevant: Collection[str],
    how: Drawing,
    counts: Counter[str],
) -> list[str]:
    """Return the candidates that may be negatives; count those that a judgement bars."""
    others = [doc_id for doc_id in near if doc_id not in relevant and doc_id != query_id]
    if how.judged == INCLUDE:
        return others
    pool = [doc_id for doc_id in others if doc_id not in judged]
    counts[JUDGED_NOT_RELEVANT] += len(others) - len(pool)
    return pool


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

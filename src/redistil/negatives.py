"""Hard negatives: unjudged candidates of the first stage, drawn for each training query."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadTable
from redistil.lineage import Made
from redistil.seeds import fraction, generator
from redistil.tables import LISTS, QRELS, RUN, TRIPLES, top

Drawn = tuple[str, list[str], list[str]]  # query_id, its positives, its negatives


def mine(
    candidates: Path,
    qrels: Path,
    out: Path,
    made: Made,
    *,
    kind: str,
    depth: int,
    per_query: int,
    seed: int,
    at_most: int | None = None,
) -> dict[str, int]:
    """Write triples or lists; return counts of what was used and what was not.

    Negatives come from ranks 1 to `depth`, `per_query` of each query (fewer where there are fewer),
    without replacement; a judged passage or the query's own is never one. Each query draws from a
    stream of its own, so one more query shifts no other's. at_most: queries used, chosen by a hash
    of their id. Raises BadTable when nothing is drawn.
    """
    run, judged = RUN.read(candidates), some(QRELS.read(qrels), at_most)
    drawn = list(draw(run, judged, depth=depth, per_query=per_query, seed=seed))
    if not drawn:
        raise BadTable(
            f"no query of {qrels} has a relevant passage and an unjudged candidate in "
            f"{candidates}: are both of one dataset?"
        )
    rows = _lists(drawn) if kind == "lists" else _triples(drawn)
    (LISTS if kind == "lists" else TRIPLES).write(rows, out, made)
    left_out = len(pc.unique(judged["query_id"])) - len(drawn)
    return {
        "queries": len(drawn),
        "queries left out: no relevant passage, or no negative": left_out,
    }


def some(qrels: pa.Table, at_most: int | None) -> pa.Table:
    """Return the judgements of at most so many queries."""
    chosen = sorted(pc.unique(qrels["query_id"]).to_pylist(), key=fraction)[:at_most]
    return qrels.filter(pc.is_in(qrels["query_id"], pa.array(chosen, pa.string())))


def draw(
    run: pa.Table, qrels: pa.Table, *, depth: int, per_query: int, seed: int
) -> Iterator[Drawn]:
    """Yield (query_id, positives, negatives) of every query with a positive and a candidate left.

    Queries in the order of their ids, positives by doc_id, negatives in the order of the run.
    """
    grades: Mapping[str, dict[str, int]] = defaultdict(dict)
    for row in qrels.to_pylist():
        grades[row["query_id"]][row["doc_id"]] = row["relevance"]
    near: Mapping[str, list[str]] = defaultdict(list)
    for row in top(run, depth).to_pylist():
        query_id, doc_id = row["query_id"], row["doc_id"]
        if doc_id not in grades.get(query_id, {}) and doc_id != query_id:
            near[query_id].append(doc_id)
    for query_id in sorted(grades):
        positives = sorted(d for d, grade in grades[query_id].items() if grade > 0)
        pool = near.get(query_id, [])
        if positives and pool:
            rng = generator(seed, "negatives", query_id)
            chosen = rng.choice(len(pool), size=min(per_query, len(pool)), replace=False)
            yield query_id, positives, [pool[i] for i in sorted(chosen)]


def _triples(drawn: list[Drawn]) -> pa.Table:
    rows = [(q, p, n) for q, positives, negatives in drawn for p in positives for n in negatives]
    columns: dict[str, Any] = dict(zip(TRIPLES.schema.names, zip(*rows, strict=True), strict=True))
    return TRIPLES.rows(columns)


def _lists(drawn: list[Drawn]) -> pa.Table:
    return LISTS.rows(
        {
            "query_id": [q for q, _, _ in drawn],
            "doc_ids": [positives + negatives for _, positives, negatives in drawn],
            "relevances": [[1] * len(p) + [0] * len(n) for _, p, n in drawn],
        }
    )

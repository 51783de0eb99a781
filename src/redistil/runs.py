"""Re-ranked runs: the first stage's candidates in the order of a model, an ensemble, or chance."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from redistil.lineage import Made
from redistil.seeds import generator
from redistil.tables import RUN, ranked, top

Member = tuple[Path, Path, Path]  # a model folder, and token files of queries and passages


def rerank(
    candidates: Path,
    members: Sequence[Member],
    out: Path,
    made: Made,
    *,
    depth: int,
    precision: str,
    device: Any,
) -> None:
    """Write the first `depth` candidates of each query, scored by the mean logit of `members`."""
    from redistil import students  # torch stays behind the door: `shuffle` does without
    from redistil.ragged import Ragged
    from redistil.scoring import mean_scores

    pairs = top(RUN.read(candidates), depth)
    models = [students.load(model).to(device) for model, _, _ in members]
    queries = [Ragged(path) for _, path, _ in members]
    passages = [Ragged(path) for _, _, path in members]
    rows = [
        (q.rows(pairs["query_id"]), p.rows(pairs["doc_id"]))
        for q, p in zip(queries, passages, strict=True)
    ]
    scores = mean_scores(models, queries, passages, rows, precision)
    RUN.write(ranked(pairs["query_id"], pairs["doc_id"], scores.tolist()), out, made)


def shuffle(candidates: Path, out: Path, made: Made, *, depth: int, seed: int) -> None:
    """Write the first `depth` candidates of each query in random order: every table's floor."""
    RUN.write(shuffled(top(RUN.read(candidates), depth), seed), out, made)


def shuffled(run: pa.Table, seed: int) -> pa.Table:
    """Return a run with scores drawn anew; each query draws from a stream of its own."""
    scores: list[float] = []
    for query_id, count in _sizes(run):
        scores += generator(seed, "shuffle", query_id).random(count).tolist()
    return ranked(run["query_id"], run["doc_id"], scores)


def _sizes(run: pa.Table) -> list[tuple[str, int]]:
    """Return each query with its number of candidates, in the order of the run."""
    counts = run["query_id"].combine_chunks().value_counts()
    return [(row["values"], row["counts"]) for row in counts.to_pylist()]
